package pages_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyrounds/keyrounds/access"
	"github.com/keyrounds/keyrounds/action"
	"github.com/keyrounds/keyrounds/app"
	"github.com/keyrounds/keyrounds/config"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/postgres/pgtest"
	"github.com/keyrounds/keyrounds/secret"
	"github.com/keyrounds/keyrounds/sim"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

const password = "c4n4ry correct horse"

// house is a real daemon on a real Postgres, beside a simulated provider and Slack, with people who sign in.
type house struct {
	*testing.T
	app      *app.App
	provider *sim.Provider
	slack    *sim.Slack
	base     string
	dir      string
	log      logged
	link     atomic.Pointer[access.Person] // whom /enter/c4n4ry-link lets in
}

// logged is what the daemon logs.
type logged struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

var names = []string{
	"ats-sync", "careers-site", "hr-dashboard", "offer-letters", "interview-bot", "job-ads", "background-checks", "onboarding",
	"salary-bands", "event-hooks", "approvals", "audit-export", "honeypot", "screening", "payroll",
}

// newHouse begins with credentials of these names; a name that begins with "!" is refused from the beginning.
func newHouse(t *testing.T, names ...string) *house {
	t.Helper()
	h := &house{T: t, slack: &sim.Slack{Token: "c4n4ry-slack"}, dir: t.TempDir()}
	var clients []sim.Client
	var list strings.Builder
	for i, name := range names {
		clients = append(clients, sim.Client{ID: "id-" + name, Name: name, Secret: "c4n4ry-" + name, Scopes: []string{
			"company_read",
			"jobs_read",
		}})
		h.write(name, "c4n4ry-"+name)
		more := ""
		if name == "event-hooks" {
			more = ", expires: " + time.Now().AddDate(0, 0, 12).Format(time.DateOnly)
		}
		fmt.Fprintf(&list,
			"  - {name: %s, provider: %s, client_id: id-%s, secret: \"file:%s/%s\", scopes: [company_read, jobs_read], owner: %s, "+
				"description: %q, created: 2024-01-01%s}\n", name, []string{"smartrecruiters", "hris"}[i/14%2], name, h.dir, name,
			[]string{"web", "talent-platform", "finance"}[i%3], "what "+name+" is for", more)
	}
	h.provider = sim.NewProvider(clients...)
	provider, slack := httptest.NewServer(h.provider), httptest.NewServer(h.slack)
	t.Cleanup(provider.Close)
	t.Cleanup(slack.Close)
	h.write("slack", h.slack.Token)
	if list.Len() == 0 {
		list.WriteString("  []\n")
	}
	c, err := config.Parse("keyrounds.yaml", fmt.Appendf(nil, `
data_dir: %[1]s
database: %[2]s
listen: 127.0.0.1:0
providers:
  smartrecruiters:
    preset: smartrecruiters
    token_url: "%[3]s/identity/oauth/token"
    allow_private_networks: true
    rate: 100/s
    min_interval: 1s
  hris: {token_url: "%[3]s/identity/oauth/token", allow_private_networks: true, rate: 100/s, min_interval: 1s}
defaults: {schedule: "@every 1h"}
verdict: {confirm: [100ms, 200ms], again: [300ms, 400ms], refusals_per_hour: 0, grace: 1s}
slack: {token: "file:%[1]s/slack", channel: "#x", api_url: "%[4]s/"}
notifications: {group_wait: 1s}
access: {people: true}
leaks: {try_every: 1s}
credentials:
%[5]s`, h.dir, pgtest.Section(t), provider.URL, slack.URL, list.String()))
	if err != nil {
		t.Fatal(err)
	}
	h.app, err = app.Open(t.Context(), app.Options{
		Config: c, Version: "test", Log: slog.New(slog.NewTextHandler(&h.log, nil)), Daemon: true, Stderr: io.Discard,
		Tick:  100 * time.Millisecond,
		Judge: 500 * time.Millisecond,
		Enter: func(token string) (p access.Person, ok bool) {
			if token != "c4n4ry-link" {
				return p, false
			}
			if person := h.link.Swap(nil); person != nil {
				return *person, true
			}
			return p, false
		},
	})
	if err == nil {
		err = h.app.Start(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		h.app.Stop()
		if strings.Contains(h.log.b.String(), "c4n4ry") {
			t.Error("a secret is in the log")
		}
	})
	h.base = "http://" + h.app.Addr()
	h.await("it is ready", func() bool { status, _ := h.ask(http.DefaultClient, "/readyz"); return status == http.StatusOK })
	return h
}

func (h *house) write(name, text string) {
	h.Helper()
	if err := os.WriteFile(filepath.Join(h.dir, name), []byte(text), 0o600); err != nil {
		h.Fatal(err)
	}
}

func (h *house) await(what string, cond func() bool) {
	h.Helper()
	for deadline := time.Now().Add(time.Minute); !cond(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			h.Fatalf("after a minute still not: %s", what)
		}
	}
}

// ask gets a page, and returns its status and text.
func (h *house) ask(client *http.Client, path string) (int, string) {
	h.Helper()
	req, err := http.NewRequestWithContext(h.Context(), http.MethodGet, h.base+path, http.NoBody)
	if err != nil {
		h.Fatal(err)
	}
	req.Header.Set("Accept", "text/html")
	resp, err := client.Do(req)
	if err != nil {
		h.Fatal(err)
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b)
}

// admin makes the first admin, ann, and returns a client that is signed in as her.
func (h *house) admin() *http.Client {
	h.Helper()
	token, _, err := h.app.Access.FirstRunToken(h.Context(), "test")
	var ann access.Person
	if err == nil {
		ann, err = h.app.Access.FirstRun(h.Context(), token, "ann", secret.New([]byte(password)))
	}
	if err != nil {
		h.Fatal(err)
	}
	h.link.Store(&ann)
	return h.signIn("ann", password)
}

func (h *house) signIn(name, password string) *http.Client {
	h.Helper()
	jar, _ := cookiejar.New(nil)
	client := &http.Client{Jar: jar}
	resp, err := client.PostForm(h.base+"/login", url.Values{"name": {name}, "password": {password}, "next": {"/account"}})
	if err != nil {
		h.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK || resp.Request.URL.Path != "/account" {
		h.Fatalf("the sign-in of %s: %d at %s", name, resp.StatusCode, resp.Request.URL)
	}
	return client
}

// checked waits until every credential was checked.
func (h *house) checked(n int) {
	h.Helper()
	h.await("all are checked", func() bool {
		var done int
		err := h.app.Pool.QueryRow(context.WithoutCancel(h.Context()),
			`SELECT count(*) FROM credential_state WHERE last_check_at IS NOT NULL`).Scan(&done)
		if err != nil {
			h.Fatal(err)
		}
		return done >= n
	})
}

// add registers a credential as the pages do: its secret is sealed.
func (h *house) add(name string) {
	h.Helper()
	h.provider.Add(sim.Client{ID: "id-" + name, Name: name, Secret: "c4n4ry-" + name, Scopes: []string{"company_read"}})
	c := credential.Credential{
		Name: name, Provider: "hris", Subject: "id-" + name, Secret: secret.Sealed, Owner: "web", Schedule: "@every 1h",
		UnusedAfter: 90 * 24 * time.Hour,
	}
	err := h.app.Actions.Add(h.Context(), "user ann", []credential.Credential{c}, []secret.Value{secret.New([]byte("c4n4ry-" + name))},
		action.AtOnce, nil)
	if err != nil {
		h.Fatal(err)
	}
}
