package postgres_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/keyrounds/keyrounds/postgres"
	"github.com/keyrounds/keyrounds/postgres/pgtest"
	"github.com/keyrounds/keyrounds/test/lasting"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func open(t *testing.T, url string) *pgxpool.Pool {
	t.Helper()
	pool, err := postgres.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

func TestMigrateTogetherAndAgain(t *testing.T) {
	t.Parallel()
	pool := open(t, pgtest.EmptyURL(t))
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			if v, err := postgres.Migrate(t.Context(), pool); err != nil || v.Current != v.Target || v.Target == 0 {
				t.Errorf("version %+v, error %v", v, err)
			}
		})
	}
	wait.Wait()
	if _, err := pool.Exec(t.Context(), `INSERT INTO schema_migrations (version_id, is_applied) VALUES (99999, true)`); err != nil {
		t.Fatal(err)
	}
	if _, err := postgres.Migrate(t.Context(), pool); !errors.Is(err, postgres.ErrNewer) {
		t.Errorf("a newer schema: %v", err)
	}
	if _, err := postgres.CurrentVersion(t.Context(), pool); !errors.Is(err, postgres.ErrNewer) {
		t.Errorf("version of a newer schema: %v", err)
	}
}

// A migration may take longer than the statements of the pool may: here it waits for a lock.
func TestAMigrationTakesItsTime(t *testing.T) {
	t.Parallel()
	before := pgtest.Before(t, 19)
	c := before.Config().Copy()
	c.ConnConfig.RuntimeParams["statement_timeout"] = "500ms"
	pool, err := pgxpool.NewWithConfig(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	tx, err := before.Begin(t.Context())
	if err == nil {
		_, err = tx.Exec(t.Context(), `LOCK TABLE checks`)
	}
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := postgres.Migrate(t.Context(), pool)
		done <- err
	}()
	time.Sleep(1200 * time.Millisecond) // the subject
	if len(done) > 0 {
		t.Error("it did not wait")
	}
	if err := errors.Join(tx.Rollback(t.Context()), <-done); err != nil {
		t.Error(err)
	}
}

func TestEveryTableAndColumnHasAComment(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	rows, err := pool.Query(t.Context(), `
		SELECT c.relname || coalesce('.' || a.attname, '')
		FROM pg_class c LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
		WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace AND NOT c.relispartition
			AND c.relname NOT LIKE 'river%' AND c.relname <> 'schema_migrations'
			AND (col_description(c.oid, a.attnum) IS NULL OR obj_description(c.oid) IS NULL)`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		t.Errorf("%s has no comment", name)
	}
}

func TestErrorsHideThePassword(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"postgres://u:c4n4ry@127.0.0.1:1/x",
		"postgres://u:c4n4ry@host:bad/x",
		"host=127.0.0.1 port=1 user=u password=c4n4ry connect_timeout=x",
	} {
		pool, err := postgres.Open(t.Context(), url)
		if err == nil {
			err = postgres.Ping(t.Context(), pool)
			pool.Close()
		}
		if err == nil || strings.Contains(err.Error(), "c4n4ry") {
			t.Errorf("%v", err)
		}
	}
}

func start(t *testing.T, dir string, daemon bool) (*postgres.Private, error) {
	t.Helper()
	return postgres.StartPrivate(
		t.Context(),
		postgres.PrivateOptions{
			DataDir:  dir,
			Daemon:   daemon,
			Log:      slog.New(slog.DiscardHandler),
			Settings: map[string]string{"fsync": "off"},
		},
	)
}

