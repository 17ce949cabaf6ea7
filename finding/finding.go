// Package finding holds the values that stand for what a person should know: kinds, severities,
// events, findings and changes.
//
// It decides nothing and stores nothing: verdict makes events, audit applies them, notify tells.
package finding

import "time"

// Kind says what sort of thing was found.
type Kind string

// The kinds.
const (
	Revoked             Kind = "revoked"
	ScopeLost           Kind = "scope_lost"
	ScopeExcess         Kind = "scope_excess"
	Unused              Kind = "unused"
	NeverUsed           Kind = "never_used"
	Leaked              Kind = "leaked"
	UnexpectedUse       Kind = "unexpected_use"
	UsedAfterRevocation Kind = "used_after_revocation"
	CanaryTripped       Kind = "canary_tripped"
	SecretUnreadable    Kind = "secret_unreadable"
	Orphaned            Kind = "orphaned"
	StaleSecret         Kind = "stale_secret"
	Unverifiable        Kind = "unverifiable"
	Flapping            Kind = "flapping"
	ProviderIncident    Kind = "provider_incident"
	LifetimeShrunk      Kind = "lifetime_shrunk"
)

// Severity says how urgent a finding is.
type Severity string

// The severities, the most urgent first.
const (
	Critical Severity = "critical"
	Warning  Severity = "warning"
	Info     Severity = "info"
)

// Severity returns how urgent a kind is where nothing else is known.
func (k Kind) Severity() Severity {
	switch k {
	case Revoked, Leaked, UsedAfterRevocation, CanaryTripped, ProviderIncident:
		return Critical
	case ScopeExcess, Unused, NeverUsed, Orphaned, StaleSecret, LifetimeShrunk:
		return Info
	default:
		return Warning
	}
}

// State says where a finding stands.
type State string

// The states. Snoozed ends by itself at SnoozedUntil.
const (
	Open         State = "open"
	Acknowledged State = "acknowledged"
	Snoozed      State = "snoozed"
	Resolved     State = "resolved"
)

// Subject is what a finding is about: a credential, a provider as a whole, or, where neither is
// named, keyrounds itself.
type Subject struct {
	Credential   string `json:"credential,omitempty"`
	CredentialID int64  `json:"-"`
	Provider     string `json:"provider"`
}

// Key is the same for the same subject, and differs for any two.
func (s Subject) Key() string {
	switch {
	case s == Subject{}:
		return "keyrounds"
	case s.Credential == "":
		return "provider/" + s.Provider
	}
	return "credential/" + s.Credential
}

// Name returns the credential's name, or else the provider's, or else "keyrounds".
func (s Subject) Name() string {
	switch {
	case s == Subject{}:
		return "keyrounds"
	case s.Credential == "":
		return s.Provider
	}
	return s.Credential
}

// Evidence is what a finding rests on. All text in it is clean.
type Evidence struct {
	Outcome          string            `json:"outcome,omitempty"`
	Reason           string            `json:"reason,omitempty"`
	Rule             string            `json:"rule,omitempty"` // how the answer was read
	HTTPStatus       int               `json:"http_status,omitempty"`
	ErrorCode        string            `json:"error_code,omitempty"`
	ErrorDescription string            `json:"error_description,omitempty"`
	Message          string            `json:"message,omitempty"`
	Since            time.Time         `json:"since,omitzero"`          // when it began
	LastSuccess      time.Time         `json:"last_success,omitzero"`   // the last good exchange before
	Refusals         []time.Time       `json:"refusals,omitempty"`      // the answers that confirm it
	Certain          bool              `json:"certain,omitempty"`       // the provider itself says why
	NeverHealthy     bool              `json:"never_healthy,omitempty"` // it never worked here
	MissingScopes    []string          `json:"missing_scopes,omitempty"`
	ExtraScopes      []string          `json:"extra_scopes,omitempty"`  // granted, and not declared
	TokenLife        time.Duration     `json:"token_life_ns,omitempty"` // what tokens live now
	UsualLife        time.Duration     `json:"usual_life_ns,omitempty"` // and lived before
	SetupChanged     bool              `json:"setup_changed,omitempty"` // the provider's settings here changed since it last worked
	ClockSkew        time.Duration     `json:"clock_skew_ns,omitempty"` // the provider's clock less ours
	PeersTotal       int               `json:"peers_total,omitempty"`   // the provider's other credentials
	PeersHealthy     int               `json:"peers_healthy,omitempty"`
	Affected         []string          `json:"affected,omitempty"`    // of an incident
	Owner            string            `json:"owner,omitempty"`       // of the credential, filled in when it is told
	Description      string            `json:"description,omitempty"` // likewise
	Scopes           []string          `json:"scopes,omitempty"`      // likewise
	Console          string            `json:"console,omitempty"`     // likewise: where to revoke it
	Labels           map[string]string `json:"labels,omitempty"`      // likewise
}

// Op is what an event does.
type Op string

// The ops. An open of what is open already updates its evidence.
const (
	OpOpen    Op = "open"
	OpResolve Op = "resolve"
)

// Event asks for a finding to open, change or close. Applying one twice changes nothing more.
type Event struct {
	Op       Op
	Kind     Kind
	Subject  Subject
	At       time.Time
	Evidence Evidence
	Why      string // of a resolve: "the provider accepts it again"
}

// Finding is one of them as it stands.
type Finding struct {
	ID             int64
	Kind           Kind
	Severity       Severity
	Subject        Subject
	State          State
	Evidence       Evidence
	OpenedAt       time.Time
	UpdatedAt      time.Time
	ResolvedAt     time.Time // zero: not resolved
	ResolvedWhy    string
	AcknowledgedBy string
	SnoozedUntil   time.Time
}

// Change is what happened to a finding, for those who are told.
type Change struct {
	Finding Finding
	From    State // "" when it is new
}
