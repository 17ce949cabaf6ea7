package verdict

import (
	"time"

	"github.com/keyrounds/keyrounds/credential"
)

// Status is what we hold of a credential. It is stored and shown as written here.
type Status string

// The statuses.
const (
	Pending  Status = "pending"  // never healthy with its present secret, and still in the grace
	Healthy  Status = "healthy"  // the last certain answer was a token with what is declared
	Degraded Status = "degraded" // it works with less than is declared, or not for this grant
	Suspect  Status = "suspect"  // refused, not yet confirmed
	Revoked  Status = "revoked"  // refused, and confirmed
	Unknown  Status = "unknown"  // nothing is known
	Retired  Status = "retired"  // no longer registered
)

// Statuses lists every status, Retired among them, in the order of the constants.
func Statuses() []Status {
	return []Status{Pending, Healthy, Degraded, Suspect, Revoked, Unknown, Retired}
}

// works reports whether it had a token, or was known at least, at its last certain answer.
func (s Status) works() bool { return s == Healthy || s == Degraded }

// refused reports whether the client itself is refused.
func (s Status) refused() bool { return s == Suspect || s == Revoked }

// State is what we hold of one credential, with what the rules remember. The members with JSON names are the column
// memory of credential_state; the others have columns of their own. A zero time is one that never was.
type State struct {
	CredentialID int64     `json:"-"`
	Credential   string    `json:"-"`
	Provider     string    `json:"-"`
	Status       Status    `json:"-"`
	Since        time.Time `json:"-"` // of the status
	Changed      time.Time `json:"-"` // when its client id, secret or provider last changed here
	LastCheck    time.Time `json:"-"`
	LastSuccess  time.Time `json:"-"`
	LastCertain  time.Time `json:"-"` // the last answer that says something of the credential
	SuspectSince time.Time `json:"-"` // zero: not suspected

	Refusals       []time.Time `json:"refusals,omitempty"` // since SuspectSince: the first and the newest
	RefusalCount   int         `json:"refusal_count,omitempty"`
	GraceRefusals  int         `json:"grace_refusals,omitempty"` // in the grace, which count apart
	NarrowSince    time.Time   `json:"narrow_since,omitzero"`
	MissingScopes  []string    `json:"missing_scopes,omitempty"`
	UncertainSince time.Time   `json:"uncertain_since,omitzero"`
	TroubleSince   time.Time   `json:"trouble_since,omitzero"` // the provider has answered nothing, or that it is in trouble; only that
	SecretLost     bool        `json:"secret_lost,omitempty"`
	Turns          []time.Time `json:"turns,omitempty"` // between working and not, in the last hour
	Flapping       bool        `json:"flapping,omitempty"`
	Proven         bool        `json:"proven,omitempty"`  // the provider's own log says that it was revoked
	Cleared        bool        `json:"cleared,omitempty"` // others were accepted while its refusal was confirmed

	Unproven []string       `json:"unproven_scopes,omitempty"` // of the last token: Result.Unproven
	Ends     credential.End `json:"ends,omitzero"`             // as its secret and the provider say; Credential.End knows more

	ExtraScopes  []string      `json:"extra_scopes,omitempty"`  // granted at the last exchange, and not declared
	Setup        string        `json:"setup,omitempty"`         // Result.Setup of the last success
	Token        string        `json:"token,omitempty"`         // tells the last token from the next one
	TokenLife    time.Duration `json:"token_life_ns,omitempty"` // the longest seen
	ShorterSince time.Time     `json:"shorter_since,omitzero"`  // tokens live at most half of that

	NextCheck time.Time `json:"-"` // wanted then, instead of as scheduled; zero: as scheduled
	NotAfter  time.Time `json:"-"` // a check by then, where none is scheduled sooner; zero: as scheduled
	NotBefore time.Time `json:"-"` // no check before it, whatever is scheduled
}

// MostRefusals in an hour is what can be counted: so many times of refusals are kept, beside the first one.
const MostRefusals = 11

// NeverHealthy reports whether no check of the credential succeeded since its client id, secret or provider last
// changed here (Changed).
func (s State) NeverHealthy() bool {
	return s.LastSuccess.IsZero() || s.LastSuccess.Before(s.Changed)
}

