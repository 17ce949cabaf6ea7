// Package finding holds the values that stand for what a person should know: kinds, severities,
// events, findings and changes.
//
// It decides nothing and stores nothing: verdict makes events, audit applies them, notify tells.
package finding

import (
	"errors"
	"slices"
	"strings"
	"time"
)

// Kind says what sort of thing was found. It is stored and shown as written here.
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
	Expiring            Kind = "expiring"
	Unverifiable        Kind = "unverifiable"
	Flapping            Kind = "flapping"
	ProviderIncident    Kind = "provider_incident"
	ProviderDown        Kind = "provider_down"
	FallingBehind       Kind = "falling_behind"
	LifetimeShrunk      Kind = "lifetime_shrunk"
	UnusedScopes        Kind = "unused_scopes"
	Unpresented         Kind = "unpresented_tokens"
	ReceiverFailing     Kind = "receiver_failing"
	ReloadFailed        Kind = "reload_failed"
	StorageFailing      Kind = "storage_failing"
)

// Severity says how urgent a finding is. Critical wakes people: quiet hours do not hold it back.
type Severity string

// The severities, the most urgent first.
const (
	Critical Severity = "critical"
	Warning  Severity = "warning"
	Info     Severity = "info"
)

// State says where a finding stands. All but Resolved count as not over.
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

// Key names the subject for the database and the record: credential/NAME, provider/NAME or keyrounds. It is the same
// for the same subject, and differs for any two.
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

// Evidence is what a finding rests on, by section; in JSON it is flat. All text in it is clean.
type Evidence struct {
	Since       time.Time `json:"since,omitzero"`        // when it began
	LastSuccess time.Time `json:"last_success,omitzero"` // the last good exchange before
	Answer
	Refusal
	Scopes
	Lifetime
	Usage
	Leak *Leak `json:"leak,omitempty"` // of what got out
	Outage
}

// Answer is what came instead of a token, or what happened in words.
type Answer struct {
	Outcome          string        `json:"outcome,omitempty"`
	Reason           string        `json:"reason,omitempty"`
	Rule             string        `json:"rule,omitempty"` // how the answer was read
	HTTPStatus       int           `json:"http_status,omitempty"`
	ErrorCode        string        `json:"error_code,omitempty"`
	ErrorDescription string        `json:"error_description,omitempty"`
	Message          string        `json:"message,omitempty"`
	ClockSkew        time.Duration `json:"clock_skew_ns,omitempty"` // the provider's clock less ours
}

// Refusal is what is known of a client that is refused.
type Refusal struct {
	Refusals     []time.Time `json:"refusals,omitempty"`      // the answers that confirm it
	Suspected    bool        `json:"suspected,omitempty"`     // it is not confirmed yet
	Certain      bool        `json:"certain,omitempty"`       // the provider itself says why
	CouldBe      []string    `json:"could_be,omitempty"`      // why it was refused, beside revoked and rotated
	NeverHealthy bool        `json:"never_healthy,omitempty"` // it never worked here
	SetupChanged bool        `json:"setup_changed,omitempty"` // the provider's settings here changed since it last worked
	GotOut       bool        `json:"got_out,omitempty"`       // its present secret got out, so somebody may have ended it for that
	NextCheck    time.Time   `json:"next_check_at,omitzero"`  // when it is looked at again, as of its last look
	// LooksEvery is how often it is looked at after that; 0: less and less often.
	LooksEvery  time.Duration `json:"looks_every_ns,omitempty"`
	RevokedAt   time.Time     `json:"revoked_at,omitzero"`    // as the provider's own log says
	RevokedBy   string        `json:"revoked_by,omitempty"`   // likewise
	RevokedFeed string        `json:"revoked_feed,omitempty"` // which feed of the log said so
	RevokedOne  bool          `json:"revoked_one,omitempty"`  // it does not say which credential
}

