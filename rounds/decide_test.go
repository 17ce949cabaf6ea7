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
	}{
		{"nothing special", hourly, checker.Provider{}, verdict.State{}, Load{}, slot, "as scheduled"},
		{"a schedule that cannot be read", broken, checker.Provider{}, verdict.State{}, Load{}, in(24 * time.Hour), "tomorrow, since its schedule cannot be read or names no time any more"},
		{"passive", hourly, checker.Provider{Passive: true}, verdict.State{}, Load{}, slot, whyPassive},
		{"min_interval", hourly, checker.Provider{MinInterval: 90 * time.Minute}, verdict.State{}, Load{}, slot.Add(time.Hour), whySlow},
		{"suspected", hourly, checker.Provider{}, verdict.State{Status: verdict.Suspect, NextCheck: in(2 * time.Minute)}, Load{}, in(2 * time.Minute), whyRefusal},
		{"narrowed", hourly, checker.Provider{}, verdict.State{Status: verdict.Healthy, NextCheck: in(2 * time.Minute)}, Load{}, in(2 * time.Minute), whyNarrowed},
		{"a confirmation is not held up by min_interval", hourly, checker.Provider{MinInterval: 6 * time.Hour}, verdict.State{Status: verdict.Suspect, NextCheck: in(2 * time.Minute)}, Load{}, in(2 * time.Minute), whyRefusal},
		{"refused often", hourly, checker.Provider{}, verdict.State{Status: verdict.Suspect, NextCheck: in(2 * time.Minute), NotBefore: in(4 * time.Hour)}, Load{}, in(4 * time.Hour), whyCap},
		{"refused often, and its slot is later anyway", hourly, checker.Provider{}, verdict.State{NotBefore: in(time.Minute)}, Load{}, slot, "as scheduled"},
		{"within the budget", hourly, checker.Provider{Budget: 1000}, verdict.State{}, Load{Requests: 1}, slot, "as scheduled"},
		{"beyond the budget", hourly, checker.Provider{Budget: 1000}, verdict.State{}, Load{Requests: 1001}, time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC), "when the budget of its provider allows it, 1000 token requests a month"},
		{"beyond the budget, and passive", hourly, checker.Provider{Budget: 1, Passive: true}, verdict.State{}, Load{Requests: 9}, slot, whyPassive},
	} {
		if at, why := Decide(c.cred, c.p, c.state, c.load, time.UTC, now); !at.Equal(c.at) || why != c.why {
			t.Errorf("%s: %s %q, want %s %q", c.name, at, why, c.at, c.why)
		}
	}
}