// Policy is the verdict: section of the configuration. DefaultPolicy has the defaults; the zero value is of no use,
// since every refusal would be an incident of its provider.
type Policy struct {
	Confirm           []time.Duration // when a refusal is confirmed, from the first one on; sooner where others are accepted
	Again             []time.Duration // when what is refused is looked at again, from the first refusal on; at least one
	RefusalsPerHour   int             // of one credential; 0: no cap
	UnverifiableAfter time.Duration
	ProviderDownAfter time.Duration // how long a provider may answer nobody
	Grace             time.Duration
	Incident          IncidentPolicy
	Early             bool // a refusal is told before it is confirmed, as what it is
}

// IncidentPolicy says how many of a provider's credentials must turn from working to refused, so that it is one
// incident: at least Count, and at least Share of those that answered since the first of them. Within is how long ago
// that is at most. Count and Share also say how many without a certain answer are an outage of the provider.
type IncidentPolicy struct {
	Count  int
	Share  float64 // 0 to 1
	Within time.Duration
}

// DefaultPolicy returns the policy of an empty verdict: section: confirmations 2 and 10 minutes after the first
// refusal, looks 15, 30 and 60 minutes after it and then 2, 4 and 6 hours apart, at most 6 refusals an hour, 6 hours
// without a certain answer, 10 minutes in which a provider answers nobody, a grace of an hour, and 3 credentials and half
// of those that answered within 10 minutes for an incident.
func DefaultPolicy() Policy {
	return Policy{
		Confirm:           []time.Duration{2 * time.Minute, 10 * time.Minute},
		Again:             []time.Duration{15 * time.Minute, 30 * time.Minute, time.Hour, 3 * time.Hour, 7 * time.Hour, 13 * time.Hour},
		RefusalsPerHour:   6,
		UnverifiableAfter: 6 * time.Hour,
		ProviderDownAfter: 10 * time.Minute,
		Grace:             time.Hour,
		Incident:          IncidentPolicy{Count: 3, Share: 0.5, Within: 10 * time.Minute},
	}
}

// soon is when the k-th confirmation counts where others were accepted since: a minute after the one before.
func (p Policy) soon(k int) time.Duration {
	after := time.Duration(k+1) * time.Minute
	if k < len(p.Confirm) {
		after = min(after, p.Confirm[k])
	}
	return after
}

// Apart is the least time between two looks at what is refused, whoever wants them.
func (p Policy) Apart() time.Duration { return p.soon(0) / 2 }

// confirmations returns how many later refusals confirm the first one at or after from: the k-th counts only when it
// comes Confirm[k] or more after the first, or, where soon, soon(k) once others have cleared the provider. next is when
// the next one may count.
func (p Policy) confirmations(refusals []time.Time, from time.Time, soon, cleared bool) (n int, next time.Time) {
	var first, last time.Time
	for _, t := range refusals {
		switch {
		case t.Before(from):
			continue
		case first.IsZero():
			first = t
		case n == len(p.Confirm):
		case !t.Before(first.Add(p.Confirm[n])), soon && cleared && !t.Before(first.Add(p.soon(n))):
			n++
		}
		last = t
	}
	if first.IsZero() {
		return 0, time.Time{}
	}
	if soon && cleared && n < len(p.Confirm) { // a look that brought no answer is made up for
		next = last.Add(p.soon(0))
		if least := first.Add(p.soon(n)); least.After(next) {
			next = least
		}
	}
	for k, after := range p.Confirm {
		if soon && first.Add(p.soon(k)).After(last) {
			after = p.soon(k)
		}
		if t := first.Add(after); t.After(last) && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	if n < len(p.Confirm) { // what was looked at late is looked at soon again, and not as scheduled
		due := first.Add(p.Confirm[n])
		if !due.After(last) {
			due = last.Add(p.soon(0))
		}
		if next.IsZero() || due.Before(next) {
			next = due
		}
	}
	if !next.IsZero() {
		next = later(next, last.Add(p.Apart()))
	}
	return n, next
}
