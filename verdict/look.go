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
//  3. Others are looked at out of turn where that settles something (Wishes): those that work, when something is refused a
//     second time; those that are refused, when one of them is accepted again, or their incident ends.
//  4. In no case more often than Policy.RefusalsPerHour and the provider's lockout allow, but where it locks nobody out.
//     Turns leave one refusal for the end of the incident. Who is still refused then may be refused three times more to be
//     judged, twice as often in the hour at most; where a lockout is known that holds.
//  5. Two looks at what is refused are half a minute apart, whoever wants them.

// again is when what is refused is looked at again.
func (j *judgement) again() time.Time {
	at, first := j.result.At, j.SuspectSince
	least := at.Add(j.policy.Apart())
	after := j.policy.Again
	if every := after[0]; j.fleet.Lockout.None() {
		return first.Add((least.Sub(first) + every - 1).Truncate(every))
	}
	gap := after[len(after)-1]
	if len(after) > 1 {
		gap -= after[len(after)-2]
	}
	next := at.Add(gap)
	if i := slices.IndexFunc(after, func(d time.Duration) bool { return !first.Add(d).Before(least) }); i >= 0 {
		next = first.Add(after[i])
	}
	if turn := j.turn(); turn.Before(next) && !turn.Before(least) {
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
		most = bears
	}
	return min(most, MostRefusals)
}

// capped returns until when what was refused at those times may not be refused again; the zero time: it may be at now.
// more is how many more than usual are borne in an hour, or fewer: a lockout that is known is never exceeded, and one is
// always borne.
func (p Policy) capped(refusals []time.Time, l checker.Lockout, now time.Time, more int) time.Time {
	most := p.mostAnHour(l)
	if most == 0 {
		return time.Time{}
	}
	if more < 0 || l.PerHour() == 0 {
		most = max(1, most+more)
	}
	if most > len(refusals) {
		return time.Time{}
	}
	if until := refusals[len(refusals)-most].Add(time.Hour); until.After(now) {
		return until
	}
	return time.Time{}
}

// afterIncident is how many looks may judge who is still refused when its incident ends, beyond the refusals of an hour.
const afterIncident = 3

// cappedAfter is capped for what was refused when its incident ended.
func (p Policy) cappedAfter(ended time.Time, refusals []time.Time, l checker.Lockout, now time.Time) time.Time {
	since, more := 0, 0
	for _, t := range refusals {
		if !t.Before(ended) {
			since++
		}
	}
	if since < afterIncident {
		more = p.mostAnHour(l)
	}
	return p.capped(refusals, l, now, more)
}

// Wish asks for a look at a credential out of turn.
type Wish struct {
	CredentialID int64
	Provider     string
	At           time.Time // when, at the soonest
	Again        bool      // it is refused, and may be accepted again; false: it works, and shows that its provider does
}

const (
	mostLooks  = 50 // at credentials of the provider since the first refusal
	mostBeside = 10 // likewise of its neighbours
)

// Wishes returns which other credentials a batch wants looked at out of turn, given what Judge made of it. It is pure.
// Whether their providers may be asked is not its business.
func Wishes(f Fleet, rs []checker.Result, next []State, p Policy) []Wish {
	if len(f.Others) == 0 && len(f.Neighbours) == 0 {
		return nil
	}
	in := f.assess(rs, p)
	over := f.Incident.open() && in.over(f, f.Incident.Affected, next, p) != ""
	return append(in.peers(f, next, over, p), in.refusedOthers(f, rs, next, over, p)...)
}

// peers are others that are to show whether their provider accepts them, since something is refused a second time, or
// still when its incident ends.
func (in incident) peers(f Fleet, next []State, over bool, p Policy) []Wish {
	if over && f.stillRefused(f.Incident.Affected, next) > 0 {
		at := in.now.Add(p.soon(0)) // most are asked before, as scheduled
		return append(unanswered(f.Others, in.now, mostLooks, at), unanswered(f.Neighbours, in.now, mostBeside, at)...)
	}
	doubt := time.Time{}
	for _, s := range next {
		if s.Status != Suspect || s.RefusalCount < 2 && len(in.all.since(in.all.chain(s.SuspectSince, p))) < 2 {
			continue
		}
		first := in.all.chain(s.SuspectSince, p)
		if ended := f.LastIncident.Ended; ended.After(s.SuspectSince) {
			first = ended
		}
		if doubt.IsZero() || first.Before(doubt) {
			doubt = first
		}
	}
	if doubt.IsZero() || f.Incident.open() {
		return nil
	}
	if since := later(in.own.clearing(p, doubt), in.all.clearing(p, doubt)); !since.After(in.now) {
		doubt = since
	}
	return append(unanswered(f.Others, doubt, mostLooks, in.now), unanswered(f.Neighbours, doubt, mostBeside, in.now)...)
}

// refusedOthers are those of the provider, and of its incident, that may be accepted again, since another one is, or since
// the incident is over.
func (in incident) refusedOthers(f Fleet, rs []checker.Result, next []State, over bool, p Policy) []Wish {
	recovered, noise := false, true // noise: what was accepted again was not refused so often that it says much
	for i, s := range next {
		if was := f.state(rs[i]); was.Status.refused() && s.Status.works() {
			recovered = true
			noise = noise && !f.Incident.open() && (was.Status != Revoked && was.RefusalCount <= len(p.Confirm) || was.Flapping)
		}
	}
	if !recovered && !over {
		return nil
	}
	var wishes []Wish
	for _, o := range slices.Concat(f.Others, f.Neighbours) {
		inside := slices.Contains(f.Incident.Affected, o.Credential)
		if !o.Status.refused() || !inside && o.Provider != f.Provider {
			continue
		}
		at, kept := later(in.now, o.LastCheck.Add(p.Apart())), 0
		switch open := f.Incident.open(); {
		case !open && o.Status == Suspect:
			kept = len(p.Confirm)
		case open && o.Status == Revoked && o.Lockout.PerHour() > 0: // blamed alone before the incident, and perhaps rightly
			kept = 1
		}
		switch {
		case over:
			if last := append(slices.Clone(o.Refusals), at); o.Lockout.PerHour() > 0 && !p.capped(last, o.Lockout, at, 0).IsZero() {
				at = in.now.Add(p.soon(1)) // the last one that is borne is to judge it
			}
			at = later(at, p.cappedAfter(in.now, o.Refusals, o.Lockout, at))
		case noise && in.now.Sub(o.LastCheck) < p.Again[0], !p.capped(o.Refusals, o.Lockout, at, -kept).IsZero():
			continue
		}
		wishes = append(wishes, Wish{o.CredentialID, o.Provider, at, true})
	}
	return wishes
}

// unanswered returns which of a sample of others were not asked since t, to be looked at at a time. The sample has at most
// so many, and the same as long as the others are.
func unanswered(others []Other, t time.Time, most int, at time.Time) []Wish {
	sample := slices.DeleteFunc(slices.Clone(others), func(o Other) bool { return !o.Status.works() && !o.Status.refused() })
	if len(sample) > most {
		place := func(o Other) uint32 { return uint32(o.CredentialID) * 2654435761 } // spread over all (Knuth)
		slices.SortFunc(sample, func(a, b Other) int { return cmp.Compare(place(a), place(b)) })
		sample = sample[:most]
	}
	var wishes []Wish
	for _, o := range sample {
		if o.Status.works() && o.LastCertain.Before(t) && o.LastCheck.Before(t) {
			wishes = append(wishes, Wish{o.CredentialID, o.Provider, at, false})
		}
	}
	return wishes
}
