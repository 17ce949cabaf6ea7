// Package report makes the monthly report of unused credentials, freezes it, and renders it.
//
// It judges no use itself (usage.Assess does) and changes nothing but its own table.
package report

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/decision"
	"github.com/keyrounds/keyrounds/registry"
	"github.com/keyrounds/keyrounds/usage"
	"github.com/keyrounds/keyrounds/usage/feed"
)

// Options of New.
type Options struct {
	Pool     *pgxpool.Pool
	Registry *registry.Store
	Audit    *audit.Store
	Usage    *usage.Store
	// Decisions says what people decided of credentials; nil: nothing.
	Decisions *decision.Store
	Zone      *time.Location
	Version   string
	// Registered returns those of some client ids that somebody registered, by provider; nil: Registry.ClientIDs.
	Registered usage.RegisteredFunc
	// Frozen is called in the transaction that freezes a report, with the SHA-256 of each file.
	Frozen func(ctx context.Context, tx pgx.Tx, f Frozen) error
}

// Maker makes reports.
type Maker struct{ Options }

// New makes a Maker.
func New(o Options) *Maker {
	if o.Registered == nil {
		o.Registered = o.Registry.ClientIDs
	}
	return &Maker{o}
}

// Month is a calendar month.
type Month struct{ first time.Time } // in UTC, whatever the zone

// ParseMonth reads 2026-10.
func ParseMonth(s string) (Month, error) {
	t, err := time.Parse("2006-01", s)
	if err != nil {
		return Month{}, fmt.Errorf("%q is not a month such as 2026-10", s)
	}
	return Month{t}, nil
}

// MonthOf returns the month that t is in, in a zone.
func MonthOf(t time.Time, zone *time.Location) Month {
	y, m, _ := t.In(zone).Date()
	return Month{time.Date(y, m, 1, 0, 0, 0, 0, time.UTC)}
}

// String is 2026-10.
func (m Month) String() string { return m.first.Format("2006-01") }

// Add is n months later.
func (m Month) Add(n int) Month { return Month{m.first.AddDate(0, n, 0)} }

// Span is the month's first instant in a zone, and that of the next month.
func (m Month) Span(zone *time.Location) feed.Span {
	at := func(m Month) time.Time {
		return time.Date(m.first.Year(), m.first.Month(), 1, 0, 0, 0, 0, zone)
	}
	return feed.Span{From: at(m), To: at(m.Add(1))}
}

// Report is the report as JSON. Its schema is docs/reference/report.schema.json; what describes its keys there are the
// comments of the fields, here and below: UPDATE=1 go test ./report -run TestComments carries them over.
type Report struct {
	// Always unused.
	Report string `json:"report"`
	// The calendar month, or empty for a trial.
	Month string `json:"month"`
	// The time that everything is told of: the month's end.
	AsOf time.Time `json:"as_of"`
	// IANA zone of the month.
	Timezone string `json:"timezone"`
	// Whose credentials; empty: all.
	Owner string `json:"owner"`
	// 1, or more where it was made again (report amend); 0 of a trial.
	Edition int `json:"edition"`
	// When it was made.
	MadeAt time.Time `json:"made_at"`
	// keyrounds and its version.
	MadeBy string `json:"made_by"`
	// It is not frozen, and may come out differently next time.
	Trial bool `json:"trial"`

	Summary Summary `json:"summary"`
	// The same at the end of the month before.
	Before Summary `json:"month_before"`
	// The last twelve months, the oldest first.
	Trend []Point `json:"trend"`
	// How old the secrets are.
	SecretAges []Bucket `json:"secret_ages"`
	// The worst first.
	Credentials []Row `json:"credentials"`
	// Client ids that feeds show and nobody registered. Only where owner is empty.
	Unregistered []Unregistered `json:"unregistered"`

	Feeds []FeedRow `json:"feeds"`
	// How to revoke without breaking anything: what holds of every credential. What is special is in its plan.
	Plan []string `json:"plan"`
	// Frozen months of the trend of which more is known by now. They stay as they are; report amend makes them again.
	Overtaken []Overtaken `json:"overtaken"`

	// Credentials whose recommendation asks what becomes of them, and of which no decision holds.
	Undecided int `json:"undecided"`
	// Credentials of which a decision holds.
	Decided int `json:"decided"`
	// Who signed off the report of the month before; null: nobody did.
	SignedOff *SignOff `json:"month_before_signed_off" jsonschema:"nullable"`
}

// Decision is what people decided of a credential, when the report was made.
type Decision struct {
	// What becomes of it.
	Choice decision.Choice `json:"choice" jsonschema:"enum=keep,enum=revoke,enum=rotate,enum=drop_scopes"`
	// It holds until this day begins (UTC).
	Until time.Time `json:"until"`
	// In the words of who decided.
	Why string `json:"why"`
	// Who, as the record names people.
	By string    `json:"decided_by"`
	At time.Time `json:"decided_at"`
	// Its day had come: it was to be decided again.
	Over bool `json:"over"`
}

// Overtaken is a frozen month whose answers would be others by what came in later.
type Overtaken struct {
	Month  string  `json:"month"`
	Frozen Summary `json:"frozen"`
	Now    Summary `json:"now"`
}

// Summary counts credentials by the answer to whether they are used; canaries, which nobody may use, apart.
type Summary struct {
	// The sum of the others.
	Registered int `json:"registered"`
	Used       int `json:"used"`
	Unused     int `json:"unused"`
	NeverUsed  int `json:"never_used"`
	NotKnown   int `json:"not_known"`
	Canaries   int `json:"canaries"`
}