func TestPrivateServer(t *testing.T) {
	lasting.Test(t, "it starts and kills servers")
	t.Parallel()
	dir := filepath.Join(pgtest.Dir(t), "d")
	p, err := start(t, dir, true)
	if err != nil {
		t.Fatal(err)
	}
	reg := prometheus.NewRegistry()
	p.Watch(reg)
	watched := func() (up, restarts, free float64) {
		for name, v := range map[string]*float64{"up": &up, "restarts_total": &restarts, "disk_free_bytes": &free} {
			*v = value(t, reg, "keyrounds_private_postgres_"+name)
		}
		return up, restarts, free
	}
	if up, restarts, free := watched(); up != 1 || restarts != 0 || free <= 0 {
		t.Errorf("up %v, restarts %v, %v bytes free", up, restarts, free)
	}
	exec1(t, open(t, p.AdminURL()), `CREATE TABLE kept AS SELECT 7 AS n; GRANT SELECT ON kept TO PUBLIC`)
	pool := open(t, p.URL())

	var inUse *postgres.InUseError
	if _, err := start(t, dir, true); !errors.As(err, &inUse) || inUse.PID != os.Getpid() || inUse.Hint() == "" {
		t.Errorf("a second daemon on the same data_dir: %v", err)
	}
	beside, err := start(t, dir, false)
	if err != nil {
		t.Fatalf("a command beside the daemon: %v", err)
	}
	exec1(t, open(t, beside.URL()), `SELECT n FROM kept`)
	beside.Stop()
	exec1(t, pool, `SELECT 1`)

	// Its Postgres is killed: it comes back by itself, with what was committed.
	if err := syscall.Kill(postmaster(t, dir), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool {
		var n int
		return pool.QueryRow(t.Context(), `SELECT n FROM kept`).Scan(&n) == nil && n == 7
	})
	eventually(t, func() bool { // a backend of the killed one may have answered
		up, restarts, _ := watched()
		return up == 1 && restarts == 1
	})
	p.Stop()
	if up, _, _ := watched(); up != 0 {
		t.Error("it is up after Stop")
	}
	if err := postgres.Ping(t.Context(), pool); err == nil {
		t.Error("it answers after Stop")
	}
	command, err := start(t, dir, false)
	if err != nil {
		t.Fatalf("a command without a daemon: %v", err)
	}
	exec1(t, open(t, command.URL()), `SELECT n FROM kept`)
	command.Stop()
}

// value is that of a metric without labels.
func value(t *testing.T, reg *prometheus.Registry, name string) float64 {
	t.Helper()
	all, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue() + f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	t.Fatalf("no %s", name)
	return 0
}

// A daemon that is killed takes its server along; a server that lived on would be stopped first.
func TestServerOfAKilledDaemon(t *testing.T) {
	lasting.Test(t, "it starts and kills servers")
	t.Parallel()
	if dir := os.Getenv("PRIVATE_DIR"); dir != "" {
		if _, err := start(t, dir, true); err != nil {
			t.Fatal(err)
		}
		os.Stdout.WriteString("up\n")
		select {}
	}
	dir := filepath.Join(pgtest.Dir(t), "d")
	child := exec.Command(os.Args[0], "-test.run=^TestServerOfAKilledDaemon$")
	child.Env = append(os.Environ(), "PRIVATE_DIR="+dir)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 3)
	if _, err := out.Read(line); err != nil || string(line) != "up\n" {
		t.Fatalf("the child said %q, %v", line, err)
	}
	pid := postmaster(t, dir)
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait()
	p, err := start(t, dir, true)
	if err != nil {
		t.Fatalf("start after kill -9: %v", err)
	}
	defer p.Stop()
	exec1(t, open(t, p.URL()), `SELECT 1`)
	if now := postmaster(t, dir); now == pid {
		t.Errorf("the server of the killed daemon (%d) was taken over", pid)
	}
}

func postmaster(t *testing.T, dir string) int {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "postgres", "data", "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(b), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func exec1(t *testing.T, pool *pgxpool.Pool, sql string) {
	t.Helper()
	if _, err := pool.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for !ok() {
		select {
		case <-ctx.Done():
			t.Fatal("it did not happen within 30 s")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// The transaction that Postgres gives up to end a deadlock runs again
// (docs/promises.md#a-transaction-that-lost-a-deadlock-runs-again).
func TestInTxRunsAgainAfterADeadlock(t *testing.T) {
	t.Parallel()
	pool := open(t, pgtest.EmptyURL(t))
	_, err := pool.Exec(t.Context(), `
		CREATE TABLE pair (id int PRIMARY KEY, n int); INSERT INTO pair VALUES (1, 0), (2, 0)`)
	if err != nil {
		t.Fatal(err)
	}
	var both, wait sync.WaitGroup
	both.Add(2)
	for _, order := range [][2]int{{1, 2}, {2, 1}} {
		wait.Go(func() {
			first := true
			err := postgres.InTx(t.Context(), pool, func(tx pgx.Tx) error {
				for i, id := range order {
					if _, err := tx.Exec(t.Context(), `UPDATE pair SET n = n + 1 WHERE id = $1`, id); err != nil {
						return err
					}
					if i == 0 && first { // each holds its first row before either asks for its second
						first = false
						both.Done()
						both.Wait()
					}
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	var sum int
	if err := pool.QueryRow(t.Context(), `SELECT sum(n) FROM pair`).Scan(&sum); err != nil || sum != 4 {
		t.Errorf("%d updates, want 4 (%v)", sum, err)
	}
}
