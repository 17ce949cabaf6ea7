package notify

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/traces"
)

// Enqueue puts changes into the outbox, in the transaction of the change: nobody is told of what did not
// happen, and nothing is forgotten.
func (n *Notifier) Enqueue(ctx context.Context, tx pgx.Tx, cs []finding.Change) error {
	if len(cs) == 0 {
		return nil
	}
	ids := make([]int64, len(cs))
	for i, c := range cs {
		ids[i] = c.Finding.ID
	}
	if _, err := tx.Exec(ctx, `INSERT INTO notify_pending (finding_id, since, trace) SELECT id, $2, $3 FROM unnest($1::bigint[]) AS id`, ids, n.Now(), traces.Of(ctx)); err != nil {
		return err
	}
	return n.wake(ctx, tx, AttendArgs{})
}

func (n *Notifier) wake(ctx context.Context, tx pgx.Tx, jobs ...river.JobArgs) error {
	if len(jobs) == 0 {
		return nil
	}
	many := make([]river.InsertManyParams, len(jobs))
	for i, j := range jobs {
		many[i] = river.InsertManyParams{Args: j}
	}
	_, err := n.insert.InsertManyFastTx(ctx, tx, many)
	return err
}
