package usage

import (
	"testing"
	"time"

	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/usage/feed"
)

// An API key that no log names is never called unused, however well the feeds watched; one with a client id is.
func TestAKeyThatNoLogNamesIsNotUnused(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	for client, want := range map[string]State{"": NotKnown, "performer-7": NeverUsed} {
		a := assess(facts{
			credential: credential.Credential{Subject: client, UnusedAfter: 90 * 24 * time.Hour, Created: now.AddDate(-3, 0, 0)},
			zone:       time.UTC,
			feeds: []feedFacts{{
				name: "f", configured: true, silence: feed.DefaultSilence, coverage: []feed.Span{{From: now.AddDate(-1, 0, 0), To: now}},
			}},
		}, now)
		if a.State != want || client == "" && a.Cause != CauseNoFeed {
			t.Errorf("client id %q: %s, %s: %s; want %s", client, a.State, a.Cause, a.Reason, want)
		}
	}
}