// Scopes are what a token lacks, or has too much.
type Scopes struct {
	NoToken       bool     `json:"no_token,omitempty"` // for want of a scope or the grant it gets no token at all
	MissingScopes []string `json:"missing_scopes,omitempty"`
	ExtraScopes   []string `json:"extra_scopes,omitempty"` // granted, and not declared
}

// Lifetime is how long tokens live, and when the credential ends by itself.
type Lifetime struct {
	TokenLife time.Duration `json:"token_life_ns,omitempty"` // what tokens live now
	UsualLife time.Duration `json:"usual_life_ns,omitempty"` // and lived before
	ExpiresAt time.Time     `json:"expires_at,omitzero"`     // when the credential ends by itself
	ExpiresBy string        `json:"expires_by,omitempty"`    // credential.EndSource: who says so
	Ahead     time.Duration `json:"ahead_ns,omitempty"`      // of defaults.expiring_before: how long it has, at most; 0: none
}

// Usage is how others than keyrounds use the credential.
type Usage struct {
	LastUsed     time.Time `json:"last_used,omitzero"`
	DaysUnused   int       `json:"days_unused,omitempty"`
	Coverage     string    `json:"coverage,omitempty"` // what the feeds watched
	UnusedScopes []string  `json:"unused_scopes,omitempty"`
	Uses         []Use     `json:"uses,omitempty"` // by network
}

// Outage is how the provider's credentials do together.
type Outage struct {
	PeersTotal   int      `json:"peers_total,omitempty"` // the provider's other credentials
	PeersHealthy int      `json:"peers_healthy,omitempty"`
	Affected     []string `json:"affected,omitempty"`
	Providers    []string `json:"providers,omitempty"` // of an incident of the token endpoint that they share
}

// About is what is registered of the credential of a finding, as messages say it. It is filled in when it is told.
type About struct {
	Owner       string
	Owners      []string // of what is about a provider: of the credentials that are affected
	Description string
	Scopes      []string
	Labels      map[string]string
	Console     string // where the provider shows its credentials
	Kept        string // where the host keeps its secret, as its reference says: file:/path; "": keyrounds has it, or it is not known
	InFile      bool   // it is registered by the configuration file
	Key         bool   // it is an API key: there are no tokens
}

// keptElsewhere is Kept of several whose secrets are not in one place.
const keptElsewhere = "keyrounds credentials show NAME says where"

// Together is what holds of all of abouts, which are of several findings, for the steps of all of them.
func Together(abouts []About) About {
	a := abouts[0]
	for _, other := range abouts[1:] {
		if other.Kept != a.Kept {
			a.Kept = keptElsewhere
		}
		a.InFile, a.Key = a.InFile || other.InFile, a.Key && other.Key
	}
	return a
}

// store says where a new secret goes, after "store it": to keyrounds, or to where the host keeps it.
func (a About) store(name, flags string) string {
	if a.Kept == "" {
		return ": " + strings.TrimSpace("keyrounds credentials rotate "+name+" "+flags)
	}
	return " where it is kept (" + a.Kept + "). Then try it: keyrounds check " + name
}

// retire says how its registration ends.
func (a About) retire(name string) string {
	if a.InFile {
		return "take it out of the configuration file"
	}
	return "keyrounds credentials retire " + name
}

// Use is what one network did with a credential.
type Use struct {
	Network   string    `json:"network"`
	Address   string    `json:"address,omitempty"` // of the last
	UserAgent string    `json:"user_agent,omitempty"`
	First     time.Time `json:"first"`
	Last      time.Time `json:"last"`
	Uses      int64     `json:"uses"`            // that succeeded
	Failures  int64     `json:"failures"`        // that were refused
	Known     bool      `json:"known,omitempty"` // it used the credential before
}

const maxUses = 20

