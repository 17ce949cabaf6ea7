package audit

import (
	"context"
	"net/netip"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/checker"
)

// Intent is a check that is about to be made; Check is the id that its result will have (checker.Target.ID).
type Intent struct {
	Check        uuid.UUID
	CredentialID int64
	At           time.Time
}

// Intend writes down checks before they are made, in a transaction of its own. Record takes them out again; those of
// a killed process stay until Forget. An id that is written down already is an error, and nothing is written.
func (s *Store) Intend(ctx context.Context, is []Intent) error {
	_, err := s.pool.CopyFrom(ctx, pgx.Identifier{"check_intents"}, []string{"check_id", "credential_id", "intended_at"},
		pgx.CopyFromSlice(len(is), func(i int) ([]any, error) { return []any{is[i].Check, is[i].CredentialID, is[i].At}, nil }))
	return err
}

// settle takes out the intents whose results are stored.
func settle(ctx context.Context, tx pgx.Tx, rs []checker.Result) error {
	ids := make([]uuid.UUID, len(rs))
	for i, r := range rs {
		ids[i] = r.ID
	}
	_, err := tx.Exec(ctx, `DELETE FROM check_intents WHERE check_id = ANY($1)`, ids)
	return err
}

// Forget drops intents made before a time, and the rows of checks_daily of days before its date.
func (s *Store) Forget(ctx context.Context, before time.Time) error {
	batch := &pgx.Batch{}
	batch.Queue(`DELETE FROM check_intents WHERE intended_at < $1`, before)
	batch.Queue(`DELETE FROM checks_daily WHERE day < $1`, before)
	return s.pool.SendBatch(ctx, batch).Close()
}

// Ledger returns what our own checks of some credentials left in others' logs from a time to another, both included,
// in no order. A check that is intended and not stored has no Trail, and Done is false.
func (s *Store) Ledger(ctx context.Context, tx pgx.Tx, credentialIDs []int64, from, to time.Time) ([]checker.Footprint, error) {
	rows, err := tx.Query(ctx, `
		SELECT id, credential_id, checked_at, took_us, true, token_hash, jti_hash, egress, requests FROM checks
		WHERE credential_id = ANY($1) AND checked_at BETWEEN $2 AND $3
		UNION ALL
		SELECT check_id, credential_id, intended_at, 0, false, NULL, NULL, NULL, 0 FROM check_intents
		WHERE credential_id = ANY($1) AND intended_at BETWEEN $2 AND $3`, credentialIDs, from, to)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (f checker.Footprint, err error) {
		var (
			took   int64
			egress *netip.Addr
		)
		err = row.Scan(&f.Check, &f.CredentialID, &f.At, &took, &f.Done, &f.TokenHash, &f.JTIHash, &egress, &f.Requests)
		if f.Took = time.Duration(took) * time.Microsecond; egress != nil {
			f.Egress = *egress
		}
		return f, err
	})
}

func nullAddr(a netip.Addr) *netip.Addr {
	if !a.IsValid() {
		return nil
	}
	return &a
}
