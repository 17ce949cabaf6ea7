// Package pgtest gives each test its own database on a real Postgres.
//
// A database and not a schema, because advisory locks and LISTEN, which River uses, belong to the
// database.
package pgtest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/keyrounds/keyrounds/migrations"
	"github.com/keyrounds/keyrounds/postgres"
)

var (
	shared = sync.OnceValues(start)
	count  atomic.Int64
)

type server struct {
	url      string // of its database keyrounds, as the owner
	app      string // likewise, as the application's role
	template string
	admin    *pgxpool.Pool // on its database postgres: a new connection costs as much as a small test
	stop     func()
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
			s.stop()
		}
	}
	return code
}

var used atomic.Bool

// New returns a pool on a new, migrated database that is the test's own, as the application's role: it owns nothing, and may
// do what the daemon may.
func New(t testing.TB) *pgxpool.Pool {
	t.Helper()
	pool, err := postgres.Open(t.Context(), URL(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// Owner returns a pool on the same database as its owner, for what only that one may: partitions, and damage.
func Owner(t testing.TB, pool *pgxpool.Pool) *pgxpool.Pool {
	t.Helper()
	owner, err := postgres.Open(t.Context(), databaseOf(t, mustServer(t).url, pool.Config().ConnConfig.Database))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(owner.Close)
	return owner
}

// Analyze makes the statistics of tables, of all where none is named, which only their owner may.
func Analyze(t testing.TB, pool *pgxpool.Pool, tables ...string) {
	t.Helper()
	if _, err := Owner(t, pool).Exec(t.Context(), "ANALYZE "+strings.Join(tables, ", ")); err != nil {
		t.Fatal(err)
	}
}

// URL returns where a new, migrated database is that is the test's own, for the application's role.
func URL(t testing.TB) string {
	t.Helper()
	s := mustServer(t)
	return databaseOf(t, s.app, create(t, s.template))
}

// Section is a section database: of a configuration, of a new, migrated database that is the test's own.
func Section(t testing.TB) string {
	t.Helper()
	s := mustServer(t)
	name := create(t, s.template)
	return fmt.Sprintf("{url: %q, admin_url: %q}", databaseOf(t, s.app, name), databaseOf(t, s.url, name))
}

// EmptyURL returns where a new, empty database is, for its owner.
func EmptyURL(t testing.TB) string {
	t.Helper()
	_, owner := EmptyURLs(t)
	return owner
}

// EmptyURLs returns where a new, empty database is, for the application's role and for its owner.
func EmptyURLs(t testing.TB) (app, owner string) {
	t.Helper()
	s, name := mustServer(t), create(t, "template1")
	return databaseOf(t, s.app, name), databaseOf(t, s.url, name)
}

// databaseOf is url, in the key=value form, with another database.
func databaseOf(t testing.TB, dsn, name string) string {
	t.Helper()
	passwords := regexp.MustCompile(`passfile='([^']*)'`).FindStringSubmatch(dsn)
	c, err := pgx.ParseConfig(dsn)
	if err != nil || passwords == nil {
		t.Fatalf("%v, %q", err, passwords)
	}
	return "postgres:///" + name + "?" + url.Values{"host": {c.Host}, "user": {c.User}, "passfile": {passwords[1]}}.Encode()
}

// Before returns a pool on a new database of the test's own as an earlier version left it, at that number of
// migration; postgres.Migrate goes on from there.
func Before(t testing.TB, version int64) *pgxpool.Pool {
	t.Helper()
	pool, err := postgres.Open(t.Context(), EmptyURL(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	db := stdlib.OpenDBFromPool(pool)
	t.Cleanup(func() { _ = db.Close() })
	g, err := goose.NewProvider(goose.DialectPostgres, db, migrations.Files, goose.WithTableName("schema_migrations"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.UpTo(t.Context(), version); err != nil {
		t.Fatal(err)
	}
	return pool
}

// Socket returns the directory of the server's socket.
func Socket(t testing.TB) string {
	t.Helper()
	c, err := pgx.ParseConfig(mustServer(t).url)
	if err != nil {
		t.Fatal(err)
	}
	return c.Host
}

func create(t testing.TB, from string) (name string) {
	t.Helper()
	s := mustServer(t)
	name = fmt.Sprintf("test_%d_%d", os.Getpid(), count.Add(1))
	admin(t, s, func(version int) string {
		sql := fmt.Sprintf("CREATE DATABASE %s TEMPLATE %s", name, from)
		if version >= 15 { // before, there was no other strategy; with fsync off it is the fastest by far
			sql += " STRATEGY file_copy"
		}
		return sql
	})
	t.Cleanup(func() { admin(t, s, func(int) string { return fmt.Sprintf("DROP DATABASE %s WITH (FORCE)", name) }) })
	return name
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

// admin runs a statement on the server, made for its major version.
func admin(t testing.TB, s server, sql func(version int) string) {
	t.Helper()
	ctx := context.Background() // also at cleanup, when the test's own is over
	err := s.admin.AcquireFunc(ctx, func(conn *pgxpool.Conn) error {
		major, _, _ := strings.Cut(conn.Conn().PgConn().ParameterStatus("server_version"), ".")
		version, err := strconv.Atoi(major)
		if err == nil {
			_, err = conn.Exec(ctx, sql(version))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func start() (server, error) {
	s, err := find()
	if err != nil {
		return s, err
	}
	c, err := pgxpool.ParseConfig(strings.Replace(s.url, "dbname=keyrounds", "dbname=postgres", 1))
	if err != nil {
		return s, err
	}
	c.MaxConns = 4
	if s.admin, err = pgxpool.NewWithConfig(context.Background(), c); err != nil {
		return s, err
	}
	stop := s.stop
	s.stop = func() {
		s.admin.Close()
		stop()
	}
	return s, nil
}

// find finds the server that Keep runs, or runs one of its own.
func find() (server, error) {
	if url := os.Getenv(keptAt); url != "" {
		name, err := templateName()
		owner, app, _ := strings.Cut(url, "\n")
		return server{url: owner, app: app, template: name, stop: func() {}}, err
	}
	dir, err := os.MkdirTemp("", "pgtest-")
	if err != nil {
		return server{}, err
	}
	s, err := run(context.Background(), dir)
	if err != nil {
		_ = os.RemoveAll(dir)
		return server{}, err
	}
	stop := s.stop
	s.stop = func() {
		stop()
		_ = os.RemoveAll(dir)
	}
	return s, nil
}

// run runs a server in dir that trades safety for speed, with the template that databases are copied from.
func run(ctx context.Context, dir string) (s server, err error) {
	if err := os.Chmod(dir, 0o711); err != nil {
		return s, err
	}
	p, err := postgres.StartPrivate(ctx, postgres.PrivateOptions{
		DataDir: filepath.Join(dir, "d"), Daemon: true, Log: slog.New(slog.DiscardHandler),
		Settings: map[string]string{
			"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "max_connections": "500",
			"wal_level": "minimal", "max_wal_senders": "0", "checkpoint_timeout": "1h", "autovacuum": "off",
		},
	})
	if err != nil {
		return s, err
	}
	s = server{url: p.AdminURL(), app: p.URL(), stop: p.Stop}
	if s.template, err = makeTemplate(ctx, s.url); err != nil {
		p.Stop()
	}
	return s, err
}

// templateName is another one for other migrations, or other grants.
func templateName() (string, error) {
	sum := sha256.New()
	sum.Write([]byte(postgres.Grants))
	err := fs.WalkDir(migrations.Files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(migrations.Files, path)
		sum.Write([]byte(path))
		sum.Write(text)
		return err
	})
	return "template_" + hex.EncodeToString(sum.Sum(nil)[:8]), err
}

// makeTemplate migrates the template, if it is not there, and drops what earlier runs left.
func makeTemplate(ctx context.Context, url string) (name string, err error) {
	if name, err = templateName(); err != nil {
		return "", err
	}
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return "", err
	}
	defer conn.Close(ctx)
	rows, err := conn.Query(ctx, `SELECT datname FROM pg_database WHERE datname LIKE 'test\_%' OR datname LIKE 'template\_%'`)
	if err != nil {
		return "", err
	}
	left, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return "", err
	}
	for _, db := range left {
		if db == name {
			continue
		}
		if _, err := conn.Exec(ctx, "DROP DATABASE "+pgx.Identifier{db}.Sanitize()+" WITH (FORCE)"); err != nil {
			return "", err
		}
	}
	if slices.Contains(left, name) {
		return name, nil
	}
	// Under another name until it is whole: a run that was cut off leaves none that is half made.
	const making = "test_template"
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+making); err != nil {
		return "", err
	}
	pool, err := postgres.Open(ctx, strings.Replace(url, "dbname=keyrounds", "dbname="+making, 1))
	if err != nil {
		return "", err
	}
	if _, err = postgres.Migrate(ctx, pool); err == nil {
		err = postgres.Grant(ctx, pool, "keyrounds_app")
	}
	pool.Close()
	if err == nil {
		_, err = conn.Exec(ctx, "ALTER DATABASE "+making+" RENAME TO "+name)
	}
	return name, err
}

// keptAt is the environment variable by which tests find the server that Keep runs.
const keptAt = "KEYROUNDS_TEST_POSTGRES"

// Keep runs a server whose data stay in dir for the next run, and returns the setting of the environment by which the
// tests of this machine use it. It is for make quick.
func Keep(ctx context.Context, dir string) (env string, stop func(), err error) {
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return "", nil, err
	}
	s, err := run(ctx, dir)
	if err != nil {
		return "", nil, err
	}
	return keptAt + "=" + s.url + "\n" + s.app, s.stop, nil
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
