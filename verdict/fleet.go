package verdict

import (
	"time"

	"github.com/keyrounds/keyrounds/checker"
)

// Fleet is what we hold of one provider's credentials when a batch of them is judged. audit.Store.LockFleet makes it
// and locks what it says; the zero value says that nothing is known of any.
type Fleet struct {
	Provider string
	Lockout  checker.Lockout // what the provider bears of refusals
	States   map[int64]State // of the credentials in the batch
	// What follows is filled in only when something was refused, uncertain or accepted again, or such a finding is open.
	Others       []Other  // the provider's other credentials
	Neighbours   []Other  // those of other providers that have the same token endpoint
	Incident     Incident // the open one that the provider belongs to; zero: none
	LastIncident Incident // the last one that ended; zero: none
	Outage       bool     // the provider has an open finding of its own: unverifiable
	Down         bool     // likewise: provider_down
	Blind        bool     // keyrounds itself has an open finding: unverifiable
	// The credentials of all other providers that were asked since this one is silent, if there are any, could not be
	// reached either, since then at the latest.
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

// Other is a credential that is not in the batch and is not retired.
type Other struct {
	CredentialID   int64
	Credential     string
	Provider       string
	Status         Status
	SuspectSince   time.Time
	LastCheck      time.Time
	LastCertain    time.Time
	EverHealthy    bool      // with its present secret
	UncertainSince time.Time // zero: the last answer was certain
	TroubleSince   time.Time // State.TroubleSince
	SecretLost     bool      // State.SecretLost
	Flapping       bool
	Proven         bool            // State.Proven
	Cleared        bool            // State.Cleared
	Refusals       []time.Time     // State.Refusals; of one that is not refused: none
	Lockout        checker.Lockout // what its provider bears of refusals
}

func (f Fleet) state(r checker.Result) State {
	s, ok := f.States[r.CredentialID]
	if !ok {
		s = State{Status: Pending, Since: r.At, Changed: r.At}
	}
	s.CredentialID, s.Credential, s.Provider = r.CredentialID, r.Credential, r.Provider
	return s
}
