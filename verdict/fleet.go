package verdict

import (
	"slices"
	"time"

	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/finding"
)

// Fleet is what we hold of one provider's credentials when a batch of them is judged. audit.Store.LockFleet makes it
// and locks what it says; the zero value says that nothing is known of any.
type Fleet struct {
	Provider string
	States   map[int64]State // of the credentials in the batch
	// What follows is filled in only when something was refused or uncertain, or such a finding is open.
	Others        []Other   // the provider's other credentials
	IncidentSince time.Time // zero: none is open
	Affected      []string  // of the open incident
	IncidentEnded time.Time // the last one; zero: none
	Outage        bool      // the provider has an open finding of its own: unverifiable
	Blind         bool      // so has keyrounds itself
	// The credentials of all other providers that were checked within the hour, if there are any, could
	// not be reached either, since then at the latest.
	ElsewhereSilent bool
	ElsewhereSince  time.Time
	// What the provider's own log says, as far as a feed has it.
	Told   map[int64]Revocation // the last revocation of a credential in the batch
	Unsaid []Revocation         // lately, without saying of which credential; the newest first
}

// Revocation is a provider's own word that a credential was revoked, as a feed of its log has it. The zero value is
// none.
type Revocation struct {
	At   time.Time
	By   string // "": not said
	Feed string
}

// Other is one of the provider's credentials that is not in the batch and is not retired.
type Other struct {
	Credential     string
	Status         Status
	SuspectSince   time.Time
	EverHealthy    bool
	UncertainSince time.Time // zero: the last answer was certain
}

func (f Fleet) state(r checker.Result) State {
	s, ok := f.States[r.CredentialID]
	if !ok {
		s = State{Status: Pending, Since: r.At, Changed: r.At}
	}
	s.CredentialID, s.Credential, s.Provider = r.CredentialID, r.Credential, r.Provider
	return s
}

// incident is what a batch means for the provider as a whole.
type incident struct {
	on       bool
	began    bool // with this batch
	ended    time.Time
	now      time.Time
	affected []string
	peers    int // all of the provider's credentials, with those of the batch
	healthy  int // of them, as far as is known
}

// assess counts the credentials that turned from healthy to rejected within the policy's time.
func (f Fleet) assess(rs []checker.Result, p Policy) incident {
	in := incident{ended: f.IncidentEnded}
	for _, r := range rs {
		if r.At.After(in.now) {
			in.now = r.At
		}
	}
	recent := func(t time.Time) bool { return !t.IsZero() && in.now.Sub(t) <= p.Incident.Within }
	stood := 0 // worked at the beginning of that time
	for _, o := range f.Others {
		in.peers++
		switch {
		case o.Status == Healthy || o.Status == Degraded:
			in.healthy++
			stood++
		case o.EverHealthy && recent(o.SuspectSince):
			in.affected = append(in.affected, o.Credential)
			stood++
		}
	}
	for _, r := range rs {
		prev := f.state(r)
		if prev.Status == Retired {
			continue
		}
		refused := r.Outcome == checker.Rejected
		in.peers++
		if r.Outcome.HasToken() || !refused && (prev.Status == Healthy || prev.Status == Degraded) {
			in.healthy++
		}
		if prev.NeverHealthy() && prev.Status == Pending {
			continue
		}
		turned := refused && (prev.Status == Healthy || prev.Status == Degraded) ||
			!r.Outcome.HasToken() && prev.Status == Suspect && recent(prev.SuspectSince) && !prev.NeverHealthy()
		if turned {
			in.affected = append(in.affected, r.Credential)
		}
		if turned || prev.Status == Healthy || prev.Status == Degraded {
			stood++
		}
	}
	big := len(in.affected) >= max(1, p.Incident.Count) && float64(len(in.affected)) >= p.Incident.Share*float64(stood)
	in.on = big || !f.IncidentSince.IsZero()
	in.began = big && f.IncidentSince.IsZero()
	return in
}

// events opens the incident, adds to it, or ends it when at least half of its credentials are no
// longer suspect.
func (in incident) events(f Fleet, next []State) []finding.Event {
	if !in.on {
		return nil
	}
	subject := finding.Subject{Provider: f.Provider}
	all := slices.Concat(f.Affected, in.affected)
	slices.Sort(all)
	all = slices.Compact(all)
	open := finding.Event{
		Op: finding.OpOpen, Kind: finding.ProviderIncident, Subject: subject, At: in.now,
		Evidence: finding.Evidence{Since: in.now, Affected: all, PeersTotal: in.peers, PeersHealthy: in.healthy},
	}
	if in.began {
		return []finding.Event{open}
	}
	if still := f.stillSuspect(all, next); 2*still <= len(all) {
		return []finding.Event{{
			Op: finding.OpResolve, Kind: finding.ProviderIncident, Subject: subject, At: in.now,
			Why: "most of its credentials are accepted again; the others are judged one by one",
		}}
	}
	if len(all) > len(f.Affected) {
		open.Evidence.Since = f.IncidentSince
		return []finding.Event{open}
	}
	return nil
}

func (f Fleet) stillSuspect(names []string, next []State) int {
	suspect := map[string]bool{}
	for _, o := range f.Others {
		suspect[o.Credential] = !o.Status.working()
	}
	for _, s := range next {
		suspect[s.Credential] = !s.Status.working()
	}
	n := 0
	for _, name := range names {
		if suspect[name] {
			n++
		}
	}
	return n
}
