package pages_test

import (
	"testing"
	"time"

	"github.com/keyrounds/keyrounds/web/pages"
)

// A certificate that ended is never said to end.
func TestCertificateWords(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	for end, want := range map[time.Time]string{
		now.AddDate(0, 0, 90):       "ends on 26 Feb 2027, in 90 days",
		now.Add(30 * time.Hour):     "ends on 29 Nov 2026, in 30 hours",
		now.Add(61 * time.Minute):   "ends on 28 Nov 2026, in 1 hour",
		now:                         "ended on 28 Nov 2026",
		now.Add(-100 * time.Hour):   "ended on 24 Nov 2026",
		now.Add(48*time.Hour + 1e9): "ends on 30 Nov 2026, in 2 days",
	} {
		if got := pages.CertificateWords(end, now); got != want {
			t.Errorf("%s: %q, want %q", end, got, want)
		}
	}
}
