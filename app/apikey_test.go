package app_test

import (
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keyrounds/keyrounds/app"
	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/config"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/postgres/pgtest"
	"github.com/keyrounds/keyrounds/sim"
	"github.com/keyrounds/keyrounds/test/lasting"
)

// An API key is watched as a client is: it is healthy; it is found in a file and works; revoked at the provider, it is told of once, as
// the leak that it was, and proven dead by its refusals, for there is no token. Its neighbour of the same host, which is a client, works.
func TestTheLifeOfAnAPIKey(t *testing.T) {
	t.Parallel()
	lasting.Test(t, "it runs a whole daemon for long")
	v := &vault{T: t, dir: t.TempDir(), secrets: map[string]string{}}
	var clients []sim.Client
	for _, name := range []string{"sheet", "script", "client"} {
		v.secrets[name] = "DCRA1-c4n4ry-" + name + "-0123456789abcdef"
		v.write(name, v.secrets[name])
		clients = append(clients, sim.Client{
			ID: name, Name: name, Secret: v.secrets[name], Key: name != "client", Scopes: []string{"company_read"},
		})
	}
	v.idp = sim.NewProvider(clients...)
	idp := httptest.NewServer(v.idp)
	t.Cleanup(idp.Close)
	found := t.TempDir()
	c, err := config.Parse("keyrounds.yaml", fmt.Appendf(nil, `
data_dir: %[1]s
database: %[2]s
listen: 127.0.0.1:0
verdict: {confirm: [1s, 2s], refusals_per_hour: 0}
defaults: {schedule: "@every 1s"}
providers:
  clients: {token_url: "%[3]s/identity/oauth/token", allow_private_networks: true, min_interval: 1s, rate: 100/s}
  keys:
    preset: smartrecruiters-api-key
    allow_private_networks: true
    min_interval: 1s
    rate: 100/s
    probes: [{get: "%[3]s/configuration/company/my"}, {scope: jobs_read, get: "%[3]s/jobs?limit=1"}]
credentials:
  - {name: client, provider: clients, client_id: client, secret: "file:%[1]s/client"}
  - {name: sheet, provider: keys, secret: "file:%[1]s/sheet", scopes: [jobs_read]}
  - {name: script, provider: keys, secret: "file:%[1]s/script"}
leaks: {try_every: 1s, sources: [{name: disk, path: "%[4]s", schedule: "@every 1s"}]}
`, v.dir, pgtest.Section(t), idp.URL, found))
	if err != nil {
		t.Fatal(err)
	}
	v.app, err = app.Open(t.Context(), app.Options{
		Config: c, Version: "test", Log: slog.New(slog.DiscardHandler), Daemon: true,
		Tick: 100 * time.Millisecond, Judge: 200 * time.Millisecond,
	})
	if err == nil {
		err = v.app.Start(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.app.Stop)
	v.await("all are healthy", func() bool {
		all, err := v.app.Audit.Standings(t.Context(), false)
		return err == nil && len(all) == 3 && !slices.ContainsFunc(all, func(st audit.Standing) bool { return st.Status != "healthy" })
	})
	if err := os.WriteFile(filepath.Join(found, "sheet.csv"), []byte("key;"+v.secrets["sheet"]+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	v.await("it is found and works", func() bool {
		f, is := v.leak("sheet")
		return is && f.Evidence.Leak.Works != nil && *f.Evidence.Leak.Works
	})
	v.idp.Revoke("sheet")
	v.await("it is proven dead", func() bool { f, _ := v.leak("sheet"); return f.State == finding.Resolved })
	f, _ := v.leak("sheet")
	d := f.Evidence.Leak.Deaths[0]
	if len(d.Refused) < 2 || !d.Stopped.IsZero() || !strings.Contains(d.Control, "other credential") || d.Token == "" {
		t.Errorf("%+v", d)
	}
	all, err := v.app.Audit.Findings(t.Context(), audit.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		if strings.Contains(fmt.Sprintf("%+v", f), "c4n4ry") {
			t.Errorf("a finding shows the key: %+v", f)
		}
	}
}
