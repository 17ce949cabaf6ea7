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
	Zone     *time.Location
	Version  string
	// Frozen is called in the transaction that freezes a report, with the SHA-256 of each file.
	Frozen func(ctx context.Context, tx pgx.Tx, f Frozen) error
}

// Maker makes reports.
type Maker struct{ Options }

// New makes a Maker.
func New(o Options) *Maker { return &Maker{o} }

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

// Report is the report as JSON. Its schema is docs/reference/report.schema.json.
type Report struct {
	Report       string         `json:"report" jsonschema_description:"Always unused."`
	Month        string         `json:"month" jsonschema_description:"The calendar month, or empty for a trial."`
	AsOf         time.Time      `json:"as_of" jsonschema_description:"The time that everything is told of: the month's end."`
	Timezone     string         `json:"timezone" jsonschema_description:"IANA zone of the month."`
	Owner        string         `json:"owner" jsonschema_description:"Whose credentials; empty: all."`
	MadeAt       time.Time      `json:"made_at" jsonschema_description:"When it was made."`
	MadeBy       string         `json:"made_by" jsonschema_description:"keyrounds and its version."`
	Trial        bool           `json:"trial" jsonschema_description:"It is not frozen, and may come out differently next time."`
	Summary      Summary        `json:"summary"`
	Before       Summary        `json:"month_before" jsonschema_description:"The same at the end of the month before."`
	Trend        []Point        `json:"trend" jsonschema_description:"The last twelve months, the oldest first."`
	SecretAges   []Bucket       `json:"secret_ages" jsonschema_description:"How old the secrets are."`
	Credentials  []Row          `json:"credentials" jsonschema_description:"The worst first."`
	Unregistered []Unregistered `json:"unregistered" jsonschema_description:"Client ids that feeds show and nobody registered. Only where owner is empty."`
	Feeds        []FeedRow      `json:"feeds"`
}

// Summary counts credentials by the answer to whether they are used.
type Summary struct {
	Registered int `json:"registered"`
	Used       int `json:"used"`
	Unused     int `json:"unused"`
	NeverUsed  int `json:"never_used"`
	NotKnown   int `json:"not_known"`
}

func (s *Summary) add(state usage.State) {
	s.Registered++
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
	Credential     string         `json:"credential"`
	Provider       string         `json:"provider"`
	Owner          string         `json:"owner"`
	Description    string         `json:"description"`
	Created        string         `json:"created" jsonschema_description:"Date; empty: not known."`
	Canary         bool           `json:"canary"`
	Usage          string         `json:"usage" jsonschema:"enum=used,enum=unused,enum=never_used,enum=not_known"`
	LastUsedAt     *time.Time     `json:"last_used_at" jsonschema:"oneof_type=string;null" jsonschema_description:"By others than keyrounds; null: no use is known."`
	LastUsedFrom   string         `json:"last_used_from" jsonschema_description:"Address or network; empty: not said."`
	LastUsedBy     string         `json:"last_used_by" jsonschema_description:"User agent; empty: not said."`
	DaysUnused     *int           `json:"days_unused" jsonschema:"oneof_type=integer;null" jsonschema_description:"Whole days since; null: no use is known."`
	Coverage       string         `json:"coverage" jsonschema_description:"How much of the time that counts the feeds watched."`
	CoverageReason string         `json:"coverage_reason" jsonschema_description:"Of not_known: why."`
	UnusedScopes   []string       `json:"unused_scopes" jsonschema_description:"Declared, and not used in the time that counts, where feeds carry scopes."`
	Rhythm         string         `json:"rhythm" jsonschema_description:"Such as daily or quarterly; empty: none is known."`
	NextUse        *time.Time     `json:"next_expected_use" jsonschema:"oneof_type=string;null" jsonschema_description:"By its rhythm; null: not known."`
	Status         string         `json:"status" jsonschema_description:"What its checks said: pending, healthy, degraded, suspect, revoked or unknown."`
	Recommendation Recommendation `json:"recommendation" jsonschema:"enum=revoke,enum=rotate,enum=drop_scopes,enum=name_owner,enum=connect_feed,enum=retire,enum=keep"`
	Also           []string       `json:"also" jsonschema_description:"Further recommendations."`
	Why            string         `json:"why"`
	Plan           []string       `json:"plan" jsonschema_description:"Of revoke: the steps."`
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
	Uses     int64      `json:"uses" jsonschema_description:"By others, so far."`
	Own      int64      `json:"own" jsonschema_description:"Of keyrounds itself, taken out."`
	Bad      int64      `json:"bad" jsonschema_description:"Records that could not be read."`
}
