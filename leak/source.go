package leak

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/leak/scan"
)

// Source is a place that is scanned on a schedule.
type Source struct {
	Name, Path  string
	Schedule    string // cron
	History     bool   // git histories as well
	Unreachable bool   // and what no branch or tag reaches in them
}

// SourceState says how the last scan of a source ended. Its JSON is part of the output of commands.
type SourceState struct {
	Scanned time.Time     `json:"scanned_at,omitzero"`
	Took    time.Duration `json:"took_ns"`
	Bytes   int64         `json:"bytes"`
	Found   int           `json:"found"`
	Skipped int           `json:"left_out"`
	Error   string        `json:"error"`
	// NotSearched is what was left out, by reason, and LeftOut the first of it by name, masked.
	NotSearched map[scan.Reason]int `json:"not_searched"`
	LeftOut     []scan.Skipped      `json:"left_out_names"`
	// Whole is when everything in it was searched last. Later scans searched only what was new since the one before.
	Whole time.Time `json:"whole_at,omitzero"`
	// Tips and Registry are for the next scan, what the refs of its repositories named, and a fingerprint of all that was looked for;
	// FoundBefore is how many of Found stand in histories.
	Tips        map[string][]string `json:"-"`
	Registry    []byte              `json:"-"`
	FoundBefore int                 `json:"-"`
	Next        time.Time           `json:"next_scan_at,omitzero"`
}

// RegistryPrint is a fingerprint of all that a scan looks for: another one means that something is new in it. Without a sealing key it
// is an error.
func (s *Store) RegistryPrint(ctx context.Context, terms []scan.Term) ([]byte, error) {
	p, err := s.prints(ctx)
	if err != nil {
		return nil, err
	}
	var all []string
	for _, t := range terms {
		all = append(all, fmt.Sprint(t.Credential, "\x00", t.Kind, "\x00", t.Former, "\x00", t.Partner, "\x00", t.Value))
	}
	slices.Sort(all)
	return p.of("registry", strings.Join(all, "\x00\x00")), nil
}

// ClaimSource claims a source if it is due at now; one that is not known yet is. mine says whether it was: then no other
// caller, on whatever replica, gets it before hold is over, unless Scanned says so.
func (s *Store) ClaimSource(ctx context.Context, source string, now time.Time, hold time.Duration) (mine bool, err error) {
	tag, err := s.Pool.Exec(ctx, `
		INSERT INTO leak_sources (source, next_scan_at) VALUES ($1, $3)
		ON CONFLICT (source) DO UPDATE SET next_scan_at = excluded.next_scan_at
		WHERE leak_sources.next_scan_at <= $2`, source, now, now.Add(hold))
	return err == nil && tag.RowsAffected() == 1, err
}

// Scanned stores how the scan of a claimed source ended, and that it is due again at st.Next. With done false the scan
// was cut off, and only st.Next is stored.
func (s *Store) Scanned(ctx context.Context, source string, st SourceState, done bool) error {
	if !done {
		_, err := s.Pool.Exec(ctx, `UPDATE leak_sources SET next_scan_at = $2 WHERE source = $1`, source, st.Next)
		return err
	}
	_, err := s.Pool.Exec(ctx, `
		UPDATE leak_sources SET next_scan_at = $2, scanned_at = $3, took_ms = $4, bytes = $5, found = $6, skipped = $7, error = $8,
			not_searched = $9, left_out = $10, tips = $11, registry = $12, whole_at = $13, found_before = $14
		WHERE source = $1`,
		source, st.Next, st.Scanned, st.Took.Milliseconds(), st.Bytes, st.Found, st.Skipped, st.Error,
		orNone(st.NotSearched), orEmpty(st.LeftOut), orNone(st.Tips), orEmpty(st.Registry), nullTime(st.Whole), st.FoundBefore)
	return err
}

// Sources returns how the last scans ended, by source, also of sources that are configured no more.
func (s *Store) Sources(ctx context.Context) (map[string]SourceState, error) {
	rows, err := s.Pool.Query(ctx, `
		SELECT source, scanned_at, took_ms, bytes, found, skipped, error, next_scan_at, not_searched, left_out, tips, registry, whole_at,
			found_before
		FROM leak_sources`)
	if err != nil {
		return nil, err
	}
	all := map[string]SourceState{}
	var (
		source  string
		scanned *time.Time
		whole   *time.Time
		took    int64
		st      SourceState
	)
	into := []any{
		&source, &scanned, &took, &st.Bytes, &st.Found, &st.Skipped, &st.Error, &st.Next, &st.NotSearched, &st.LeftOut, &st.Tips,
		&st.Registry, &whole, &st.FoundBefore,
	}
	_, err = pgx.ForEachRow(rows, into, func() error {
		st.Scanned, st.Whole, st.Took = orZero(scanned), orZero(whole), time.Duration(took)*time.Millisecond
		all[source] = st
		st.NotSearched, st.LeftOut, st.Tips, st.Registry = nil, nil, nil, nil // the next row has its own
		return nil
	})
	return all, err
}

func orNone[K comparable, V any](m map[K]V) map[K]V {
	if m == nil {
		return map[K]V{}
	}
	return m
}
