package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"

	"github.com/jackc/pgx/v5"
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
var ErrNewer = errors.New("the database was made by a newer keyrounds: this one is too old for it")

// Version is a schema's place in the line of migrations: where the database is, and where this binary wants it.
type Version struct{ Current, Target int64 }

// Migrate brings the schema up to date, our tables and River's, and returns where it is then. Processes that come at
// the same time wait for each other. It refuses a schema that is newer than the binary (ErrNewer). Its other errors
// are plain (Plain); after one it can be called again. It needs two connections of pool at once.
func Migrate(ctx context.Context, pool *pgxpool.Pool) (Version, error) {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return Version{}, Plain(err)
	}
	defer conn.Release()
	if _, err := conn.Exec(ctx, `SET statement_timeout = 0`); err != nil {
		return Version{}, Plain(err)
	}
	if _, err := conn.Exec(ctx, `SELECT pg_advisory_lock($1)`, migrationLock); err != nil {
		return Version{}, Plain(err)
	}
	defer func() { _, _ = conn.Exec(context.WithoutCancel(ctx), `SELECT pg_advisory_unlock($1)`, migrationLock) }()
	defer func() { _, _ = conn.Exec(context.WithoutCancel(ctx), `RESET statement_timeout`) }()

	v, err := withGoose(pool, func(g *goose.Provider) (Version, error) {
		v, err := versionOf(ctx, g)
		if err != nil {
			return v, err
		}
		_, err = g.Up(ctx)
		v.Current = v.Target
		return v, err
	})
	if err != nil {
		return v, fmt.Errorf("migrate: %w", Plain(err))
	}
	river, err := riverMigrator(pool)
	if err == nil {
		_, err = river.Migrate(ctx, rivermigrate.DirectionUp, nil)
	}
	if err != nil {
		return v, fmt.Errorf("migrate the job queue: %w", Plain(err))
	}
	return v, nil
}

// CurrentVersion returns where the schema is. Its error is ErrNewer where that is beyond this binary, or a plain one
// (Plain).
func CurrentVersion(ctx context.Context, pool *pgxpool.Pool) (Version, error) {
	v, err := withGoose(pool, func(g *goose.Provider) (Version, error) { return versionOf(ctx, g) })
	return v, Plain(err)
}

func versionOf(ctx context.Context, g *goose.Provider) (v Version, err error) {
	v.Current, v.Target, err = g.GetVersions(ctx)
	if err == nil && v.Current > v.Target {
		err = ErrNewer
	}
	return v, err
}

func withGoose(pool *pgxpool.Pool, f func(*goose.Provider) (Version, error)) (Version, error) {
	db := stdlib.OpenDBFromPool(pool)
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
