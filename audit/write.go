package audit

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// forgetReplica is how long the last write of a replica that is gone is kept.
const forgetReplica = 24 * time.Hour

// Write stores that a replica could store at now, durably: when it returns, a crash of the server does not undo it. Its
// error is why nothing can be stored.
func (s *Store) Write(ctx context.Context, replica string, now time.Time) error {
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `SET LOCAL synchronous_commit = on`)
		if err == nil {
			_, err = tx.Exec(ctx, `
				INSERT INTO replica_writes (replica, at) VALUES ($1, $2)
				ON CONFLICT (replica) DO UPDATE SET at = excluded.at`, replica, now)
		}
		if err == nil {
			_, err = tx.Exec(ctx, `DELETE FROM replica_writes WHERE at < $1`, now.Add(-forgetReplica))
		}
		return err
	})
}
