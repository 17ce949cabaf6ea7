package verdict

import (
	"time"

	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/finding"
)

// Step is one result of a replay with what the verdict made of it: the state after it, and the events.
type Step struct {
	Result checker.Result
	State  State
	Events []finding.Event
}

// Replay judges the stored results of one provider again, one after the other in their order, from the states that
// its credentials had before; before is not changed. It returns one Step for each result.
//
// The same results and policy come to the same verdicts, but for what is not given here: how other providers answered
// at the time, which incident was open before the first result, and revocations whose log does not say of which
// credential. told is what the provider's own log said, by credential; nil: nothing. It is pure, like Judge.
func Replay(before map[int64]State, results []checker.Result, p Policy, told map[int64]Revocation) []Step {
	states := map[int64]State{}
	for id, s := range before {
		states[id] = s
	}
	var (
		steps []Step
		fleet Fleet
	)
	for _, r := range results {
		f := fleet
		f.Told = told
		f.Provider, f.States, f.Others = r.Provider, map[int64]State{r.CredentialID: states[r.CredentialID]}, nil
		if states[r.CredentialID].Status == "" {
			delete(f.States, r.CredentialID)
		}
		for id, s := range states {
			if id != r.CredentialID && s.Status != Retired {
				f.Others = append(f.Others, s.other())
			}
		}
		next, events := Judge(f, []checker.Result{r}, p)
		states[r.CredentialID] = next[0]
		fleet = fleet.after(events)
		steps = append(steps, Step{r, next[0], events})
	}
	return steps
}

// other is what others' batches know of it.
func (s State) other() Other {
	return Other{
		CredentialID: s.CredentialID, Credential: s.Credential, Provider: s.Provider, Status: s.Status, SuspectSince: s.SuspectSince,
		LastCheck: s.LastCheck, LastCertain: s.LastCertain, EverHealthy: !s.NeverHealthy(), UncertainSince: s.UncertainSince,
		TroubleSince: s.TroubleSince,
		SecretLost:   s.SecretLost, Flapping: s.Flapping, Proven: s.Proven, Cleared: s.Cleared, Refusals: s.Refusals,
	}
}

// after keeps what the fleet's own findings mean for the next judgement.
func (f Fleet) after(events []finding.Event) Fleet {
	for _, e := range events {
		open := e.Op == finding.OpOpen
		switch {
		case e.Kind == finding.ProviderIncident && open:
			i := Incident{e.Subject.Provider, e.Evidence.Providers, e.At, e.Evidence.Since, time.Time{}, e.Evidence.Affected}
			if f.Incident.open() {
				i.Opened = f.Incident.Opened
			}
			f.Incident = i
		case e.Kind == finding.ProviderIncident:
			f.LastIncident, f.Incident = f.Incident, Incident{}
			f.LastIncident.Ended = e.At
		case e.Kind == finding.ProviderDown:
			f.Down = open
		case e.Kind == finding.Unverifiable && e.Subject == finding.Subject{}:
			f.Blind = open
		case e.Kind == finding.Unverifiable && e.Subject.Credential == "":
			f.Outage = open
		}
	}
	return f
}
