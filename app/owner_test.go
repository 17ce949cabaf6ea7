package app_test

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/keyrounds/keyrounds/app"
	"github.com/keyrounds/keyrounds/config"
	"github.com/keyrounds/keyrounds/postgres"
	"github.com/keyrounds/keyrounds/postgres/pgtest"
)

// With database.admin_url the daemon works as a role that owns nothing: it migrates, keeps partitions and does its rounds.
func TestAnOwnerOfTheDatabase(t *testing.T) {
	t.Parallel()
	open := func(url, admin string) *app.App {
		t.Helper()
		c, err := config.Parse("keyrounds.yaml", fmt.Appendf(nil, `
data_dir: %s
database: {url: %q, admin_url: %q}
listen: 127.0.0.1:0
providers: {idp: {token_url: "http://127.0.0.1:1/token", allow_private_networks: true}}
credentials: [{name: a, provider: idp, client_id: a, secret: env:HOME, schedule: "@every 1s"}]
`, t.TempDir(), url, admin))
		if err != nil {
			t.Fatal(err)
		}
		a, err := app.Open(t.Context(), app.Options{
			Config: c, Version: "test", Log: slog.New(slog.DiscardHandler), Daemon: true, Tick: 100 * time.Millisecond,
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(a.Close)
		return a
	}
	url, admin := pgtest.EmptyURLs(t)
	_, elsewhere := pgtest.EmptyURLs(t)
	var other postgres.ElsewhereError
	if err := open(url, elsewhere).Prepare(t.Context()); !errors.As(err, &other) || other.Hint() == "" {
		t.Errorf("another database: %v", err)
	}
	nobody := strings.Replace(admin, "user=keyrounds", "user=nobody", 1)
	if err := open(url, nobody).Prepare(t.Context()); err == nil {
		t.Errorf("a role that is not there: %v", err)
	}
	if err := open(url, url).Prepare(t.Context()); err == nil {
		t.Error("a role that may not migrate did")
	}
	a := open(url, admin)
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(time.Minute)
	for n := 0; n == 0; time.Sleep(20 * time.Millisecond) {
		if err := a.Pool.QueryRow(t.Context(), `SELECT count(*) FROM checks`).Scan(&n); err != nil && time.Now().After(deadline) {
			t.Fatalf("nothing was checked: %v", err)
		}
	}
	var name string
	if err := a.Pool.QueryRow(t.Context(), `SELECT tableowner FROM pg_tables WHERE tablename = 'checks'`).Scan(&name); err != nil ||
		name != "keyrounds" {
		t.Errorf("checks belongs to %q, %v", name, err)
	}
	a.Stop()
}
