package app_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/keyrounds/keyrounds/app"
	"github.com/keyrounds/keyrounds/config"
	"github.com/keyrounds/keyrounds/postgres/pgtest"
	"github.com/keyrounds/keyrounds/sim"
	"github.com/keyrounds/keyrounds/test/lasting"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// A thousand reloads while checks run leave nothing behind, and every check ends well
// (docs/promises.md#reloads-leave-nothing-behind). Not parallel: it counts goroutines.
func TestAThousandReloads(t *testing.T) {
	lasting.Test(t, "it reads the configuration a thousand times")
	url := pgtest.EmptyURL(t)
	before := goleak.IgnoreCurrent()
	idp := sim.NewProvider(sim.Client{ID: "a", Secret: "s3cretvalue"}, sim.Client{ID: "b", Secret: "s3cretvalue"})
	server := httptest.NewServer(idp)
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("s3cretvalue"), 0o600); err != nil {
		t.Fatal(err)
	}
	parse := func(owner int) *config.Config {
		c, err := config.Parse("keyrounds.yaml", fmt.Appendf(nil, `
data_dir: %s
database: {url: %q}
listen: 127.0.0.1:0
providers: {idp: {token_url: %s/identity/oauth/token, allow_private_networks: true, rate: 1000/s}}
defaults: {schedule: "@every 1s"}
credentials:
  - {name: a, provider: idp, client_id: a, secret: "file:%[4]s", owner: team-%[5]d}
  - {name: b, provider: idp, client_id: b, secret: "file:%[4]s"}
`, t.TempDir(), url, server.URL, secret, owner))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	a, err := app.Open(
		t.Context(),
		app.Options{Config: parse(0), Version: "test", Log: slog.New(slog.DiscardHandler), Daemon: true, Tick: 100 * time.Millisecond},
	)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	exchanged := func(n int) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); idp.Exchanges("a") < n; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("after a minute %d exchanges, want %d", idp.Exchanges("a"), n)
			}
		}
	}
	exchanged(1)
	for i := range 1000 {
		if err := a.Reload(t.Context(), parse(i%2)); err != nil {
			t.Fatal(err)
		}
	}
	exchanged(idp.Exchanges("a") + 1)
	list, err := a.Audit.Standings(t.Context(), false)
	if err != nil || len(list) != 2 || list[0].Status != "healthy" || list[1].Status != "healthy" {
		t.Errorf("%+v, %v", list, err)
	}
	a.Stop()
	a.Stop() // which does nothing more
	if err := a.Start(t.Context()); !errors.Is(err, app.ErrStopped) {
		t.Errorf("Start after Stop: %v", err)
	}
	server.Close()
	http.DefaultClient.CloseIdleConnections()
	if err := goleak.Find(before); err != nil {
		t.Error(err)
	}
}
