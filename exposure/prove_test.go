package exposure

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/keyrounds/keyrounds/rounds"
)

// When a secret is tried again that could not be tried: no later than its provider may be asked.
func TestRetryAt(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	in := func(d time.Duration) time.Time { return now.Add(d) }
	for _, c := range []struct {
		name     string
		err      error
		every    time.Duration
		at       time.Time
		expected bool
	}{
		{"never exchanged", fmt.Errorf("p: %w", rounds.ErrNotExchanged), time.Hour, time.Time{}, true},
		{"busy", &rounds.NotNowError{}, 15 * time.Minute, in(10 * time.Second), true},
		{"busy, and tried often", &rounds.NotNowError{}, time.Second, in(time.Second), true},
		{"a turn that comes soon", &rounds.NotNowError{Until: in(5 * time.Second)}, 15 * time.Minute, in(5 * time.Second), true},
		{"a pause", fmt.Errorf("p: %w", &rounds.NotNowError{Until: in(time.Hour)}), 15 * time.Minute, in(time.Hour), true},
		{"a turn that is over", &rounds.NotNowError{Until: in(-time.Second)}, 15 * time.Minute, in(10 * time.Second), true},
		{"anything else", errors.New("the secret cannot be opened"), 15 * time.Minute, in(15 * time.Minute), false},
	} {
		if at, expected := retryAt(c.err, now, c.every); !at.Equal(c.at) || expected != c.expected {
			t.Errorf("%s: %s, expected %v", c.name, at, expected)
		}
	}
}
