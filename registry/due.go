package registry

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

const moveSQL = `
	UPDATE credentials c SET next_check_at = n.at, next_check_why = n.why
	FROM unnest($1::bigint[], $2::timestamptz[], $3::text[]) AS n (id, at, why)
	WHERE c.id = n.id`

// Due says when a credential is next to be checked.
type Due struct {
	ID  int64
	At  time.Time
	Why string // in words, for a person; "": as scheduled
}

// Lock locks the rows of ids until tx ends, in the order in which everyone locks them: credentials
// by id, and before what others keep of them. Two transactions so never wait for each other.
func (s *Store) Lock(ctx context.Context, tx pgx.Tx, ids []int64) error {
	_, err := s.LockLeases(ctx, tx, ids)
	return err
}

// LockLeases is Lock, and returns the number of the newest lease of each, by id.
func (s *Store) LockLeases(ctx context.Context, tx pgx.Tx, ids []int64) (map[int64]int64, error) {
	rows, err := tx.Query(ctx, `SELECT id, lease FROM credentials WHERE id = ANY($1) ORDER BY id FOR UPDATE`, ids)
	if err != nil {
		return nil, err
	}
	newest := make(map[int64]int64, len(ids))
	var id, lease int64
	_, err = pgx.ForEachRow(rows, []any{&id, &lease}, func() error {
		newest[id] = lease
		return nil
	})
	return newest, err
}

// Reschedule sets when credentials are next due, and why, in tx: each at its Due.At, whatever its schedule says. Ids
// that there are not are passed over.
func (s *Store) Reschedule(ctx context.Context, tx pgx.Tx, ds []Due) error {
	if len(ds) == 0 {
		return nil
	}
	ids, at, why := make([]int64, len(ds)), make([]time.Time, len(ds)), make([]string, len(ds))
	for i, d := range ds {
		ids[i], at[i], why[i] = d.ID, d.At, d.Why
	}
	_, err := tx.Exec(ctx, moveSQL, ids, at, why)
	return err
}

// Hasten says how credentials of a provider are made due out of turn.
type Hasten struct {
	Provider string
	Now      time.Time
	Rested   time.Duration // none sooner after its last check
	Wait     bool          // for that; false: it is passed over
	Why      string
}

// Hasten makes credentials due at their times that are due later, in tx. It passes over what somebody checks just now, what
// is locked, and what is retired: all of that has an answer soon, or needs none.
func (s *Store) Hasten(ctx context.Context, tx pgx.Tx, h Hasten, ds []Due) error {
	if len(ds) == 0 {
		return nil
	}
	ids, at := make([]int64, len(ds)), make([]time.Time, len(ds))
	for i, d := range ds {
		ids[i], at[i] = d.ID, d.At
	}
	_, err := tx.Exec(ctx, hastenSQL, ids, at, h.Now, h.Rested, h.Wait, h.Why)
	return err
}

const hastenSQL = `
	UPDATE credentials c SET next_check_at = h.at, next_check_why = $6
	FROM (
		SELECT c.id, w.at FROM credentials c
		JOIN (
			SELECT d.id, greatest(d.at, CASE WHEN $5 THEN s.last_check_at + $4::interval END) AS at
			FROM unnest($1::bigint[], $2::timestamptz[]) AS d (id, at) LEFT JOIN credential_state s ON s.credential_id = d.id
			WHERE $5 OR s.last_check_at IS NULL OR $4::interval <= '0' OR s.last_check_at <= d.at - $4::interval
		) AS w ON w.id = c.id
		WHERE c.next_check_at > w.at AND c.leased_until <= $3 AND c.retired_at IS NULL
		ORDER BY c.id
		FOR UPDATE OF c SKIP LOCKED) AS h
	WHERE c.id = h.id`

// Zone is the time zone that schedules are read in.
func (s *Store) Zone() *time.Location { return s.zone }

// Lags returns, of every provider that has credentials, how long the credential that waits longest for its result is
// overdue at now, 0 where none is: also while it is being checked, and where the provider asked to wait.
func (s *Store) Lags(ctx context.Context, now time.Time) (map[string]time.Duration, error) {
	rows, err := s.pool.Query(ctx, `SELECT provider, min(next_check_at) FROM credentials WHERE retired_at IS NULL GROUP BY 1`)
	if err != nil {
		return nil, err
	}
	lags := map[string]time.Duration{}
	var (
		provider string
		oldest   time.Time
	)
	_, err = pgx.ForEachRow(rows, []any{&provider, &oldest}, func() error {
		lags[provider] = max(0, now.Sub(oldest))
		return nil
	})
	return lags, err
}
