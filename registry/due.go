package registry

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/credential"
)

// ClaimDue claims up to limit credentials whose next check is at or before now, moves each on to the next time that
// its schedule names, and returns them, those that waited longest first. It skips credentials that another
// transaction has locked.
//
// A claimed credential is not due again before that time, whichever replica asks. Rolling tx back gives all of them
// back. However many slots were missed, a credential is due once. Those of a provider that is booked for more than a
// minute wait, so that no queue grows without end.
func (s *Store) ClaimDue(ctx context.Context, tx pgx.Tx, now time.Time, limit int) ([]credential.Credential, error) {
	cs, err := collect(ctx, tx, dueSQL, now, limit)
	if err != nil || len(cs) == 0 {
		return nil, err
	}
	due := make([]Due, len(cs))
	for i, c := range cs {
		at, why := c.Next(s.zone, now)
		due[i] = Due{c.ID, at, why}
	}
	return cs, s.Reschedule(ctx, tx, due)
}

const dueSQL = `
	SELECT ` + columns + ` FROM credentials
	WHERE next_check_at <= $1 AND retired_at IS NULL
		AND provider NOT IN (SELECT provider FROM provider_pace WHERE paced_until > $1::timestamptz + interval '1 minute')
	ORDER BY next_check_at
	LIMIT $2
	FOR UPDATE SKIP LOCKED`

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
	_, err := tx.Exec(ctx, `SELECT FROM credentials WHERE id = ANY($1) ORDER BY id FOR UPDATE`, ids)
	return err
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

// Zone is the time zone that schedules are read in.
func (s *Store) Zone() *time.Location { return s.zone }

// Lag returns how long the credential that waits longest is overdue at now, 0 where none is. Credentials of a
// provider that was asked to wait count as well.
func (s *Store) Lag(ctx context.Context, now time.Time) (time.Duration, error) {
	var oldest *time.Time
	err := s.pool.QueryRow(ctx, `SELECT min(next_check_at) FROM credentials WHERE retired_at IS NULL`).Scan(&oldest)
	if err != nil || oldest == nil {
		return 0, err
	}
	return max(0, now.Sub(*oldest)), nil
}
