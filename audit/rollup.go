package audit

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
)

// A result may be stored this long after its check began; days are rolled up again that far back.
const lateResults = time.Hour

// RollUp brings checks_daily up to date, in a transaction of its own: the days (UTC) since it last ran, with the hour
// before, are counted anew. At first it begins with the oldest check. It may run anywhere, any time, on any replica:
// it holds an advisory lock meanwhile.
func (s *Store) RollUp(ctx context.Context, now time.Time) error {
	tx, err := s.pool.Begin(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtext('keyrounds: audit.RollUp'))`); err != nil {
		return err
	}
	from, err := rolledUpTo(ctx, tx)
	if err != nil {
		return err
	}
	from = from.Add(-lateResults).UTC().Truncate(24 * time.Hour)
	for day := from; !day.After(now); day = day.AddDate(0, 0, 1) {
		if _, err := tx.Exec(ctx, rollUpSQL, day, day.AddDate(0, 0, 1)); err != nil {
			return err
		}
	}
	_, err = tx.Exec(
		ctx,
		`INSERT INTO rollups (name, upto) VALUES ('checks_daily', $1)
		ON CONFLICT (name) DO UPDATE SET upto = greatest(rollups.upto, excluded.upto)`,
		now,
	)
	if err != nil {
		return err
	}
	return tx.Commit(ctx)
}

// rolledUpTo is where to go on, at first the oldest check.
func rolledUpTo(ctx context.Context, q interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
},
) (time.Time, error) {
	var at *time.Time
	err := q.QueryRow(ctx, `SELECT upto FROM rollups WHERE name = 'checks_daily'`).Scan(&at)
	if errors.Is(err, pgx.ErrNoRows) {
		err = q.QueryRow(ctx, `SELECT coalesce(min(checked_at), now()) FROM checks`).Scan(&at)
	}
	return fromNull(at), err
}

const rollUpSQL = `
	INSERT INTO checks_daily (credential_id, day, checks, ok, rejected, uncertain, latency_us, status, last_check_at, last_success_at)
	SELECT credential_id, $1::timestamptz::date, count(*), count(*) FILTER (WHERE outcome = 'ok'),
		count(*) FILTER (WHERE outcome = 'rejected'),
		count(*) FILTER (WHERE outcome NOT IN ('ok', 'scope_reduced', 'scope_denied', 'grant_denied', 'rejected')), sum(latency_us),
		(array_agg(status ORDER BY checked_at DESC))[1], max(checked_at), max(checked_at) FILTER (WHERE outcome IN ('ok', 'scope_reduced'))
	FROM checks WHERE checked_at >= $1 AND checked_at < $2 GROUP BY credential_id
	ON CONFLICT (credential_id, day) DO UPDATE SET checks = excluded.checks, ok = excluded.ok, rejected = excluded.rejected,
		uncertain = excluded.uncertain, latency_us = excluded.latency_us, status = excluded.status,
		last_check_at = excluded.last_check_at, last_success_at = excluded.last_success_at`

// StatusesAt returns, by credential, the status at the end of the last day (UTC) before a time, or within 12 hours of it
// where the time is no midnight in UTC, that has checks: as checks_daily has it, and of days that RollUp has not counted yet by the
// checks themselves. A credential without any is not in the map.
func (s *Store) StatusesAt(ctx context.Context, before time.Time) (map[int64]string, error) {
	rolled, err := rolledUpTo(ctx, s.pool)
	if err != nil {
		return nil, err
	}
	midnight := before.Add(12 * time.Hour).UTC().Truncate(24 * time.Hour)
	rows, err := s.pool.Query(ctx, `
		SELECT DISTINCT ON (credential_id) credential_id, status FROM (
			SELECT credential_id, status, last_check_at AS at FROM checks_daily WHERE day < ($1::timestamptz AT TIME ZONE 'UTC')::date
			UNION ALL
			SELECT credential_id, status, checked_at FROM checks WHERE checked_at >= $2 AND checked_at < $1
		) known ORDER BY credential_id, at DESC`,
		midnight, rolled.Add(-lateResults).UTC().Truncate(24*time.Hour))
	if err != nil {
		return nil, err
	}
	var (
		all    = map[int64]string{}
		id     int64
		status string
	)
	_, err = pgx.ForEachRow(rows, []any{&id, &status}, func() error {
		all[id] = status
		return nil
	})
	return all, err
}