func (s *Summary) add(c credential.Credential, state usage.State) {
	s.Registered++
	if c.Canary {
		s.Canaries++
		return
	}
	switch state {
	case usage.Used:
		s.Used++
	case usage.Unused:
		s.Unused++
	case usage.NeverUsed:
		s.NeverUsed++
	default:
		s.NotKnown++
	}
}

// Words are the counts for a person; they add up.
func (s Summary) Words() string {
	text := fmt.Sprintf("%d registered: %d used, %d unused, %d never used, %d not known",
		s.Registered, s.Used, s.Unused, s.NeverUsed, s.NotKnown)
	switch s.Canaries {
	case 0:
		return text
	case 1:
		return text + ", 1 canary"
	}
	return fmt.Sprintf("%s, %d canaries", text, s.Canaries)
}

// Words say what changed.
func (o Overtaken) Words() string {
	return fmt.Sprintf("The frozen report %s was overtaken by what came in later: it says %s; by now it would be %s. "+
		"keyrounds report amend --month %s makes another edition.", o.Month, o.Frozen.Words(), o.Now.Words(), o.Month)
}

// Point is a month of the trend.
type Point struct {
	Month string `json:"month"`
	Summary
}

// Bucket is a bar of a histogram.
type Bucket struct {
	Label string `json:"label"`
	N     int    `json:"n"`
}

// Row is one credential.
type Row struct {
	Credential  string `json:"credential"`
	Provider    string `json:"provider"`
	Owner       string `json:"owner"`
	Description string `json:"description"`
	// Date; empty: not known.
	Created string `json:"created"`

	Canary bool   `json:"canary"`
	Usage  string `json:"usage"             jsonschema:"enum=used,enum=unused,enum=never_used,enum=not_known"`
	// By others than keyrounds; null: no use is known.
	LastUsedAt *time.Time `json:"last_used_at"      jsonschema:"oneof_type=string;null"`
	// Address or network; empty: not said.
	LastUsedFrom string `json:"last_used_from"`
	// User agent; empty: not said.
	LastUsedBy string `json:"last_used_by"`
	// Whole days since; null: no use is known.
	DaysUnused *int `json:"days_unused"       jsonschema:"oneof_type=integer;null"`
	// How much of the time that counts the feeds watched.
	Coverage string `json:"coverage"`
	// Of not_known: why.
	CoverageReason string `json:"coverage_reason"`
	// Declared, and not used in the time that counts, where feeds carry scopes.
	UnusedScopes []string `json:"unused_scopes"`
	// Such as daily or quarterly; empty: none is known.
	Rhythm string `json:"rhythm"`
	// By its rhythm; null: not known.
	NextUse *time.Time `json:"next_expected_use" jsonschema:"oneof_type=string;null"`
	// What its checks said: pending, healthy, degraded, suspect, revoked or unknown.
	Status string `json:"status"`

	Recommendation Recommendation `json:"recommendation"`
	// Further recommendations.
	Also []string `json:"also"`

	Why string `json:"why"`
	// Of revoke: what must be minded of this credential.
	Plan []string `json:"plan"`

	// The first use by others that is known; null: none is.
	FirstUsedAt *time.Time `json:"first_used_at"    jsonschema:"oneof_type=string;null"`
	// By others, in the time that counts, by whole days.
	Uses int64 `json:"uses"`
	// From where, the most used first, at most five.
	Networks []string `json:"networks"`
	// What was refused because nobody verified the client, in the time that counts, by whole days.
	Attempts int64 `json:"attempts"`
	// Null: not known.
	FirstAttemptAt *time.Time `json:"first_attempt_at" jsonschema:"oneof_type=string;null"`
	// Null: not known.
	LastAttemptAt *time.Time `json:"last_attempt_at"  jsonschema:"oneof_type=string;null"`
	// Since when its feeds watched: a job that runs more rarely cannot be ruled out. Null: they did not.
	WatchedSince *time.Time `json:"watched_since"    jsonschema:"oneof_type=string;null"`
	// Of wait: until when. Null: nothing is waited for.
	WaitUntil *time.Time `json:"wait_until"       jsonschema:"oneof_type=string;null"`
	// When it ends by itself, as it is declared, as its certificate or key says, or the provider. Null: not known.
	ExpiresAt *time.Time `json:"expires_at"       jsonschema:"oneof_type=string;null"`

	// What people decided of it last, also where that is over. Null: nothing.
	Decision *Decision `json:"decision" jsonschema:"nullable"`
	// Its recommendation asks what becomes of it, and no decision holds.
	Undecided bool `json:"undecided"`
}

// Unregistered is a client id that nobody registered.
type Unregistered struct {
	Provider  string    `json:"provider"`
	ClientID  string    `json:"client_id"`
	Events    int64     `json:"events"`
	LastAt    time.Time `json:"last_at"`
	CreatedBy string    `json:"created_by"`
}

// FeedRow is a source that the report rests on.
type FeedRow struct {
	Feed     string     `json:"feed"`
	Provider string     `json:"provider"`
	Type     string     `json:"type"`
	Partial  bool       `json:"partial"`
	SeenAt   *time.Time `json:"last_seen_at" jsonschema:"oneof_type=string;null"`
	// By others, so far; null in an extract, since it is of the credentials of all owners.
	Uses *int64 `json:"uses" jsonschema:"oneof_type=integer;null"`
	// Of keyrounds itself, taken out; null in an extract.
	Own *int64 `json:"own" jsonschema:"oneof_type=integer;null"`
	// Records that could not be read; null in an extract.
	Bad *int64 `json:"bad" jsonschema:"oneof_type=integer;null"`
}
