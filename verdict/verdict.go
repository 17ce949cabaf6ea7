// Package verdict judges: from what we held of a credential, what its check said and how the
// provider's other credentials do, it makes the next status and the findings to open or close.
//
// It is pure: no clock, no database, no network. The time is that of the results.
package verdict

import (
	"slices"
	"time"

	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/finding"
)

// Rules of judgement:
//
//  1. A token ends every suspicion. Nothing else does.
//  2. Rejected makes a credential suspect; only refusals that confirm it, each at its time, make it
//     revoked. A certain reason needs one, the others all of Policy.Confirm; where others of its provider are accepted
//     meanwhile they count a minute and two after the first. Where the provider's own log says that it was revoked since
//     it last worked, the first refusal is enough.
//  3. A credential that never worked since we have its present secret stays pending for the grace.
//  4. Where many of a provider's credentials turn at once, that is one incident (incident.go); none of them is
//     revoked before it is over, and refused once more when others of its provider are accepted.
//  5. An outcome that says nothing of the credential changes no status; when such outcomes last too
//     long, that is a finding.
//  6. Where that holds for most of a provider's credentials, or for all providers at once, it is one
//     finding, not one each. A provider that answers nobody is told sooner.
//  7. What changes to and fro is flapping, and until it calms loses no scopes, and dies only of ten minutes of refusals.

// Judge returns the next state of each credential in rs, in the order of rs, and what its findings do: first those of
// the credentials, then those of the provider, then those of keyrounds itself. The rules are above.
//
// The results must be of one provider, one for each credential, and f must be what LockFleet returned for them. A
// credential that f does not know is Pending since its check began. A result of a credential that is retired, or that
// changed here after the check began, changes nothing: its state is returned as it was. It is pure, and f is not
// changed.
func Judge(f Fleet, rs []checker.Result, p Policy) ([]State, []finding.Event) {
	incident, outage := f.assess(rs, p), f.blindness(rs, p)
	states := make([]State, 0, len(rs))
	var events []finding.Event
	for _, r := range rs {
		prev := f.state(r)
		if prev.Status == Retired || prev.Changed.After(r.At) {
			states = append(states, prev)
			continue
		}
		j := &judgement{
			State:    prev,
			prev:     prev,
			result:   r,
			policy:   p,
			fleet:    f,
			incident: incident,
			outage:   outage,
			told:     f.Told[r.CredentialID],
			unsaid:   f.Unsaid,
		}
		j.judge()
		states = append(states, j.State)
		events = append(events, j.events...)
	}
	if incident.on && !incident.began && incident.over(f, f.Incident.Affected, states, p) != "" {
		incident.release(f, states, p)
	}
	events = append(events, incident.events(f, states, p)...)
	return states, append(events, outage.events(f, rs, states, p)...)
}

type judgement struct {
	State
	prev     State
	result   checker.Result
	policy   Policy
	fleet    Fleet
	incident incident
	outage   outage
	told     Revocation
	unsaid   []Revocation
	events   []finding.Event
}

func (j *judgement) judge() {
	j.LastCheck, j.NextCheck, j.NotBefore, j.NotAfter = j.result.At, time.Time{}, time.Time{}, time.Time{}
	j.secretReadable()
	j.ends()
	switch j.result.Outcome {
	case checker.OK, checker.ScopeReduced:
		j.alive()
	case checker.Rejected:
		j.refused()
	case checker.ScopeDenied, checker.GrantDenied:
		j.certain()
		j.narrowed()
	default:
		j.uncertain()
	}
	j.flaps()
}

// ends keeps when the credential ends: a token's answer says all of it, and without one what the provider said before
// holds.
func (j *judgement) ends() {
	switch r := j.result; {
	case r.Outcome.HasToken():
		j.Ends = r.Ends
	case r.Ends.IsZero():
	case j.Ends.By == credential.EndProvider:
		j.Ends = r.Ends.Earlier(j.Ends)
	default:
		j.Ends = r.Ends
	}
}

// alive: the provider issued a token.
func (j *judgement) alive() {
	r := j.result
	j.certain()
	j.LastSuccess, j.Setup, j.Unproven = r.At, r.Setup, r.Unproven
	j.SuspectSince, j.Refusals, j.RefusalCount, j.GraceRefusals = time.Time{}, nil, 0, 0
	j.Proven, j.Cleared = false, false
	if j.Status != Degraded {
		j.become(Healthy)
	}
	if j.prev.Status != Healthy {
		j.resolve(finding.Revoked, "the provider accepts it again")
	}
	if r.Outcome == checker.ScopeReduced {
		j.narrowed()
		return
	}
	j.excess()
	j.lifetime()
	if !j.NarrowSince.IsZero() {
		j.NarrowSince, j.MissingScopes = time.Time{}, nil
		j.resolve(finding.ScopeLost, "every declared scope is granted again")
	}
	j.become(Healthy)
}

