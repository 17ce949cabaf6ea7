package leak

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/secret"
)

// Pace says how often secrets are tried. One that gave no answer is tried again after Every or a minute, whichever is
// shorter.
type Pace struct {
	Every   time.Duration // while they work
	Confirm time.Duration // once they were refused
}

// Lease is how one of several replicas goes on with the secrets that it began to try: the token by which it sees their
// end is in its memory only.
type Lease struct {
	Holder string        // the same for all claims of one process, and for no other's
	Keep   time.Duration // how long after a claim nobody else claims the same secret
}

// Claim returns at most limit secrets that are due to be tried at now, those that are due longest. No other caller, on
// whatever replica, gets them before hold is over, and no other holder before the lease is.
func (s *Store) Claim(ctx context.Context, now time.Time, hold time.Duration, lease Lease, limit int) ([]SecretRow, error) {
	rows, err := s.Pool.Query(ctx, `
		WITH due AS (
			SELECT id FROM leak_secrets WHERE next_try_at <= $1 AND (leased_by = $4 OR leased_until <= $1)
			ORDER BY next_try_at LIMIT $3 FOR UPDATE SKIP LOCKED)
		UPDATE leak_secrets s SET next_try_at = $2, tries = tries + 1, leased_by = $4, leased_until = $5 FROM due WHERE s.id = due.id
		RETURNING `+secretColumns, now, now.Add(hold), limit, lease.Holder, now.Add(lease.Keep))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanSecret)
}

// Open returns the value of a replaced secret that is kept. The caller wipes it.
func (s *Store) Open(r SecretRow) (secret.Value, error) { return s.open(r) }

// keptFor is how long a replaced secret is kept and tried of which there is no evidence that it got out.
const keptFor = 30 * 24 * time.Hour

// RecordAttempt stores what came of trying r, and when it is tried again.
//
// It returns the events that this makes of the credential's finding, for the caller to publish in tx, and the proof if
// this attempt completed it. A secret that is proven dead already changes nothing. A refusal within nine tenths of
// pace.Confirm of the last one counts as the same. The row of the secret is locked until tx ends.
func (s *Store) RecordAttempt(
	ctx context.Context, tx pgx.Tx, r SecretRow, a Attempt, pace Pace, now time.Time,
) ([]finding.Event, *finding.Death, error) {
	r, err := s.lock(ctx, tx, r.ID)
	if err != nil || !r.Dead.IsZero() {
		return nil, nil, err
	}
	r, next, death := r.after(a, pace, now)
	switch {
	case death != nil && r.NeverWorked && !r.Leaked:
		death = nil // it did not end: it never worked
		_, err = tx.Exec(ctx, `
			UPDATE leak_secrets SET works = false, works_at = $2, refused_at = $3, next_try_at = NULL, sealed = NULL WHERE id = $1`,
			r.ID, a.At, r.Refused)
	case death != nil:
		_, err = tx.Exec(ctx, `
			UPDATE leak_secrets SET works = false, works_at = $2, refused_at = $3, next_try_at = NULL, sealed = NULL,
				death = $4, dead_at = $2
			WHERE id = $1`, r.ID, a.At, r.Refused, death)
	case !r.Leaked && !r.Replaced.IsZero() && now.Sub(r.Replaced) > keptFor:
		_, err = tx.Exec(ctx, `UPDATE leak_secrets SET next_try_at = NULL, sealed = NULL WHERE id = $1`, r.ID)
	default:
		_, err = tx.Exec(ctx, `
			UPDATE leak_secrets SET works = $2, works_at = $3, refused_at = $4, next_try_at = $5,
				worked = CASE WHEN $2 THEN true ELSE worked END
			WHERE id = $1`,
			r.ID, r.Works, nullTime(r.WorksAt), orEmpty(r.Refused), next)
	}
	if err != nil || !r.Leaked {
		return nil, death, err
	}
	events, err := s.Judge(ctx, tx, []int64{r.CredentialID}, now)
	return events, death, err
}

// Postpone has a claimed secret that could not be tried be tried at another time; with the zero Time, not any more. If
// anybody else decided about it meanwhile, nothing changes.
func (s *Store) Postpone(ctx context.Context, r SecretRow, at time.Time) error {
	_, err := s.Pool.Exec(ctx, `UPDATE leak_secrets SET next_try_at = $3 WHERE id = $1 AND dead_at IS NULL AND next_try_at = $2`,
		r.ID, r.NextTry, nullTime(at))
	return err
}

func (s *Store) lock(ctx context.Context, tx pgx.Tx, id int64) (SecretRow, error) {
	rows, err := tx.Query(ctx, `SELECT `+secretColumns+` FROM leak_secrets s WHERE s.id = $1 FOR UPDATE OF s`, id)
	if err != nil {
		return SecretRow{}, err
	}
	return pgx.CollectExactlyOneRow(rows, scanSecret)
}

func nullTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// Deaths returns the proofs that secrets of a credential are dead, by SecretRow.ID; of every credential with
// credentialID 0.
func (s *Store) Deaths(ctx context.Context, credentialID int64) (map[int64]finding.Death, error) {
	rows, err := s.Pool.Query(ctx, `
		SELECT id, death FROM leak_secrets WHERE death IS NOT NULL AND ($1 = 0 OR credential_id = $1)`, credentialID)
	if err != nil {
		return nil, err
	}
	all := map[int64]finding.Death{}
	var (
		id int64
		d  finding.Death
	)
	_, err = pgx.ForEachRow(rows, []any{&id, &d}, func() error { all[id] = d; d = finding.Death{}; return nil })
	return all, err
}

// Died returns, by credential, when the last of its replaced secrets was proven dead; those without one are left out.
func (s *Store) Died(ctx context.Context, tx pgx.Tx, ids []int64) (map[int64]time.Time, error) {
	rows, err := tx.Query(ctx, `
		SELECT credential_id, max(dead_at) FROM leak_secrets
		WHERE credential_id = ANY($1) AND dead_at IS NOT NULL AND replaced_at IS NOT NULL GROUP BY 1`, ids)
	if err != nil {
		return nil, err
	}
	died := map[int64]time.Time{}
	var (
		id int64
		at time.Time
	)
	_, err = pgx.ForEachRow(rows, []any{&id, &at}, func() error { died[id] = at.UTC(); return nil })
	return died, err
}
