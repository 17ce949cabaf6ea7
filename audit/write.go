package audit

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// forgetReplica is how long the last write of a replica that is gone is kept.
const forgetReplica = 24 * time.Hour

// ErrNoSchema says that the tables are not there yet: somebody migrates, or will.
var ErrNoSchema = errors.New("the schema is not there yet")

// Write stores that a replica could store at now, durably: when it returns, a crash of the server does not undo it. Its
// error is why nothing can be stored, or ErrNoSchema.
func (s *Store) Write(ctx context.Context, replica string, now time.Time) error {
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
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
	if refused := (*pgconn.PgError)(nil); errors.As(err, &refused) && refused.Code == "42P01" { // undefined_table
		return ErrNoSchema
	}
	return err
}
