package postgres_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/postgres"
	"github.com/keyrounds/keyrounds/postgres/pgtest"
)

// A private server that is made of a backup is in its data_dir whole, or there is none; one that was cut short is not
// taken for an empty one, and what is left of it does not hinder the next.
func TestBuildPrivate(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(pgtest.Dir(t), "new")
	o := postgres.PrivateOptions{DataDir: dir, Log: slog.New(slog.DiscardHandler)}
	query := func(url, sql string) error {
		c, err := pgx.Connect(t.Context(), url)
		if err != nil {
			return err
		}
		defer c.Close(context.WithoutCancel(t.Context()))
		_, err = c.Exec(t.Context(), sql)
		return err
	}
	names := func() (all []string) {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		for _, e := range entries {
			all = append(all, e.Name())
		}
		return all
	}

	broken := errors.New("broken")
	err := postgres.BuildPrivate(t.Context(), o, func(_ context.Context, p *postgres.Private) error {
		return errors.Join(query(p.AdminURL(), `CREATE TABLE half ()`), broken)
	})
	if !errors.Is(err, broken) || names() != nil {
		t.Fatalf("what failed left %v: %v", names(), err)
	}

	// Killed: the process is gone, and what it made lies there.
	half := o
	half.DataDir, half.Daemon = filepath.Join(dir, "restoring"), true
	p, err := postgres.StartPrivate(t.Context(), half)
	if err != nil {
		t.Fatal(err)
	}
	if err := query(p.AdminURL(), `CREATE TABLE half ()`); err != nil {
		t.Fatal(err)
	}
	p.Stop()
	for _, daemon := range []bool{true, false} {
		o := o
		o.Daemon = daemon
		var cut *postgres.CutShortError
		if _, err := postgres.StartPrivate(t.Context(), o); !errors.As(err, &cut) || cut.Hint() == "" {
			t.Errorf("what was cut short is started: %v", err)
		}
	}

	// The passwords of a database that was moved away are not those of the new one.
	passwords := filepath.Join(dir, "database-passwords")
	if err := os.WriteFile(passwords, []byte("*:*:*:keyrounds:x\n*:*:*:keyrounds_app:x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	err = postgres.BuildPrivate(t.Context(), o, func(_ context.Context, p *postgres.Private) error {
		err := query(p.AdminURL(), `CREATE TABLE half ()`) // which is not there any more
		var busy *postgres.InUseError
		if err := postgres.BuildPrivate(t.Context(), half, nil); !errors.As(err, &busy) {
			t.Errorf("two at once: %v", err)
		}
		return errors.Join(err, query(p.AdminURL(), `CREATE TABLE whole (); GRANT SELECT ON whole TO keyrounds_app`))
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := names(); !slices.Equal(got, []string{"lock", "postgres"}) {
		t.Errorf("the data_dir has %v", got)
	}
	if p, err = postgres.StartPrivate(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if err := query(p.URL(), `SELECT FROM whole`); err != nil {
		t.Error(err)
	}
	p.Stop()
	var taken *postgres.TakenError
	if err := postgres.BuildPrivate(t.Context(), o, nil); !errors.As(err, &taken) || taken.Hint() == "" {
		t.Errorf("a database that is there: %v", err)
	}

	// Killed after the rename: what is left of the building goes, and the database is started.
	if err := os.MkdirAll(filepath.Join(dir, "restoring"), 0o711); err != nil {
		t.Fatal(err)
	}
	if p, err = postgres.StartPrivate(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	defer p.Stop()
	if err := query(p.URL(), `SELECT FROM whole`); err != nil || slices.Contains(names(), "restoring") {
		t.Errorf("%v, %v", names(), err)
	}
}
