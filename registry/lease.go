package registry

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/credential"
)

// Rules of leases:
//
//  1. Who checks what is due has leased it, and nobody else gets it while the lease lasts. So a credential is in at
//     most one job.
//  2. A lease is renewed while its holder works, and ends by itself when the holder does not: what died hands back.
//  3. Each lease of a credential has a number that grows. A result is stored only while its number is the newest.
//  4. A lease does not move the time at which a credential is due; the result does, in its transaction.

// Lease is the right to check a credential that is due.
type Lease struct {
	Credential int64 // its id
	Number     int64 // grows with each lease of the credential, from 1
}

// Leased is a credential that its holder may check.
type Leased struct {
	credential.Credential
	Lease Lease
}

// Lease leases up to limit credentials of a provider that are due at now and that nobody has leased, those that
// waited longest first, until then. It skips credentials that another transaction has locked. However many slots were
// missed, a credential is due once.
//
// Rolling tx back gives all of them back.
func (s *Store) Lease(ctx context.Context, tx pgx.Tx, provider string, now, until time.Time, limit int) ([]Leased, error) {
	rows, err := tx.Query(ctx, leaseSQL, provider, now, until, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (l Leased, err error) {
		l.Credential, err = scan(andNumber{row, &l.Lease.Number})
		l.Lease.Credential = l.ID
		return l, err
	})
}

// andNumber reads the number of a lease after the other columns.
type andNumber struct {
	pgx.CollectableRow
	number *int64
}

func (r andNumber) Scan(columns ...any) error {
	return r.CollectableRow.Scan(append(columns, r.number)...)
}

const leaseSQL = `
	WITH due AS (
		SELECT id AS due FROM credentials
		WHERE provider = $1 AND next_check_at <= $2 AND leased_until <= $2 AND retired_at IS NULL
		ORDER BY next_check_at
		LIMIT $4
		FOR UPDATE SKIP LOCKED),
	leased AS (
		UPDATE credentials SET lease = lease + 1, leased_until = $3 FROM due WHERE id = due.due
		RETURNING ` + columns + `, lease)
	SELECT ` + columns + `, lease FROM leased ORDER BY next_check_at, id`

// Renew has those leases last until then that are still the newest of their credentials, and have not been ended.
// It returns the ids of their credentials.
func (s *Store) Renew(ctx context.Context, ls []Lease, until time.Time) ([]int64, error) {
	ids, numbers := columnsOf(ls)
	// What is locked is being stored, or its next renewal comes in time.
	rows, err := s.pool.Query(ctx, `
		WITH own AS (
			SELECT c.id FROM credentials c JOIN unnest($1::bigint[], $2::bigint[]) AS l (id, number) ON c.id = l.id AND c.lease = l.number
			WHERE c.leased_until > '-infinity' AND c.leased_until < $3
			FOR UPDATE OF c SKIP LOCKED)
		UPDATE credentials c SET leased_until = $3 FROM own WHERE c.id = own.id RETURNING c.id`, ids, numbers, until)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[int64])
}

// HandBack ends those leases, in tx, that are still the newest of their credentials, which are as due as before. Call
// Lock first.
func (s *Store) HandBack(ctx context.Context, tx pgx.Tx, ls []Lease) error {
	if len(ls) == 0 {
		return nil
	}
	ids, numbers := columnsOf(ls)
	_, err := tx.Exec(ctx, `
		UPDATE credentials c SET leased_until = '-infinity'
		FROM unnest($1::bigint[], $2::bigint[]) AS l (id, number)
		WHERE c.id = l.id AND c.lease = l.number`, ids, numbers)
	return err
}

// Settled says when a credential is due after a check.
type Settled struct {
	Due
	Was   time.Time // when it was due when it was looked up for the check
	Lease int64     // the number of its lease, which ends; 0: it was checked without one
}

