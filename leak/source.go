package leak

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// SourceState is how the last scan of a source ended.
type SourceState struct {
	Scanned time.Time     `json:"scanned_at,omitzero"`
	Took    time.Duration `json:"took_ns"`
	Bytes   int64         `json:"bytes"`
	Found   int           `json:"found"`
	Skipped int           `json:"left_out"`
	Error   string        `json:"error"`
	Next    time.Time     `json:"next_scan_at,omitzero"`
}

// ClaimSource takes a source that is due, so that nobody else scans it before hold is over. A new one is due.
func (s *Store) ClaimSource(ctx context.Context, source string, now time.Time, hold time.Duration) (mine bool, err error) {
	tag, err := s.Pool.Exec(ctx, `
		INSERT INTO leak_sources (source, next_scan_at) VALUES ($1, $3)
		ON CONFLICT (source) DO UPDATE SET next_scan_at = excluded.next_scan_at WHERE leak_sources.next_scan_at <= $2`, source, now, now.Add(hold))
	return err == nil && tag.RowsAffected() == 1, err
}

// Scanned writes down how a scan ended; with done false, only when it is due again.
func (s *Store) Scanned(ctx context.Context, source string, st SourceState, done bool) error {
	if !done {
		_, err := s.Pool.Exec(ctx, `UPDATE leak_sources SET next_scan_at = $2 WHERE source = $1`, source, st.Next)
		return err
	}
	_, err := s.Pool.Exec(ctx, `UPDATE leak_sources SET next_scan_at = $2, scanned_at = $3, took_ms = $4, bytes = $5, found = $6, skipped = $7, error = $8 WHERE source = $1`,
		source, st.Next, st.Scanned, st.Took.Milliseconds(), st.Bytes, st.Found, st.Skipped, st.Error)
	return err
}

// Sources returns how the last scans ended, by source.
func (s *Store) Sources(ctx context.Context) (map[string]SourceState, error) {
	rows, err := s.Pool.Query(ctx, `SELECT source, scanned_at, took_ms, bytes, found, skipped, error, next_scan_at FROM leak_sources`)
	if err != nil {
		return nil, err
	}
	all := map[string]SourceState{}
	var (
		source  string
		scanned *time.Time
		took    int64
		st      SourceState
	)
	_, err = pgx.ForEachRow(rows, []any{&source, &scanned, &took, &st.Bytes, &st.Found, &st.Skipped, &st.Error, &st.Next}, func() error {
		st.Scanned, st.Took = orZero(scanned), time.Duration(took)*time.Millisecond
		all[source] = st
		return nil
	})
	return all, err
}
