package audit

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/traces"
)

// Pending returns the findings that changed and of which it is not yet known who is told, each once, those that have
// waited longest first, at most limit. It locks no rows: the caller must hold a lock of its own until Done.
func (s *Store) Pending(ctx context.Context, tx pgx.Tx, limit int) ([]finding.Pending, error) {
	rows, err := tx.Query(ctx, `
		SELECT finding_id, min(since), (array_agg(trace ORDER BY id DESC))[1] FROM finding_outbox
		GROUP BY 1 ORDER BY min(id) LIMIT $1`, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[finding.Pending])
}

// Done takes findings out of the outbox, with all that is queued of them by now. Call it in the transaction of
// Pending.
func (s *Store) Done(ctx context.Context, tx pgx.Tx, findings []int64) error {
	_, err := tx.Exec(ctx, `DELETE FROM finding_outbox WHERE finding_id = ANY($1)`, findings)
	return err
}

func (s *Store) queue(ctx context.Context, tx pgx.Tx, cs []finding.Change) error {
	ids := make([]int64, len(cs))
	for i, c := range cs {
		ids[i] = c.Finding.ID
	}
	_, err := tx.Exec(
		ctx,
		`INSERT INTO finding_outbox (finding_id, since, trace) SELECT id, $2, $3 FROM unnest($1::bigint[]) AS id`,
		ids,
		s.now(),
		traces.Of(ctx),
	)
	if err != nil || s.wake == nil {
		return err
	}
	return s.wake(ctx, tx)
}