// refused: the provider refuses the client itself.
func (j *judgement) refused() {
	at := j.result.At
	j.certain()
	if grace := j.Changed.Add(j.policy.Grace); j.Status != Revoked && j.NeverHealthy() && at.Before(grace) {
		j.become(Pending)
		j.GraceRefusals++ // they confirm nothing, and use up nothing of what is to confirm it after the grace
		if most := j.policy.mostAnHour(j.fleet.Lockout); most > 0 && j.GraceRefusals >= most {
			j.NotBefore = grace
		}
		return
	}
	if j.Status == Revoked && j.takenIn() {
		j.become(Suspect)
	}
	j.RefusalCount++
	j.Refusals = append(j.Refusals, at)
	if len(j.Refusals) > 1+MostRefusals { // the first one says since when, the rest are the newest
		j.Refusals = slices.Delete(j.Refusals, 1, 2)
	}
	if j.Status != Revoked {
		j.suspect()
	} else if !j.incident.on {
		j.openRevoked() // it is open already, unless an incident that is over took it back
	}
	if j.Status == Revoked || j.incident.on {
		j.NextCheck = j.again()
		j.NotBefore = j.NextCheck
	}
	j.NotBefore = later(j.NotBefore, j.capped())
	for i := range j.events {
		if e := &j.events[i]; e.Kind == finding.Revoked {
			if e.Evidence.NextCheck = later(j.NextCheck, j.NotBefore); j.fleet.Lockout.None() {
				e.Evidence.LooksEvery = j.policy.Again[0]
			}
		}
	}
}

