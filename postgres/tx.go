package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

const triesInTx = 4

// InTx runs f in a transaction and commits it; an error of f rolls it back. Where Postgres gave the transaction up
// for the sake of another (a deadlock, a serialization failure) nothing of it was done, and f runs again, at most
// three times: f must not keep what it did before. Its errors are plain: they do not name the connection (Plain).
func InTx(ctx context.Context, pool *pgxpool.Pool, f func(pgx.Tx) error) error {
	for try := 1; ; try++ {
		err := pgx.BeginFunc(ctx, pool, f)
		if try == triesInTx || !givenUp(err) {
			return Plain(err)
		}
		select {
		case <-ctx.Done():
			return Plain(err)
		case <-time.After(time.Duration(try) * 20 * time.Millisecond):
		}
	}
}

// givenUp: SQLSTATE 40001 serialization_failure, 40P01 deadlock_detected.
func givenUp(err error) bool {
	var pe *pgconn.PgError
	return errors.As(err, &pe) && (pe.Code == "40001" || pe.Code == "40P01")
}
