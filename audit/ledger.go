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

// copier is a transaction, or a pool, which makes one.
type copier interface {
	CopyFrom(ctx context.Context, table pgx.Identifier, columns []string, rows pgx.CopyFromSource) (int64, error)
}

// Intend writes down checks before they are made, in q. Record takes them out again, and Withdraw those that are not
// made; those of a killed process stay until Forget.
func (s *Store) Intend(ctx context.Context, q copier, is []Intent) error {
	_, err := q.CopyFrom(ctx, pgx.Identifier{"check_intents"}, []string{"check_id", "credential_id", "intended_at"},
		pgx.CopyFromSlice(len(is), func(i int) ([]any, error) { return []any{[16]byte(is[i].Check), is[i].CredentialID, is[i].At}, nil }))
	return err
}

// Withdraw takes out checks that are not made after all, or whose results are stored, in tx.
func (s *Store) Withdraw(ctx context.Context, tx pgx.Tx, is []Intent) error {
	checks, credentials := make([][16]byte, len(is)), make([]int64, len(is))
	for i, in := range is {
		checks[i], credentials[i] = [16]byte(in.Check), in.CredentialID
	}
	_, err := tx.Exec(ctx, `DELETE FROM check_intents WHERE credential_id = ANY($1) AND check_id = ANY($2)`, credentials, checks)
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