// Settle moves credentials on after their checks, in tx, and ends the leases. Where somebody set another time
// meanwhile, since a check is wanted soon, the sooner of both holds. A lease that is not the newest settles nothing. Call
// Lock first.
func (s *Store) Settle(ctx context.Context, tx pgx.Tx, ds []Settled) error {
	if len(ds) == 0 {
		return nil
	}
	ids, numbers := make([]int64, len(ds)), make([]int64, len(ds))
	at, was, why := make([]time.Time, len(ds)), make([]time.Time, len(ds)), make([]string, len(ds))
	for i, d := range ds {
		ids[i], numbers[i], was[i], at[i], why[i] = d.ID, d.Lease, d.Was, d.At, d.Why
	}
	_, err := tx.Exec(ctx, settleSQL, ids, numbers, was, at, why)
	return err
}

const settleSQL = `
	UPDATE credentials c SET
		next_check_at = CASE WHEN c.next_check_at = s.was THEN s.at ELSE least(c.next_check_at, s.at) END,
		next_check_why = CASE WHEN c.next_check_at = s.was OR s.at < c.next_check_at THEN s.why ELSE c.next_check_why END,
		leased_until = CASE WHEN s.number = 0 THEN c.leased_until ELSE '-infinity' END
	FROM unnest($1::bigint[], $2::bigint[], $3::timestamptz[], $4::timestamptz[], $5::text[]) AS s (id, number, was, at, why)
	WHERE c.id = s.id AND s.number IN (0, c.lease)`

func columnsOf(ls []Lease) (ids, numbers []int64) {
	ids, numbers = make([]int64, len(ls)), make([]int64, len(ls))
	for i, l := range ls {
		ids[i], numbers[i] = l.Credential, l.Number
	}
	return ids, numbers
}

// DueProviders returns the providers at which a stream is to begin: those that have something due at now that nobody
// has leased, that did not ask to be left alone, and whose rate is not booked for longer than ahead; by name. Where
// streams work already it names those that are late all the same, so that more replicas may help.
func (s *Store) DueProviders(ctx context.Context, tx pgx.Tx, now time.Time, ahead time.Duration) ([]string, error) {
	rows, err := tx.Query(ctx, dueProvidersSQL, now, ahead, lateFor, maxStreams)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

const (
	lateFor    = 10 * time.Second // what is due for longer, although a stream works, is late
	maxStreams = 8                // at one provider
)

// One look-up in the index a provider, however much is due.
const dueProvidersSQL = `
	WITH RECURSIVE names AS (
		(SELECT provider FROM credentials WHERE retired_at IS NULL ORDER BY provider LIMIT 1)
		UNION ALL
		SELECT (SELECT c.provider FROM credentials c WHERE c.retired_at IS NULL AND c.provider > names.provider ORDER BY c.provider LIMIT 1)
		FROM names WHERE names.provider IS NOT NULL)
	SELECT n.provider FROM names n
	CROSS JOIN LATERAL (
		SELECT next_check_at FROM credentials c
		WHERE c.provider = n.provider AND c.next_check_at <= $1 AND c.leased_until <= $1 AND c.retired_at IS NULL
		ORDER BY c.next_check_at LIMIT 1) AS longest
	CROSS JOIN LATERAL (
		SELECT count(*) AS n FROM provider_slots s WHERE s.provider = n.provider AND s.yields AND s.held_until > $1) AS streams
	WHERE NOT EXISTS (
			SELECT FROM provider_pace p WHERE p.provider = n.provider
				AND (p.paused_until > $1 OR p.paced_until > $1::timestamptz + $2::interval))
		AND (streams.n = 0 OR longest.next_check_at < $1::timestamptz - $3::interval AND streams.n < $4)
	ORDER BY n.provider`

// Lapsed returns the providers of credentials whose lease ended by itself, neither renewed nor handed back, by name. It
// looks at all credentials.
func (s *Store) Lapsed(ctx context.Context, tx pgx.Tx, now time.Time) ([]string, error) {
	rows, err := tx.Query(ctx, `
		SELECT DISTINCT provider FROM credentials WHERE leased_until > '-infinity' AND leased_until <= $1 AND retired_at IS NULL
		ORDER BY provider`, now)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}
