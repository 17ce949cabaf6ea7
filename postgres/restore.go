package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/pressly/goose/v3"
)

// ErrHalfRestored is returned where a restore is under way, or was cut short.
var ErrHalfRestored error = halfRestoredError{}

type halfRestoredError struct{}

func (halfRestoredError) Error() string {
	return "the database is being restored from a backup, or that was cut short: it is not whole"
}

func (halfRestoredError) Hint() string {
	return "if no restore is running: drop the database, make it again, and restore again"
}

// NotEmptyError says that a database has something already.
type NotEmptyError struct{ What string }

func (e *NotEmptyError) Error() string {
	return fmt.Sprintf("the database is not empty, it has %s: a backup is restored into an empty one only", e.What)
}

// Hint says what a person does about it.
func (*NotEmptyError) Hint() string {
	return "make another database, or drop this one if nothing in it is needed any more"
}

// While this table exists the database is refused.
const (
	restoringTable = "keyrounds_restoring"
	halfSQL        = `SELECT to_regclass('` + restoringTable + `') IS NOT NULL`
)

const firstRelationSQL = `
	SELECT 'the relation ' || relname FROM pg_class
	WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'f', 'S') ORDER BY relname LIMIT 1`

// Restore makes the schema as it was at a version in an empty database, has fill fill it in one transaction, migrates it on,
// and has finish finish it in another one. Meanwhile, and if that was cut short, all who open it are refused (ErrHalfRestored).
// Errors: *NotEmptyError, ErrNewer where this binary does not know the version, those of fill and finish; all plain (Plain).
func (o Owner) Restore(ctx context.Context, version int64, fill, finish func(context.Context, pgx.Tx) error) (v Version, err error) {
	err = o.Do(ctx, func(pool *pgxpool.Pool) error {
		v, err = withGoose(pool, func(g *goose.Provider) (Version, error) {
			sources := g.ListSources()
			v := Version{Current: version, Target: sources[len(sources)-1].Version}
			if version > v.Target {
				return v, ErrNewer
			}
			if !slices.ContainsFunc(sources, func(s *goose.Source) bool { return s.Version == version }) {
				return v, fmt.Errorf("there was never a schema with the number %d", version)
			}
			if err := InTx(ctx, pool, beginRestore(ctx)); err != nil {
				return v, err
			}
			err := alone(ctx, pool, func() error {
				_, err := g.UpTo(ctx, version)
				if err == nil {
					err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
						if _, err := tx.Exec(ctx, untimedSQL); err != nil {
							return err
						}
						return fill(ctx, tx)
					})
				}
				if err == nil {
					_, err = g.Up(ctx)
				}
				if err == nil {
					err = migrateQueue(ctx, pool)
				}
				return err
			})
			v.Current = v.Target
			return v, err
		})
		if err != nil {
			return Plain(err)
		}
		if o.Separate() {
			if err := Grant(ctx, pool, o.App.Config().ConnConfig.User); err != nil {
				return err
			}
		}
		return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
			// Statistics, which otherwise come after minutes, and the pages on the disk, before anybody takes it for whole.
			if _, err := tx.Exec(ctx, untimedSQL+`; ANALYZE; DROP TABLE `+restoringTable); err != nil {
				return err
			}
			return finish(ctx, tx)
		})
	})
	return v, Plain(err)
}

const untimedSQL = `SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0`

func beginRestore(ctx context.Context) func(pgx.Tx) error {
	return func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, migrationLock); err != nil {
			return err
		}
		var half bool
		if err := tx.QueryRow(ctx, halfSQL).Scan(&half); err != nil {
			return err
		}
		if half {
			return ErrHalfRestored
		}
		var has string
		if err := tx.QueryRow(ctx, firstRelationSQL).Scan(&has); err == nil {
			return &NotEmptyError{has}
		} else if !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		if _, err := tx.Exec(ctx, `CREATE TABLE `+restoringTable+` ()`); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `COMMENT ON TABLE `+restoringTable+
			` IS 'While it exists the database is not whole: a backup is being restored, or that was cut short.'`)
		return err
	}
}
