// Package pgtest gives each test its own database on a real Postgres.
//
// A database and not a schema, because advisory locks and LISTEN, which River uses, belong to the
// database.
package pgtest

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/keyrounds/keyrounds/postgres"
)

var (
	shared = sync.OnceValues(start)
	count  atomic.Int64
)

type server struct {
	private *postgres.Private
	dir     string
}

// Main is for TestMain: it runs the tests, stops the server that they used, and exits.
func Main(m *testing.M) { os.Exit(Suite{m}.Run()) }

// Suite is the tests of a package, as Main runs them, for those who have something around it.
type Suite struct{ M *testing.M }

// Run runs the tests and stops the server that they used.
func (s Suite) Run() int {
	code := s.M.Run()
	if used.Load() {
		if s, err := shared(); err == nil {
			s.private.Stop()
			_ = os.RemoveAll(s.dir)
		}
	}
	return code
}

var used atomic.Bool

// New returns a pool on a new, migrated database that is the test's own.
func New(t testing.TB) *pgxpool.Pool {
	t.Helper()
	pool, err := postgres.Open(t.Context(), URL(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// URL returns where a new, migrated database is that is the test's own.
func URL(t testing.TB) string { return create(t, template) }

// EmptyURL returns where a new, empty database is.
func EmptyURL(t testing.TB) string { return create(t, "template1") }

// Socket returns the directory of the server's socket.
func Socket(t testing.TB) string {
	t.Helper()
	c, err := pgx.ParseConfig(mustServer(t).private.URL())
	if err != nil {
		t.Fatal(err)
	}
	return c.Host
}

const template = "keyrounds_template"

func create(t testing.TB, from string) string {
	t.Helper()
	s := mustServer(t)
	name := fmt.Sprintf("test_%d", count.Add(1))
	admin(t, s, fmt.Sprintf("CREATE DATABASE %s TEMPLATE %s", name, from))
	t.Cleanup(func() { admin(t, s, fmt.Sprintf("DROP DATABASE %s WITH (FORCE)", name)) })
	c, err := pgx.ParseConfig(s.private.URL())
	if err != nil {
		t.Fatal(err)
	}
	return "postgres:///" + name + "?" + url.Values{"host": {c.Host}, "user": {c.User}}.Encode()
}

func mustServer(t testing.TB) server {
	t.Helper()
	used.Store(true)
	s, err := shared()
	if err != nil {
		t.Fatalf("the tests need Postgres: %v", err)
	}
	return s
}

func admin(t testing.TB, s server, sql string) {
	t.Helper()
	ctx := context.Background() // also at cleanup, when the test's own is over
	conn, err := pgx.Connect(ctx, strings.Replace(s.private.URL(), "dbname=keyrounds", "dbname=postgres", 1))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, sql); err != nil {
		t.Fatal(err)
	}
}

// start runs a server that trades safety for speed and makes the template that databases are
// copied from.
func start() (server, error) {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "pgtest-")
	if err != nil {
		return server{}, err
	}
	if err := os.Chmod(dir, 0o711); err != nil {
		return server{}, err
	}
	p, err := postgres.StartPrivate(ctx, postgres.PrivateOptions{
		DataDir: filepath.Join(dir, "d"), Daemon: true, Log: slog.New(slog.DiscardHandler),
		Settings: map[string]string{"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "max_connections": "300"},
	})
	if err != nil {
		return server{}, err
	}
	conn, err := pgx.Connect(ctx, p.URL())
	if err != nil {
		return server{}, err
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+template); err != nil {
		return server{}, err
	}
	pool, err := postgres.Open(ctx, strings.Replace(p.URL(), "dbname=keyrounds", "dbname="+template, 1))
	if err != nil {
		return server{}, err
	}
	defer pool.Close()
	_, err = postgres.Migrate(ctx, pool)
	return server{p, dir}, err
}

// Dir returns a new directory that a Postgres of an unprivileged user can be in, unlike the one of
// testing.T.TempDir.
func Dir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "keyrounds-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	return dir
}
