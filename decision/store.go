package decision

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Store is the table of decisions. It is safe for concurrent use.
type Store struct{ pool *pgxpool.Pool }

// NewStore makes a Store. It does not ask the database.
func NewStore(pool *pgxpool.Pool) *Store { return &Store{pool} }

// Querier is a pool or a transaction.
type Querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// Set makes d what is decided of the credential with this id, in tx, in place of what was decided before. d.Over is not stored.
func (s *Store) Set(ctx context.Context, tx pgx.Tx, credentialID int64, d Decision) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO decisions (credential_id, credential, choice, until, why, decided_by, decided_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (credential_id) DO UPDATE SET credential = $2, choice = $3, until = $4, why = $5, decided_by = $6, decided_at = $7,
			ended_at = NULL`,
		credentialID, d.Credential, string(d.Choice), d.Until, d.Why, d.By, d.At)
	return err
}

// Forget removes what was decided of credentials, in tx.
func (s *Store) Forget(ctx context.Context, tx pgx.Tx, credentialIDs []int64) error {
	_, err := tx.Exec(ctx, `DELETE FROM decisions WHERE credential_id = ANY($1)`, credentialIDs)
	return err
}

// End notes in tx that credentials were retired: what was decided of them is never over, and in no list.
func (s *Store) End(ctx context.Context, tx pgx.Tx, credentialIDs []int64, now time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE decisions SET ended_at = $2 WHERE credential_id = ANY($1) AND ended_at IS NULL`, credentialIDs, now)
	return err
}

// over says whether the day of a decision has come; $1 is now.
const over = `ended_at IS NULL AND until <= ($1::timestamptz AT TIME ZONE 'UTC')::date`

const columns = `credential, choice, until::timestamp AT TIME ZONE 'UTC', why, decided_by, decided_at, ` + over

// Of returns what is decided of credentials, by their ids, as it stands at now; of one that nothing was decided of there is none.
func (s *Store) Of(ctx context.Context, q Querier, now time.Time, credentialIDs []int64) (map[int64]Decision, error) {
	rows, err := q.Query(ctx, `SELECT credential_id, `+columns+` FROM decisions WHERE credential_id = ANY($2)`, now, credentialIDs)
	if err != nil {
		return nil, err
	}
	all := map[int64]Decision{}
	var (
		id int64
		d  Decision
	)
	_, err = pgx.ForEachRow(rows, []any{&id, &d.Credential, &d.Choice, &d.Until, &d.Why, &d.By, &d.At, &d.Over}, func() error {
		d.Until = d.Until.UTC()
		all[id] = d
		return nil
	})
	return all, err
}

// Filter chooses decisions, and a page of them, by name of the credential. The zero value chooses all.
type Filter struct {
	Among  []int64 // only of credentials with these ids; nil: of any
	Choice Choice  // "": any
	Over   *bool   // only those that are over, or that hold; nil: both
	After  string  // the credential that the page comes after
	Limit  int     // 0: none
}

// Page returns a page of the decisions of registered credentials as they stand at now, and how many there are on all pages.
func (s *Store) Page(ctx context.Context, now time.Time, f Filter) (total int, list []Decision, err error) {
	const chosen = ` FROM decisions WHERE ended_at IS NULL AND ($2::bigint[] IS NULL OR credential_id = ANY($2))
		AND ($3 = '' OR choice = $3) AND ($4::boolean IS NULL OR (` + over + `) = $4)`
	err = s.pool.QueryRow(ctx, `SELECT count(*)`+chosen, now, f.Among, string(f.Choice), f.Over).Scan(&total)
	if err != nil {
		return 0, nil, err
	}
	rows, err := s.pool.Query(ctx, `SELECT `+columns+chosen+` AND credential > $5 ORDER BY credential LIMIT nullif($6, 0)`,
		now, f.Among, string(f.Choice), f.Over, f.After, f.Limit)
	if err != nil {
		return 0, nil, err
	}
	list, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Decision])
	for i := range list {
		list[i].Until = list[i].Until.UTC()
	}
	return total, list, err
}