// After returns e with the uses that were known before added to it, by network, the newest networks first, at most
// 20. Where before had uses, Since is the earlier one of both. Neither e nor before is changed.
func (e Evidence) After(before Evidence) Evidence {
	uses := slices.Clone(e.Uses)
	for _, old := range before.Uses {
		i := slices.IndexFunc(uses, func(u Use) bool { return u.Network == old.Network })
		if i < 0 {
			uses = append(uses, old)
			continue
		}
		u := &uses[i]
		u.Uses, u.Failures, u.Known = u.Uses+old.Uses, u.Failures+old.Failures, old.Known
		if old.First.Before(u.First) {
			u.First = old.First
		}
		if old.Last.After(u.Last) {
			u.Last, u.Address, u.UserAgent = old.Last, old.Address, old.UserAgent
		}
	}
	slices.SortStableFunc(uses, func(a, b Use) int { return b.First.Compare(a.First) })
	e.Uses = uses[:min(len(uses), maxUses)]
	if len(before.Uses) > 0 && (e.Since.IsZero() || before.Since.Before(e.Since)) {
		e.Since = before.Since
	}
	return e
}

// Leak is what is known of a secret that got out.
type Leak struct {
	Confidence string     `json:"confidence"` // in words
	Works      *bool      `json:"works"`      // whether a token was issued for it when it was last tried; nil: not tried yet
	WorksAt    time.Time  `json:"works_at,omitzero"`
	Proven     []string   `json:"proven_scopes,omitempty"`      // what a token of it was seen to be able to do
	Replaced   time.Time  `json:"replaced_at,omitzero"`         // when another secret took its place
	Unknown    bool       `json:"old_secret_unknown,omitempty"` // keyrounds does not have the replaced one, so it cannot be tried by itself
	Sightings  []Sighting `json:"sightings"`                    // by time, the first ones
	Total      int        `json:"sightings_total"`
	Deaths     []Death    `json:"deaths,omitempty"` // of the secrets that got out
}

// Sighting is a piece of evidence. No text around a secret is in it.
type Sighting struct {
	At       time.Time `json:"at"`               // when it happened: a commit's author date, an event's time
	Seen     time.Time `json:"seen_at"`          // when keyrounds learned of it
	How      string    `json:"how"`              // scan, gitleaks, github, a feed …
	What     string    `json:"what"`             // in a few words
	Source   string    `json:"source,omitempty"` // the file, tree or repository
	Path     string    `json:"path,omitempty"`   // in it
	Line     int       `json:"line,omitempty"`
	Commit   string    `json:"commit,omitempty"`
	InHead   *bool     `json:"in_head,omitempty"` // nil: not of a history, or not known
	Encoding string    `json:"encoding,omitempty"`
	Link     string    `json:"link,omitempty"`
	Public   bool      `json:"public,omitempty"` // everybody can read it
}

// Death is the proof that a secret works no more.
type Death struct {
	Refused   []time.Time `json:"refused_at"` // the exchanges that were refused, without a success in between
	Outcome   string      `json:"outcome"`
	Reason    string      `json:"reason,omitempty"`
	Status    int         `json:"http_status,omitempty"`
	ErrorCode string      `json:"error_code,omitempty"`
	Control   string      `json:"control"`                   // what shows that the provider did answer others
	Token     string      `json:"token"`                     // what became of a token that was issued before
	Minted    time.Time   `json:"token_issued_at,omitzero"`  // when that was
	Stopped   time.Time   `json:"token_refused_at,omitzero"` // when the API first refused it
	Took      string      `json:"token_took,omitempty"`      // between the first refused exchange and that
	LogAt     time.Time   `json:"revoked_at,omitzero"`       // as the provider's own log has it
	LogBy     string      `json:"revoked_by,omitempty"`
	LogFeed   string      `json:"revoked_feed,omitempty"`
	At        time.Time   `json:"at"` // when the proof was complete
	// Which secret it was. Proofs of before these were here do not say.
	Fingerprint string    `json:"fingerprint,omitempty"`  // its first eight letters
	From        time.Time `json:"present_from,omitzero"`  // since when keyrounds knew it
	Until       time.Time `json:"present_until,omitzero"` // when another took its place; zero: none had
	Finding     int64     `json:"finding,omitempty"`      // that it got out; 0: it was only replaced
}

