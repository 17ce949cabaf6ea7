package rounds

import (
	"testing"
	"time"

	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/verdict"
)

// When a credential is checked next, and why then.
func TestDecide(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 6, 1, 12, 3, 0, 0, time.UTC) // the 1st: a budget has hardly begun
	hourly := credential.Credential{Name: "a", Schedule: "0 * * * *"}
	slot, _ := hourly.Next(time.UTC, now)
	broken := credential.Credential{Name: "a", Schedule: "every now and then"}
	in := func(d time.Duration) time.Time { return now.Add(d) }
	for _, c := range []struct {
		name  string
		cred  credential.Credential
		p     checker.Provider
		state verdict.State
		load  Load
		at    time.Time
		why   string
		now   time.Time // zero: now
	}{
		{name: "nothing special", cred: hourly, at: slot, why: "as scheduled"},
		{
			name: "a schedule that cannot be read",
			cred: broken,
			at:   in(24 * time.Hour),
			why:  "tomorrow, since its schedule cannot be read or names no time any more",
		},
		{name: "passive", cred: hourly, p: checker.Provider{Passive: true}, at: slot, why: whyPassive},
		{name: "min_interval", cred: hourly, p: checker.Provider{MinInterval: 90 * time.Minute}, at: slot.Add(time.Hour), why: whySlow},
		{
			name:  "suspected",
			cred:  hourly,
			state: verdict.State{Status: verdict.Suspect, NextCheck: in(2 * time.Minute)},
			at:    in(2 * time.Minute),
			why:   whyRefusal,
		},
		{
			name:  "narrowed",
			cred:  hourly,
			state: verdict.State{Status: verdict.Healthy, NextCheck: in(2 * time.Minute)},
			at:    in(2 * time.Minute),
			why:   whyNarrowed,
		},
		{
			name:  "a confirmation is not held up by min_interval",
			cred:  hourly,
			p:     checker.Provider{MinInterval: 6 * time.Hour},
			state: verdict.State{Status: verdict.Suspect, NextCheck: in(2 * time.Minute)},
			at:    in(2 * time.Minute),
			why:   whyRefusal,
		},
		{
			name:  "refused often",
			cred:  hourly,
			state: verdict.State{Status: verdict.Suspect, NextCheck: in(2 * time.Minute), NotBefore: in(4 * time.Hour)},
			at:    in(4 * time.Hour),
			why:   whyCap,
		},
		{
			name:  "refused often, and its slot is later anyway",
			cred:  hourly,
			state: verdict.State{NotBefore: in(time.Minute)},
			at:    slot,
			why:   "as scheduled",
		},
		{
			name: "a slot seconds after a look out of turn",
			cred: credential.Credential{Name: "a", Schedule: "0 * * * *", NextWhy: whyPeer, NextCheck: slot.Add(-5 * time.Second)},
			now:  slot.Add(-5 * time.Second),
			at:   slot.Add(time.Hour),
			why:  "as scheduled",
		},
		{
			name: "within the budget",
			cred: hourly,
			p:    checker.Provider{Budget: 1000},
			load: Load{Requests: 1},
			at:   slot,
			why:  "as scheduled",
		},
		{
			name: "beyond the budget",
			cred: hourly,
			p:    checker.Provider{Budget: 1000},
			load: Load{Requests: 1001},
			at:   time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC),
			why:  "when the budget of its provider allows it, 1000 token requests a month",
		},
		{
			name: "beyond the budget, and passive",
			cred: hourly,
			p:    checker.Provider{Budget: 1, Passive: true},
			load: Load{Requests: 9},
			at:   slot,
			why:  whyPassive,
		},
	} {
		if c.now.IsZero() {
			c.now = now
		}
		if at, why := Decide(c.cred, c.p, c.state, c.load, credential.NewSchedules(time.UTC), c.now); !at.Equal(c.at) || why != c.why {
			t.Errorf("%s: %s %q, want %s %q", c.name, at, why, c.at, c.why)
		}
	}
}