// capped is until when it may not be refused again.
func (j *judgement) capped() time.Time {
	at, lockout := j.result.At, j.fleet.Lockout
	switch ended := j.fleet.LastIncident.Ended; {
	case j.incident.on:
		return j.policy.capped(j.Refusals, lockout, at, -1)
	case j.Status == Suspect && ended.After(j.SuspectSince):
		return j.policy.cappedAfter(ended, j.Refusals, lockout, at)
	}
	return j.policy.capped(j.Refusals, lockout, at, 0)
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func (j *judgement) suspect() {
	at := j.result.At
	if j.Status != Suspect {
		j.SuspectSince, j.Refusals = at, []time.Time{at}
		j.become(Suspect)
	}
	if j.corroborated() {
		j.Proven = true
		j.become(Revoked)
		j.openRevoked()
		return
	}
	if j.incident.on {
		return
	}
	from, ended := j.SuspectSince, j.fleet.LastIncident.Ended
	left := ended.After(from) // refused before an incident ended, and since
	if left {
		from = ended
	}
	needed := len(j.policy.Confirm)
	if j.result.Reason.Certain() && !j.setupChanged() {
		needed = min(1, needed)
	}
	confirmed, next := j.policy.confirmations(j.Refusals, from, j.mayBeSoon(), j.cleared(from))
	if judged := from.Add(j.policy.soon(1)); left && !j.Flapping {
		switch {
		case at.Before(judged): // the others may be accepted as well by then
			next = later(judged, at.Add(j.policy.Apart()))
		case !j.cleared(from):
		case j.RefusalCount > needed:
			confirmed = needed
		default:
			next = at.Add(j.policy.soon(0))
		}
	}
	if dead := j.SuspectSince.Add(flapDeath); j.Flapping && at.Before(dead) {
		if confirmed, next = min(confirmed, needed-1), at.Add(j.policy.soon(1)); next.After(dead) {
			next = dead
		}
	}
	if confirmed < needed {
		if soon := at.Add(j.policy.Apart()); j.mayBeSoon() && soon.Before(next) && j.nearlyClear(from) {
			next = soon
		}
		if j.NextCheck = next; j.policy.Early && !j.NeverHealthy() && !j.Flapping {
			j.open(finding.Revoked, finding.Evidence{
				Since:   j.SuspectSince,
				Refusal: finding.Refusal{Refusals: slices.Clone(j.Refusals), Suspected: true, NextCheck: next},
			})
		}
		return
	}
	j.Cleared = j.cleared(from)
	j.become(Revoked)
	j.openRevoked()
}

// mayBeSoon reports whether it may be asked so soon as others can clear the provider: there are some, and the refusals
// that this may cost for nothing are borne.
func (j *judgement) mayBeSoon() bool {
	most := j.policy.mostAnHour(j.fleet.Lockout)
	return !j.Flapping && j.incident.own.total > 1 && (most == 0 || most >= len(j.policy.Confirm)+2)
}

// nearlyClear reports whether others were accepted since its refusals began, and are asked once more.
func (j *judgement) nearlyClear(from time.Time) bool {
	own, at := j.incident.own, j.result.At
	since := own.clearing(j.policy, from)
	_, accepted := own.answered(from)
	return accepted > 0 && since.After(own.chain(from, j.policy)) && !at.Before(since) && at.Before(since.Add(j.policy.soon(1)))
}

// cleared reports whether the answers of others show that its refusals since then are its own.
func (j *judgement) cleared(from time.Time) bool {
	return j.incident.own.clears(j.policy, from) && (len(j.fleet.Neighbours) == 0 || j.incident.all.clears(j.policy, from))
}

// takenIn reports whether it was blamed alone for what turned out to be an incident.
func (j *judgement) takenIn() bool {
	if j.Proven {
		return false
	}
	if j.incident.on {
		return slices.ContainsFunc(j.incident.affected, func(t turned) bool { return t.id == j.CredentialID })
	}
	last := j.fleet.LastIncident
	return j.Since.Before(last.Ended) && !j.SuspectSince.Before(last.First) && slices.Contains(last.Affected, j.Credential)
}

// corroborated reports whether the provider's own log says that the credential was revoked after it last
// worked. Its clock may be off by as much as clockSlack.
func (j *judgement) corroborated() bool {
	at := j.told.At
	return !at.IsZero() && at.After(j.LastSuccess.Add(-clockSlack)) && at.After(j.Changed.Add(-clockSlack)) &&
		!at.After(j.result.At.Add(clockSlack))
}

const clockSlack = time.Minute

// setupChanged reports whether the provider's settings here changed since it last worked: then they
// may be what is refused.
func (j *judgement) setupChanged() bool { return j.Setup != "" && j.Setup != j.result.Setup }

// narrowed: the client is known, and may not do what it is registered for.
func (j *judgement) narrowed() {
	at := j.result.At
	if j.NarrowSince.IsZero() {
		j.NarrowSince = at
	}
	j.MissingScopes = j.result.Missing
	if j.Status.refused() {
		return // no token, so the suspicion stays
	}
	if wait := j.policy.Confirm; len(wait) > 0 && at.Before(j.NarrowSince.Add(wait[0])) {
		j.NextCheck = j.NarrowSince.Add(wait[0])
		return
	}
	j.become(Degraded)
	j.openScopeLost()
}

// certain: the provider answered for itself.
func (j *judgement) certain() {
	j.LastCertain = j.result.At
	j.TroubleSince = time.Time{}
	if !j.UncertainSince.IsZero() {
		j.UncertainSince = time.Time{}
		j.resolve(finding.Unverifiable, "the provider gives a certain answer again")
	}
}

func (j *judgement) uncertain() {
	if j.result.Reason == checker.SecretUnreadable {
		return // a finding of its own
	}
	at := j.result.At
	if j.UncertainSince.IsZero() {
		j.UncertainSince = at
	}
	j.TroubleSince = troubleSince(j.State, j.result)
	if j.Status.refused() { // it is looked at again soon, then less and less often
		wait := min(max(at.Sub(j.UncertainSince), j.policy.soon(0)), j.policy.Again[0])
		j.NextCheck = at.Add(wait)
	}
	if at.Sub(j.UncertainSince) >= j.policy.UnverifiableAfter && !j.outage.wide && !j.outage.down && !j.fleet.Down {
		j.open(finding.Unverifiable, finding.Evidence{Since: j.UncertainSince})
	}
	// Whoever got no answer first is asked again when its provider counts as down.
	if told := j.TroubleSince.Add(j.policy.ProviderDownAfter); !j.TroubleSince.IsZero() && j.TroubleSince.Equal(j.outage.since) &&
		told.After(at) {
		j.NotAfter = told
	}
}

func (j *judgement) secretReadable() {
	if j.result.Reason == checker.SecretUnreadable {
		j.SecretLost = true
		j.open(finding.SecretUnreadable, finding.Evidence{Since: j.result.At})
	} else if j.SecretLost {
		j.SecretLost = false
		j.resolve(finding.SecretUnreadable, "the secret can be read again")
	}
}

const (
	flapWindow  = time.Hour
	flapChanges = 4
	flapDeath   = 10 * time.Minute // without a token in between: that is no flapping
)

func (j *judgement) flaps() {
	at := j.result.At
	j.Turns = slices.DeleteFunc(j.Turns, func(t time.Time) bool { return at.Sub(t) >= flapWindow })
	switch {
	case !j.Flapping && len(j.Turns) >= flapChanges:
		j.Flapping = true
		j.events = slices.DeleteFunc(j.events, j.isSuppressed)
		j.open(finding.Flapping, finding.Evidence{Since: j.Turns[0]})
	case j.Flapping && len(j.Turns) == 0:
		j.Flapping = false
		j.resolve(finding.Flapping, "its status has not changed for an hour")
		if j.Status == Degraded {
			j.openScopeLost()
		}
	case j.Flapping:
		j.events = slices.DeleteFunc(j.events, j.isSuppressed)
	}
}

func (j *judgement) isSuppressed(e finding.Event) bool {
	return e.Op == finding.OpOpen && e.Kind == finding.ScopeLost
}

// become changes the status. A turn between working and not working counts toward flapping, unless
// the provider as a whole is to blame.
func (j *judgement) become(s Status) {
	if j.Status == s {
		return
	}
	if !j.incident.on && s.refused() != j.Status.refused() && j.Status != Pending && !(j.Status == Suspect && s == Revoked) {
		j.Turns = append(j.Turns, j.result.At)
	}
	j.Status, j.Since = s, j.result.At
}

func (j *judgement) openRevoked() {
	e := finding.Evidence{
		Since: j.SuspectSince,
		Refusal: finding.Refusal{
			Refusals: slices.Clone(j.Refusals), Certain: j.result.Reason.Certain(), SetupChanged: j.setupChanged(),
			NeverHealthy: j.NeverHealthy(),
		},
		Outage: finding.Outage{PeersTotal: j.incident.own.total - 1, PeersHealthy: j.incident.healthy},
	}
	if end := (credential.Credential{Expires: j.result.Expires}).End(j.Ends); j.result.Reason == checker.ExpiredSecret ||
		!end.Over().After(j.result.At) {
		e.ExpiresAt, e.ExpiresBy = end.At, string(end.By)
	}
	e.UsualLife = j.TokenLife // until then its last token works
	if e.CouldBe = j.result.RefusesFor; e.NeverHealthy {
		e.CouldBe = j.result.Choices
	}
	if j.corroborated() {
		e.CouldBe = nil
		e.Certain, e.RevokedAt, e.RevokedBy, e.RevokedFeed = true, j.told.At, j.told.By, j.told.Feed
	} else if r, ok := j.unattributed(); ok {
		e.RevokedOne, e.RevokedAt, e.RevokedBy, e.RevokedFeed = true, r.At, r.By, r.Feed
	}
	j.open(finding.Revoked, e)
}

// unattributed is a revocation in the provider's own log, between the last success and now, that does not
// say of which credential. It confirms nothing, and is worth naming.
func (j *judgement) unattributed() (Revocation, bool) {
	for _, r := range j.unsaid {
		if r.At.After(j.LastSuccess.Add(-clockSlack)) && !r.At.After(j.result.At.Add(clockSlack)) && !j.NeverHealthy() {
			return r, true
		}
	}
	return Revocation{}, false
}

func (j *judgement) openScopeLost() {
	e := finding.Evidence{
		Since:   j.NarrowSince,
		Scopes:  finding.Scopes{MissingScopes: j.MissingScopes, NoToken: !j.result.Outcome.HasToken()},
		Refusal: finding.Refusal{NeverHealthy: j.NeverHealthy()},
	}
	if e.NoToken {
		e.UsualLife = j.TokenLife // until then its last token works
	}
	j.open(finding.ScopeLost, e)
}

// open asks for a finding, with what the result says added to its evidence.
func (j *judgement) open(k finding.Kind, e finding.Evidence) {
	r := j.result
	e.Outcome, e.Reason, e.Rule = string(r.Outcome), string(r.Reason), r.Rule
	e.HTTPStatus, e.ErrorCode, e.ErrorDescription, e.Message = r.HTTPStatus, r.ErrorCode, r.ErrorDescription, r.Message
	e.ClockSkew, e.LastSuccess = r.ClockSkew, j.LastSuccess
	j.events = append(j.events, finding.Event{Op: finding.OpOpen, Kind: k, Subject: j.subject(), At: r.At, Evidence: e})
}

func (j *judgement) resolve(k finding.Kind, why string) {
	j.events = append(j.events, finding.Event{Op: finding.OpResolve, Kind: k, Subject: j.subject(), At: j.result.At, Why: why})
}

func (j *judgement) subject() finding.Subject {
	return finding.Subject{Credential: j.Credential, CredentialID: j.CredentialID, Provider: j.Provider}
}
