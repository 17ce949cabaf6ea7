package pages_test

import (
	"testing"
	"time"

	"github.com/keyrounds/keyrounds/usage"
	"github.com/keyrounds/keyrounds/usage/feed"
	"github.com/keyrounds/keyrounds/web/pages"
)

// The picture of a feed says when it was there, when it watched, and where it should have and did not.
func TestCoverage(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC)
	day := func(n int) time.Time { return now.AddDate(0, 0, n) }
	fd := usage.FeedStatus{Feed: "gateway", Configured: true, FirstAt: day(-60), Silence: time.Hour}
	for name, c := range map[string]struct {
		watched              []feed.Span
		label                string
		before, watches, gap string
	}{
		"a gap, and it is quiet for less than it may be": {
			[]feed.Span{{From: day(-60), To: day(-30)}, {From: day(-20), To: now.Add(-time.Minute)}},
			"gateway watched 50 of 90 days, of which it is there for 60",
			"M0 9h300v2h-300z", "M300 4h300v12h-300zM700 4h200v12h-200z", "M600 1h100v3h-100zM600 16h100v3h-100z",
		},
		"it is silent": {
			[]feed.Span{{From: day(-60), To: day(-2)}},
			"gateway watched 58 of 90 days, of which it is there for 60",
			"M0 9h300v2h-300z", "M300 4h580v12h-580z", "M880 1h20v3h-20zM880 16h20v3h-20z",
		},
		"nothing came yet": {
			nil, "gateway watched 0 of 90 days, of which it is there for 60", "M0 9h300v2h-300z", "",
			"M300 1h600v3h-600zM300 16h600v3h-600z",
		},
		"old logs were imported": {
			[]feed.Span{{From: day(-200), To: now}}, "gateway watched 90 of 90 days", "", "M0 4h900v12h-900z", "",
		},
	} {
		fd.Watched = c.watched
		label, before, watched, gap := pages.CoverageOf(fd, now)
		if label != c.label || before != c.before || watched != c.watches || gap != c.gap {
			t.Errorf(
				"%s:\n got %q\n     %q %q %q\nwant %q\n     %q %q %q", name, label, before, watched, gap, c.label, c.before, c.watches,
				c.gap,
			)
		}
	}
}
