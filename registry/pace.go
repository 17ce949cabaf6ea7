package registry

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
)

// Pace returns when a provider's next requests may begin, at or after now, and books the provider from then for as
// long as they take, in tx. The provider's rate so holds over all replicas.
func (s *Store) Pace(ctx context.Context, tx pgx.Tx, provider string, now time.Time, takes time.Duration) (time.Time, error) {
	var until time.Time
	err := tx.QueryRow(ctx, paceSQL, provider, now, takes).Scan(&until)
	return until.Add(-takes), err
}

const paceSQL = `
	INSERT INTO provider_pace AS p (provider, paced_until) VALUES ($1, $2::timestamptz + $3::interval)
	ON CONFLICT (provider) DO UPDATE SET paced_until = greatest(p.paced_until, $2) + $3::interval
	RETURNING paced_until`

// Booked returns until when a provider's rate is booked; a time that is over, or the zero Time: it is free.
func (s *Store) Booked(ctx context.Context, tx pgx.Tx, provider string) (until time.Time, err error) {
	err = tx.QueryRow(ctx, `
		SELECT paced_until FROM provider_pace WHERE provider = $1 AND paced_until > '-infinity'`, provider).Scan(&until)
	if errors.Is(err, pgx.ErrNoRows) {
		err = nil
	}
	return until, err
}

// Pause says that a provider asked to be left alone until then: nothing of it is handed out before, and Paused tells
// whoever is about to ask it. A pause is never shortened.
func (s *Store) Pause(ctx context.Context, tx pgx.Tx, provider string, until time.Time) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO provider_pace AS p (provider, paced_until, paused_until) VALUES ($1, $2, $2)
		ON CONFLICT (provider) DO UPDATE SET paced_until = greatest(p.paced_until, $2),
			paused_until = greatest(p.paused_until, $2)`, provider, until)
	return err
}

// Paused returns until when a provider asked to be left alone; a time that is over, or the zero Time: it
// may be asked.
func (s *Store) Paused(ctx context.Context, tx pgx.Tx, provider string) (until time.Time, err error) {
	err = tx.QueryRow(ctx, `
		SELECT paused_until FROM provider_pace WHERE provider = $1 AND paused_until > '-infinity'`, provider).Scan(&until)
	if errors.Is(err, pgx.ErrNoRows) {
		err = nil
	}
	return until, err
}

// Spent returns how many token requests a provider got in the month (UTC) of now, as Spend counts; 0 for one that is
// not known.
func (s *Store) Spent(ctx context.Context, tx pgx.Tx, provider string, now time.Time) (n int, err error) {
	err = tx.QueryRow(ctx, `
		SELECT coalesce((SELECT requests FROM provider_pace WHERE provider = $1 AND month = $2), 0)`,
		provider, monthOf(now)).Scan(&n)
	return n, err
}

// Spend counts n token requests of a provider in the month (UTC) of now, in tx; a negative n gives back what was
// counted and not asked. A new month begins at 0, and no count falls below it.
func (s *Store) Spend(ctx context.Context, tx pgx.Tx, provider string, now time.Time, n int) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO provider_pace AS p (provider, month, requests) VALUES ($1, $2, $3)
		ON CONFLICT (provider) DO UPDATE SET
			requests = greatest(0, CASE WHEN p.month = excluded.month THEN p.requests ELSE 0 END + excluded.requests),
			month = excluded.month`,
		provider, monthOf(now), n)
	return err
}

func monthOf(t time.Time) time.Time {
	y, m, _ := t.UTC().Date()
	return time.Date(y, m, 1, 0, 0, 0, 0, time.UTC)
}

// Load is what a provider was asked already, and for how long it is booked.
type Load struct {
	Booked   time.Duration // until its rate is free, or it may be asked again
	Requests int           // in the month (UTC), as Spend counts
}

// Paces returns the load, at now, of every provider that was ever booked, paused or asked, by its name.
func (s *Store) Paces(ctx context.Context, now time.Time) (map[string]Load, error) {
	rows, err := s.pool.Query(ctx, `
		SELECT provider, coalesce(nullif(paced_until, '-infinity'), $1), CASE WHEN month = $2 THEN requests ELSE 0 END
		FROM provider_pace`, now, monthOf(now))
	if err != nil {
		return nil, err
	}
	all := map[string]Load{}
	var (
		provider string
		until    time.Time
		n        int
	)
	_, err = pgx.ForEachRow(rows, []any{&provider, &until, &n}, func() error {
		all[provider] = Load{max(0, until.Sub(now)), n}
		return nil
	})
	return all, err
}
