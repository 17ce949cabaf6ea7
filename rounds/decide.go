package rounds

import (
	"fmt"
	"time"

	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/verdict"
)

// When a credential is checked next, by these rules:
//
//  1. Where its provider's budget is used up so far, not before the budget allows it.
//  2. Else when the verdict wants it: to confirm what it saw, or to see whether it is over. What is refused is looked at
//     again no sooner than its provider's min_interval allows.
//  3. Else when its schedule says, no sooner than its provider's min_interval allows. What was checked so late that a
//     slot was left out comes again no sooner than an interval later, and off its slots: whoever had the luck of a slot
//     that comes soon would be checked more often than the others that are late. A slot that comes seconds after a look
//     out of turn is passed over.
//  4. In no case sooner than the verdict bears: a provider may lock a client out that is refused often.
//
// At a passive provider nothing is checked; the schedule goes on, for the day when that changes.

// Load is what a provider was asked already.
type Load struct {
	Requests int // token requests of the month (UTC) of now, with the one in question; 0: it is not counted
}

// Reasons for the time of a next check, beside those of the registry.
const (
	whyPassive  = "never, its provider is passive; its schedule would name this time"
	whyRefusal  = "to confirm that the provider refuses it"
	whyAgain    = "to see whether the provider accepts it again"
	whyOutage   = "to see whether the provider answers again"
	whyNarrowed = "to confirm that it may do less than it is registered for"
	whyCap      = "no sooner, since the provider refused it often and may lock it out"
	whySlow     = "as scheduled, but no sooner than min_interval of its provider allows"
	whyLate     = "in turn with the others of its provider, whose checks are late"
	whyLog      = "at once, since the provider's own log says that it was revoked or changed"
)

// Decide returns when c is checked next, given what the verdict made of its last check (the zero State: nothing), and
// why then, in words for a person. It is pure.
func Decide(
	c credential.Credential,
	p checker.Provider,
	st verdict.State,
	load Load,
	schedules *credential.Schedules,
	now time.Time,
) (at time.Time, why string) {
	if at := load.allows(p, now); at.After(now) {
		return at, fmt.Sprintf("when the budget of its provider allows it, %d token requests a month", p.Budget)
	}
	at, why = slot(c, p, schedules, now)
	if !st.NextCheck.IsZero() {
		at, why = st.NextCheck, whyNarrowed
		switch {
		case st.Status == verdict.Revoked || st.NextCheck.Equal(st.NotBefore):
			if why = whyAgain; at.Before(now.Add(p.MinInterval)) {
				at = now.Add(p.MinInterval)
			}
		case st.Status == verdict.Suspect:
			why = whyRefusal
		}
	}
	if at.After(st.NotAfter) && !st.NotAfter.IsZero() {
		at, why = st.NotAfter, whyOutage
	}
	if st.NotBefore.After(at) {
		at, why = st.NotBefore, whyCap
	}
	return at, why
}

// allows returns when a budget allows the request in question; the zero Time: there is none.
func (l Load) allows(p checker.Provider, now time.Time) time.Time {
	if p.Budget <= 0 || l.Requests == 0 || p.Passive {
		return time.Time{}
	}
	return affordable(p.Budget, l.Requests, now)
}

// maxLateTurn bounds how far what was late moves off its slots.
const maxLateTurn = 15 * time.Minute

// leastAfterTurn is how long after a look out of turn a slot of the schedule is passed over.
const leastAfterTurn = 20 * time.Second

// slot is the first slot of c's schedule that is not sooner than its provider's min_interval allows.
func slot(c credential.Credential, p checker.Provider, schedules *credential.Schedules, now time.Time) (at time.Time, why string) {
	scheduled, why := schedules.Next(c, now)
	switch {
	case p.Passive:
		return scheduled, whyPassive
	case now.Sub(c.NextCheck) > leastBehind && !c.NextCheck.IsZero():
		every := intervalAt(c.Schedule, p)
		if at := now.Add(min(every, maxLateTurn)); now.Sub(c.NextCheck) > every && at.After(scheduled) {
			return at, whyLate
		}
	}
	if c.NextWhy == whyPeer || c.NextWhy == whyRecovered { // a slot seconds later would say nothing more
		if at, why = schedules.Next(c, now.Add(min(leastAfterTurn, intervalAt(c.Schedule, p)/2))); at.After(scheduled) {
			scheduled = at
		}
	}
	if p.MinInterval <= time.Second {
		return scheduled, why
	}
	if at, _ = schedules.Next(c, now.Add(p.MinInterval-time.Second)); at.After(scheduled) { // a slot that comes just in time counts
		return at, whySlow
	}
	return scheduled, why
}