// Which names the secret that died, without any of it: its fingerprint, and when it was the present one; "": that is not known.
func (d Death) Which() string {
	if d.Fingerprint == "" {
		return ""
	}
	text := "fingerprint " + d.Fingerprint + "…, the present one from " + d.From.UTC().Format(time.RFC3339)
	if d.Until.IsZero() {
		return text + " on"
	}
	return text + " until " + d.Until.UTC().Format(time.RFC3339)
}

// Op is what an event does to the finding of its kind and subject.
type Op string

// The ops. An open of what is open already updates its evidence.
const (
	OpOpen     Op = "open"
	OpResolve  Op = "resolve"
	OpWithdraw Op = "withdraw" // resolves it, since it should not have been told
)

// Event asks for a finding to open, change or close. Applying one twice changes nothing more, but that uses are added
// twice.
type Event struct {
	Op       Op
	Kind     Kind
	Subject  Subject
	At       time.Time
	Evidence Evidence
	Why      string // of a resolve or withdrawal: "the provider accepts it again"
}

// Severity returns how urgent the finding is that e opens: that of its kind, but for these.
//
//   - A credential that worked and now gets no token by the provider's answer is Critical, whatever the kind. One that
//     never worked is a Warning: nothing stops. So is one that is refused and not confirmed to be, and one whose secret got out:
//     that is what everybody waits for, and the finding of the leak was Critical.
//   - Uses after the end of which each was refused are Info. What ended holds; that somebody still tries it is evidence.
func (e Event) Severity() Severity {
	worked := !e.Evidence.NeverHealthy && !e.Evidence.LastSuccess.IsZero()
	switch {
	case e.Kind == UsedAfterRevocation && !slices.ContainsFunc(e.Evidence.Uses, func(u Use) bool { return u.Uses > 0 }):
		return Info
	case e.Kind == Revoked && (e.Evidence.NeverHealthy || e.Evidence.Suspected || e.Evidence.GotOut):
		return Warning
	case e.Kind == ScopeLost && e.Evidence.NoToken && worked:
		return Critical
	}
	return e.Kind.Severity()
}

// Above reports whether s is more urgent than other.
func (s Severity) Above(other Severity) bool {
	order := []Severity{Info, Warning, Critical}
	return slices.Index(order, s) > slices.Index(order, other)
}

// Finding is one of them as it stands. Its subject has a CredentialID only where it is about a credential.
type Finding struct {
	ID             int64
	Kind           Kind
	Severity       Severity
	Subject        Subject
	State          State
	Evidence       Evidence
	About          About // empty, but where it is told
	OpenedAt       time.Time
	UpdatedAt      time.Time
	ResolvedAt     time.Time // zero: not resolved
	ResolvedWhy    string
	Withdrawn      bool      // it is resolved since it should not have been told, by ResolvedWhy
	AcknowledgedBy string    // also of one that is open again since
	AcknowledgedAt time.Time // likewise; zero: it was not, or that is not known
	SnoozedUntil   time.Time
	FalseAlarmBy   string // who says that it was none; "": nobody
	FalseAlarmWhy  string
	AssignedTo     string // who is to look after it; "": nobody
}

// ErrNotFound says that there is no finding of an id.
var ErrNotFound = errors.New("no such finding")

// Pending is a finding that changed, and of which it is not yet known who is told.
type Pending struct {
	Finding int64
	Since   time.Time // when it changed first
	Trace   string    // traceparent of its newest change (W3C Trace Context); "": not traced
}

// Change is what happened to a finding, for those who are told.
type Change struct {
	Finding Finding
	From    State // "" when it is new
}
