package audit

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
)

// A result may be stored this long after its check began; days are rolled up again that far back.
const lateResults = time.Hour

// RollUp brings checks_daily up to date: the days (UTC) since it last ran are counted anew. It may run
// anywhere, any time, on any replica.
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
	_, err = tx.Exec(ctx, `INSERT INTO rollups (name, upto) VALUES ('checks_daily', $1) ON CONFLICT (name) DO UPDATE SET upto = greatest(rollups.upto, excluded.upto)`, now)
	if err != nil {
		return err
	}
	return tx.Commit(ctx)
}

// rolledUpTo is where to go on, at first the oldest check.
func rolledUpTo(ctx context.Context, tx pgx.Tx) (time.Time, error) {
	var at *time.Time
	err := tx.QueryRow(ctx, `SELECT upto FROM rollups WHERE name = 'checks_daily'`).Scan(&at)
	if errors.Is(err, pgx.ErrNoRows) {
		err = tx.QueryRow(ctx, `SELECT coalesce(min(checked_at), now()) FROM checks`).Scan(&at)
	}
	return fromNull(at), err
}

const rollUpSQL = `
	INSERT INTO checks_daily (credential_id, day, checks, ok, rejected, uncertain, latency_us, status, last_check_at, last_success_at)
	SELECT credential_id, $1::timestamptz::date, count(*), count(*) FILTER (WHERE outcome = 'ok'), count(*) FILTER (WHERE outcome = 'rejected'),
		count(*) FILTER (WHERE outcome NOT IN ('ok', 'scope_reduced', 'scope_denied', 'grant_denied', 'rejected')), sum(latency_us),
		(array_agg(status ORDER BY checked_at DESC))[1], max(checked_at), max(checked_at) FILTER (WHERE outcome IN ('ok', 'scope_reduced'))
	FROM checks WHERE checked_at >= $1 AND checked_at < $2 GROUP BY credential_id
	ON CONFLICT (credential_id, day) DO UPDATE SET checks = excluded.checks, ok = excluded.ok, rejected = excluded.rejected, uncertain = excluded.uncertain,
		latency_us = excluded.latency_us, status = excluded.status, last_check_at = excluded.last_check_at, last_success_at = excluded.last_success_at`

// AsOf is what was held of a credential at a time.
type AsOf struct {
	Status        string
	LastCheckAt   time.Time
	LastSuccessAt time.Time // zero: none is known
	Checks, OK    int64     // in the days that were asked for
}

// StandingsAt returns, by credential, what was held at the end of the day (UTC) before a time, from the
// rows of days; and how many checks there were since from.
func (s *Store) StandingsAt(ctx context.Context, from, before time.Time) (map[int64]AsOf, error) {
	rows, err := s.pool.Query(ctx, `
		SELECT credential_id, (array_agg(status ORDER BY day DESC))[1], max(last_check_at), max(last_success_at),
			coalesce(sum(checks) FILTER (WHERE day >= $1::date), 0), coalesce(sum(ok) FILTER (WHERE day >= $1::date), 0)
		FROM checks_daily WHERE day < $2::date GROUP BY 1`, from, before)
	if err != nil {
		return nil, err
	}
	all := map[int64]AsOf{}
	var (
		id      int64
		a       AsOf
		success *time.Time
	)
	_, err = pgx.ForEachRow(rows, []any{&id, &a.Status, &a.LastCheckAt, &success, &a.Checks, &a.OK}, func() error {
		a.LastSuccessAt = fromNull(success)
		all[id] = a
		return nil
	})
	return all, err
}
