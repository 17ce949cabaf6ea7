package verdict

import (
	"cmp"
	"slices"
	"time"

	"github.com/keyrounds/keyrounds/checker"
)

// Rules of looking again:
//
//  1. What is refused is looked at again at the times of Policy.Again, and then as far apart as the last two of them:
//     providers lock clients out. Where the provider bears any number of refusals, as often as the first of them.
//  2. In an incident its credentials take turns: one of them is looked at in two thirds of the first time, 10 minutes.
//  3. In no case more often than Policy.RefusalsPerHour and the provider's lockout allow, but where it locks nobody out.
//  4. Others are looked at out of turn where that settles something (Wishes): those that work, when something is refused a
//     second time; those that are refused, when one of them is accepted again.

// again is when what is refused is looked at again.
func (j *judgement) again() time.Time {
	at, first := j.result.At, j.SuspectSince
	if j.fleet.Lockout.None() {
		return at.Add(j.policy.Again[0])
	}
	after := j.policy.Again
	gap := after[len(after)-1]
	if len(after) > 1 {
		gap -= after[len(after)-2]
	}
	next := at.Add(gap)
	if i := slices.IndexFunc(after, func(d time.Duration) bool { return first.Add(d).After(at) }); i >= 0 {
		next = first.Add(after[i])
	}
	if turn := j.turn(); !turn.IsZero() && turn.Before(next) {
		next = turn
	}
	return next
}

// turn is when it is its turn in the incident; zero: it is in none.
func (j *judgement) turn() time.Time {
	if !j.incident.on {
		return time.Time{}
	}
	i := slices.IndexFunc(j.incident.affected, func(t turned) bool { return t.id == j.CredentialID })
	if i < 0 {
		return time.Time{}
	}
	n, turnEvery := len(j.incident.affected), j.policy.Again[0]*2/3
	now := int(j.result.At.Sub(j.incident.first) / turnEvery)
	wait := (i - now%n + n) % n
	if wait == 0 {
		wait = n
	}
	return j.incident.first.Add(time.Duration(now+wait) * turnEvery)
}

// mostAnHour is how often it may be refused in an hour; 0: there is no limit.
func (p Policy) mostAnHour(l checker.Lockout) int {
	most, bears := p.RefusalsPerHour, l.PerHour()
	if l.None() {
		return 0
	}
	if most == 0 || bears > 0 && bears < most {
		return bears
	}
	return most
}

// capped returns until when what was refused at those times may not be refused again; the zero time: it may be at once.
func (p Policy) capped(refusals []time.Time, l checker.Lockout, now time.Time) time.Time {
	most := p.mostAnHour(l)
	if most == 0 || most > len(refusals) {
		return time.Time{}
	}
	if until := refusals[len(refusals)-most].Add(time.Hour); until.After(now) {
		return until
	}
	return time.Time{}
}

// Wish asks for a look at a credential now, out of turn.
type Wish struct {
	CredentialID int64
	Provider     string
	Again        bool // it is refused, and may be accepted again; false: it works, and shows that its provider does
}

const (
	mostLooks  = 50 // at credentials of the provider since the first refusal
	mostBeside = 10 // likewise of its neighbours
)

// Wishes returns which other credentials a batch wants looked at now, given what Judge made of it. It is pure. Whether
// their providers may be asked is not its business.
func Wishes(f Fleet, rs []checker.Result, next []State, p Policy) []Wish {
	if len(f.Others) == 0 && len(f.Neighbours) == 0 {
		return nil
	}
	in := f.assess(rs, p)
	doubt, recovered, wishes := time.Time{}, false, []Wish(nil)
	for i, s := range next {
		recovered = recovered || f.state(rs[i]).Status.refused() && s.Status.works()
		if s.Status == Suspect && (s.RefusalCount > 1 || len(in.all.since(in.all.chain(s.SuspectSince, p))) > 1) {
			if first := in.all.chain(s.SuspectSince, p); doubt.IsZero() || first.Before(doubt) {
				doubt = first
			}
		}
	}
	if !doubt.IsZero() && !f.Incident.open() {
		if since := later(in.own.clearing(p, doubt), in.all.clearing(p, doubt)); !since.After(in.now) {
			doubt = since
		}
		wishes = append(unanswered(f.Others, doubt, mostLooks), unanswered(f.Neighbours, doubt, mostBeside)...)
	}
	rest := p.Again[0] // what was looked at sooner is not asked again for another's recovery
	switch over := f.Incident.open() && in.over(f, f.Incident.Affected, next, p) != ""; {
	case over:
		rest, recovered = 0, true
	case f.Incident.open():
		rest = p.Again[0] / 3
	}
	if !recovered {
		return wishes
	}
	for _, o := range slices.Concat(f.Others, f.Neighbours) {
		inside := slices.Contains(f.Incident.Affected, o.Credential)
		if o.Status.refused() && (inside || o.Provider == f.Provider) && in.now.Sub(o.LastCheck) >= rest &&
			p.capped(o.Refusals, o.Lockout, in.now).IsZero() {
			wishes = append(wishes, Wish{o.CredentialID, o.Provider, true})
		}
	}
	return wishes
}

// unanswered returns which of a sample of others were not asked since t. The sample has at most so many, and the same as
// long as the others are.
func unanswered(others []Other, t time.Time, most int) []Wish {
	sample := slices.DeleteFunc(slices.Clone(others), func(o Other) bool { return !o.Status.works() && !o.Status.refused() })
	if len(sample) > most {
		place := func(o Other) uint32 { return uint32(o.CredentialID) * 2654435761 } // spread over all (Knuth)
		slices.SortFunc(sample, func(a, b Other) int { return cmp.Compare(place(a), place(b)) })
		sample = sample[:most]
	}
	var wishes []Wish
	for _, o := range sample {
		if o.Status.works() && o.LastCertain.Before(t) && o.LastCheck.Before(t) {
			wishes = append(wishes, Wish{o.CredentialID, o.Provider, false})
		}
	}
	return wishes
}
