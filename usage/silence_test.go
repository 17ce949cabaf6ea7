package usage

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/usage/feed"
)

// What is quiet by habit is watched, and what is not is a gap, whatever the feed's habit is
// (docs/usage.md, Coverage).
func TestSilenceIsLearned(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	const day = 24 * time.Hour
	// records is when the feed had records, from 100 days ago on, by the pauses between them.
	records := func(pause func(i int) time.Duration) (spans []feed.Span) {
		at := now.Add(-100 * day)
		for i := 0; at.Before(now); i++ {
			spans = join(append(spans, feed.Span{From: at, To: at}), pauseKept)
			at = at.Add(pause(i))
		}
		return spans
	}
	r := rand.New(rand.NewPCG(1, 2))
	jitter := func(int) time.Duration { return day + time.Duration(r.IntN(60)-20)*time.Minute }
	for name, x := range map[string]struct {
		pause func(i int) time.Duration
		days  int // watched, of 90
		now   time.Duration
	}{
		"busy":            {func(int) time.Duration { return time.Minute }, 90, day},
		"nightly, jitter": {jitter, 90, 2 * day},
		"weekdays":        {func(i int) time.Duration { return []time.Duration{day, day, day, day, 3 * day}[i%5] }, 90, 3 * day},
		"once away, 2 days": {func(i int) time.Duration {
			return map[bool]time.Duration{true: 2 * day, false: time.Hour}[i == 1000]
		}, 88, day},
		"twice, 30 hours": {func(i int) time.Duration {
			return map[bool]time.Duration{true: 30 * time.Hour, false: time.Hour}[i%1000 == 900]
		}, 87, day},
		"an outage before it became nightly": {func(i int) time.Duration {
			switch n := 70 * 24; {
			case i < n:
				return time.Hour
			case i == n:
				return 71 * time.Hour
			}
			return jitter(i)
		}, 85, 2 * day}, // the first nights after it are not ordinary yet
		"every four days": {func(int) time.Duration { return 4 * day }, 0, day},
		"nightly, then dead for 10 days": {func(i int) time.Duration {
			if i == 60 {
				return 10 * day
			}
			return jitter(i)
		}, 80, 2 * day},
	} {
		spans, quiet := bridged(records(x.pause), feed.DefaultSilence)
		if quiet < x.now-2*time.Hour || quiet > x.now+2*time.Hour {
			t.Errorf("%s: quiet for %s, want %s", name, quiet, x.now)
		}
		f := facts{
			credential: credential.Credential{Subject: "c", UnusedAfter: 90 * day, Created: now.Add(-1000 * day)}, zone: time.UTC,
			feeds: []feedFacts{{name: "f", configured: true, silence: feed.DefaultSilence, quiet: quiet, coverage: spans}},
		}
		a := assess(f, now)
		if got := int((a.Covered + day/2) / day); got < x.days-1 || got > x.days+1 || (a.State == NeverUsed) != (x.days == 90) {
			t.Errorf("%s: %d of 90 days, %s, want %d", name, got, a.State, x.days)
		}
	}
}

// A feed that is silent now for longer than it ever was is not watching.
func TestSilenceAtTheEnd(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	for silent, watching := range map[time.Duration]bool{
		20 * time.Hour: true, 40 * time.Hour: true, 47 * time.Hour: true, 51 * time.Hour: false, 80 * time.Hour: false,
	} {
		var spans []feed.Span
		for at := now.Add(-100 * 24 * time.Hour); at.Before(now.Add(-silent)); at = at.Add(24*time.Hour + time.Minute) {
			spans = append(spans, feed.Span{From: at, To: at})
		}
		last := now.Add(-silent)
		spans = append(spans, feed.Span{From: last, To: last})
		spans, quiet := bridged(spans, feed.DefaultSilence)
		a := assess(facts{
			credential: credential.Credential{
				Subject:     "c",
				UnusedAfter: 90 * 24 * time.Hour,
				Created:     now.AddDate(-3, 0, 0),
			}, zone: time.UTC,
			feeds: []feedFacts{{name: "f", configured: true, silence: feed.DefaultSilence, quiet: quiet, coverage: spans}},
		}, now)
		if (a.State == NeverUsed) != watching {
			t.Errorf("silent for %s: %s, %s", silent, a.State, a.Reason)
		}
	}
}
