package registry

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
)

// Longest is the credential of a provider that waits longest for its check.
type Longest struct {
	Due      time.Time
	Schedule string
	Waiting  int // credentials of the provider that are due, with it
}

// LongestDue returns, for each provider of which something is due at now, the credential that waits longest.
func (s *Store) LongestDue(ctx context.Context, tx pgx.Tx, now time.Time) (map[string]Longest, error) {
	rows, err := tx.Query(ctx, `
		SELECT provider, oldest, waiting, (
			SELECT schedule FROM credentials c
			WHERE c.provider = d.provider AND retired_at IS NULL ORDER BY next_check_at LIMIT 1)
		FROM (SELECT provider, min(next_check_at) AS oldest, count(*) AS waiting
			FROM credentials WHERE retired_at IS NULL AND next_check_at <= $1 GROUP BY 1) AS d`, now)
	if err != nil {
		return nil, err
	}
	all := map[string]Longest{}
	var (
		provider string
		l        Longest
	)
	_, err = pgx.ForEachRow(rows, []any{&provider, &l.Due, &l.Waiting, &l.Schedule}, func() error {
		all[provider] = l
		return nil
	})
	return all, err
}

// Schedules returns how many credentials of a provider have which schedule. Retired ones do not count.
func (s *Store) Schedules(ctx context.Context, tx pgx.Tx, provider string) (map[string]int, error) {
	rows, err := tx.Query(ctx, `
		SELECT schedule, count(*) FROM credentials WHERE provider = $1 AND retired_at IS NULL GROUP BY 1`, provider)
	if err != nil {
		return nil, err
	}
	all := map[string]int{}
	var (
		schedule string
		n        int
	)
	_, err = pgx.ForEachRow(rows, []any{&schedule, &n}, func() error {
		all[schedule] = n
		return nil
	})
	return all, err
}

// sweepGap is how long sweeps may be apart: after more, nothing was checked for a while.
const sweepGap = time.Minute

// Swept notes that what is due was looked for at now.
func (s *Store) Swept(ctx context.Context, tx pgx.Tx, now time.Time) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO sweeps AS s (since, resumed, last_at) VALUES ($1, $1, $1)
		ON CONFLICT (one) DO UPDATE SET last_at = $1,
			since = CASE WHEN s.last_at < $1::timestamptz - $2::interval THEN $1 ELSE s.since END,
			resumed = CASE WHEN s.last_at < $1::timestamptz - $3::interval THEN $1 ELSE s.resumed END`, now, sweepGap, resumeGap)
	return err
}

// resumeGap is shorter than a lease: no lease ends in a shorter gap of the sweeps that its holder could not help.
const resumeGap = 20 * time.Second

// Resumed returns the first sweep after the last gap of more than resumeGap. Call it after Swept.
func (s *Store) Resumed(ctx context.Context, tx pgx.Tx) (at time.Time, err error) {
	err = tx.QueryRow(ctx, `SELECT resumed FROM sweeps`).Scan(&at)
	return at, err
}

// SweptSince returns since when what is due was looked for, up to now, without a gap of more than a minute; the zero
// Time: it was not lately.
func (s *Store) SweptSince(ctx context.Context, tx pgx.Tx, now time.Time) (since time.Time, err error) {
	err = tx.QueryRow(ctx, `SELECT since FROM sweeps WHERE last_at >= $1::timestamptz - $2::interval`, now, sweepGap).Scan(&since)
	if errors.Is(err, pgx.ErrNoRows) {
		err = nil
	}
	return since, err
}
