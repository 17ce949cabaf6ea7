package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"

	"github.com/keyrounds/keyrounds/migrations"
)

// migrationLock is the advisory lock under which one process at a time migrates.
const migrationLock = 7306086981207326

// ErrNewer is returned where the schema was made by a newer keyrounds.
var ErrNewer error = newerError{}

type newerError struct{}

func (newerError) Error() string {
	return "the database was made by a newer keyrounds: this one is too old for it"
}

// Hint says what a person does about it.
func (newerError) Hint() string {
	return "run the newer keyrounds again; the way back to an older one is a backup from before the upgrade (docs/upgrade.md)"
}

// Version is a schema's place in the line of migrations: where the database is, and where this binary wants it.
type Version struct{ Current, Target int64 }

// Migrate brings the schema up to date, our tables and River's, and returns where it is then. Processes that come at
// the same time wait for each other. It refuses a schema that is newer than the binary (ErrNewer). Its other errors
// are plain (Plain); after one it can be called again. It needs a connection of pool, and one more.
func Migrate(ctx context.Context, pool *pgxpool.Pool) (v Version, err error) {
	err = alone(ctx, pool, func() error {
		v, err = withGoose(pool, func(g *goose.Provider) (Version, error) {
			v, err := versionOf(ctx, pool, g)
			if err != nil {
				return v, err
			}
			_, err = g.Up(ctx)
			v.Current = v.Target
			return v, err
		})
		if err != nil {
			return fmt.Errorf("migrate: %w", Plain(err))
		}
		return migrateQueue(ctx, pool)
	})
	return v, err
}

// alone calls f while no other process migrates.
func alone(ctx context.Context, pool *pgxpool.Pool, f func() error) error {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return Plain(err)
	}
	defer conn.Release()
	if _, err := conn.Exec(ctx, `SET statement_timeout = 0`); err != nil {
		return Plain(err)
	}
	if _, err := conn.Exec(ctx, `SELECT pg_advisory_lock($1)`, migrationLock); err != nil {
		return Plain(err)
	}
	defer func() { _, _ = conn.Exec(context.WithoutCancel(ctx), `SELECT pg_advisory_unlock($1)`, migrationLock) }()
	defer func() { _, _ = conn.Exec(context.WithoutCancel(ctx), `RESET statement_timeout`) }()
	return f()
}

func migrateQueue(ctx context.Context, pool *pgxpool.Pool) error {
	river, err := riverMigrator(pool)
	if err == nil {
		_, err = river.Migrate(ctx, rivermigrate.DirectionUp, nil)
	}
	if err != nil {
		return fmt.Errorf("migrate the job queue: %w", Plain(err))
	}
	return nil
}

// OlderError says that the schema is older than what this binary reads.
type OlderError struct{ Version }

func (e *OlderError) Error() string {
	if e.Current == 0 {
		return "the database has no schema yet"
	}
	return fmt.Sprintf("the schema of the database is of an older keyrounds: it is at version %d, and %d is read", e.Current, e.Target)
}

// Hint says what a person does about it.
func (*OlderError) Hint() string {
	return "keyrounds migrate brings it up to date, and so does the daemon when it starts"
}

// CurrentVersion returns where the schema is, and changes nothing. Its error is ErrNewer where that is beyond this binary,
// or a plain one (Plain).
func CurrentVersion(ctx context.Context, pool *pgxpool.Pool) (Version, error) {
	v, err := withGoose(pool, func(g *goose.Provider) (Version, error) { return versionOf(ctx, pool, g) })
	return v, Plain(err)
}

// RequireCurrent returns nil where the schema is the one that this binary reads, an *OlderError where it is older, and
// otherwise the errors of CurrentVersion. It changes nothing.
func RequireCurrent(ctx context.Context, pool *pgxpool.Pool) error {
	v, err := CurrentVersion(ctx, pool)
	if err == nil && v.Current < v.Target {
		return &OlderError{v}
	}
	return err
}

const undefinedTable = "42P01" // SQLSTATE

// versionOf does not ask goose, which would make its table to answer.
func versionOf(ctx context.Context, pool *pgxpool.Pool, g *goose.Provider) (v Version, err error) {
	sources := g.ListSources()
	v.Target = sources[len(sources)-1].Version
	var half bool
	if err = pool.QueryRow(ctx, halfSQL).Scan(&half); err != nil {
		return v, err
	}
	if half {
		return v, ErrHalfRestored
	}
	err = pool.QueryRow(ctx, `SELECT coalesce(max(version_id), 0) FROM schema_migrations WHERE is_applied`).Scan(&v.Current)
	var failed *pgconn.PgError
	if errors.As(err, &failed) && failed.Code == undefinedTable {
		err = nil
	}
	if err == nil && v.Current > v.Target {
		err = ErrNewer
	}
	return v, err
}

// withGoose has goose work on connections of its own, where a migration may take as long as it must: the pool's have
// a statement timeout.
func withGoose(pool *pgxpool.Pool, f func(*goose.Provider) (Version, error)) (Version, error) {
	c := pool.Config().ConnConfig.Copy()
	c.RuntimeParams["statement_timeout"] = "0"
	db := stdlib.OpenDB(*c)
	defer db.Close()
	g, err := newGoose(db)
	if err != nil {
		return Version{}, err
	}
	return f(g)
}

func newGoose(db *sql.DB) (*goose.Provider, error) {
	return goose.NewProvider(goose.DialectPostgres, db, migrations.Files,
		goose.WithTableName("schema_migrations"), goose.WithLogger(goose.NopLogger()))
}

func riverMigrator(pool *pgxpool.Pool) (*rivermigrate.Migrator[pgx.Tx], error) {
	return rivermigrate.New(riverpgxv5.New(pool), &rivermigrate.Config{Logger: slog.New(slog.DiscardHandler)})
}
