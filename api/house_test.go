package api_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyrounds/keyrounds/access"
	"github.com/keyrounds/keyrounds/api"
	"github.com/keyrounds/keyrounds/app"
	"github.com/keyrounds/keyrounds/config"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/idempotency"
	"github.com/keyrounds/keyrounds/postgres/pgtest"

	"github.com/jackc/pgx/v5"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// canary is the secret of every credential here: it is nowhere but where it is sealed, and in what is sent to the provider.
const canary = "c4n4ry-of-the-api"

// house is keyrounds on a database of its own, and its API over HTTP. The header Ask says who asks: a role, "owner web", or
// nobody.
type house struct {
	testing.TB
	*app.App
	url     string
	log     logged
	schemas *schemas
}

type logged struct {
	sync.Mutex
	strings.Builder
}

func (l *logged) Write(b []byte) (int, error) {
	l.Lock()
	defer l.Unlock()
	return l.Builder.Write(b)
}

func (l *logged) text() string {
	l.Lock()
	defer l.Unlock()
	return l.String()
}

const people = `
  - {name: web-a, provider: idp, client_id: web-a, secret: "file:%[1]s/secret", owner: web, scopes: [read, write]}
  - {name: web-b, provider: idp, client_id: web-b, secret: "file:%[1]s/secret", owner: web, labels: {env: test}}
  - {name: ops-a, provider: idp, client_id: ops-a, secret: "file:%[1]s/secret", owner: ops}
  - {name: ops-b, provider: other, client_id: ops-b, secret: "file:%[1]s/secret", owner: ops}
`

// newHouse opens one with four credentials: two of web, two of ops, one of these at another provider.
func newHouse(t testing.TB, adjust ...func(*api.Options)) *house {
	t.Helper()
	h := &house{TB: t}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "secret"), []byte(canary), 0o600); err != nil {
		t.Fatal(err)
	}
	idp := httptest.NewServer(http.HandlerFunc(provider))
	t.Cleanup(idp.Close)
	c, err := config.Parse("keyrounds.yaml", fmt.Appendf(nil, `
data_dir: %[1]s
database: %[2]s
listen: 127.0.0.1:0
providers:
  idp: {token_url: "%[3]s/token", allow_private_networks: true, auth_method: client_secret_post, min_interval: 0s}
  smartrecruiters: {token_url: "%[3]s/token", allow_private_networks: true, auth_method: client_secret_post, min_interval: 0s}
  other: {token_url: "%[3]s/token", allow_private_networks: true, auth_method: client_secret_post, min_interval: 0s}
receivers: [{name: pager, type: alertmanager, url: "%[3]s/"}]
leaks: {sources: [{name: tree, path: "%[1]s"}]}
feeds: [{name: pushed, provider: idp, type: push, token: "file:%[1]s/secret"}]
credentials:`+people, dir, pgtest.Section(t), idp.URL))
	if err == nil {
		log := slog.New(slog.NewJSONHandler(&h.log, nil))
		h.App, err = app.Open(t.Context(), app.Options{Daemon: true, Config: c, Version: "test", Log: log})
	}
	if err == nil {
		t.Cleanup(h.Close)
		err = h.Prepare(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	o := api.Options{
		Access: h.Access, Actions: h.Actions,
		Audit: h.Audit, Registry: h.Registry, Usage: h.Usage, Leaks: h.Leaks, Notifier: h.Notifier, Reports: h.Reports,
		Decisions: h.Decisions,
		Sources:   h.Exposure.Sources, ProveDead: h.Exposure.ProveDead, Search: h.Exposure.Search,
		Unregistered: h.Unregistered, Once: idempotency.New(h.Pool), Config: h.Config, PerMinute: 1e6,
		Version: "test", Log: h.App.Log, Now: time.Now,
	}
	for _, f := range adjust {
		f(&o)
	}
	handler := api.New(o)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if who, err := asked(r.Header.Get("Ask")); err == nil {
			r = r.WithContext(access.With(r.Context(), who))
		}
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() {
		if text := h.log.text(); strings.Contains(text, "c4n4ry") || strings.Contains(text, "panicked") {
			t.Errorf("the log shows a secret, or a mistake: %s", text)
		}
	})
	h.url = server.URL
	if h.schemas, err = newSchemas(h.ask(http.MethodGet, "/openapi.json", "", "Ask", "nobody").body); err != nil {
		t.Fatal(err)
	}
	return h
}

// asked is who an Ask header names.
func asked(text string) (access.Who, error) {
	role, owners, _ := strings.Cut(text, " ")
	if role == "nobody" {
		return access.Who{}, errors.New("nobody asks")
	}
	if role == "" {
		role = string(access.Admin)
	}
	if owners == "by token" {
		return access.Who{Name: "token t", Role: access.Role(role), ByToken: true}, nil
	}
	return access.Who{Name: "user " + role, Role: access.Role(role), Owners: strings.Fields(owners)}, nil
}

// provider accepts the canary, and nothing else.
func provider(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if r.PostFormValue("client_secret") != canary {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"error": "invalid_client"}`)
		return
	}
	_, _ = io.WriteString(w, `{"access_token": "c4n4ry-token", "token_type": "Bearer", "expires_in": 3600, "scope": "read"}`)
}

type answer struct {
	*http.Response
	body []byte
}

// ask sends a request; header is names and values in turn. A path begins after /api.
func (h *house) ask(method, path, body string, header ...string) answer {
	h.Helper()
	req, err := http.NewRequestWithContext(h.Context(), method, h.url+"/api"+path, strings.NewReader(body))
	if err != nil {
		h.Fatal(err)
	}
	if body == "" {
		req.Body = http.NoBody
	} else {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		h.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		h.Fatal(err)
	}
	if strings.Contains(string(b), "c4n4ry") {
		h.Errorf("%s %s: the answer shows a secret: %s", method, path, b)
	}
	if resp.StatusCode >= 400 && resp.Header.Get("Content-Type") != "application/problem+json" {
		h.Errorf("%s %s: HTTP %d is no problem but %s: %s", method, path, resp.StatusCode, resp.Header.Get("Content-Type"), b)
	}
	a := answer{resp, b}
	if h.schemas != nil && !strings.Contains(path, "fields=") && resp.Header.Get("Content-Encoding") == "" {
		if why := h.schemas.judge(method, path, a); why != "" {
			h.Errorf("%s %s: HTTP %d: %s: %s", method, path, resp.StatusCode, why, b)
		}
	}
	return a
}

// into asks for what must be there, and reads it.
func into[T any](h *house, path string, header ...string) (v T) {
	h.Helper()
	a := h.ask(http.MethodGet, path, "", header...)
	if err := json.Unmarshal(a.body, &v); err != nil || a.StatusCode != http.StatusOK {
		h.Fatalf("GET %s: HTTP %d: %v\n%s", path, a.StatusCode, err, a.body)
	}
	return v
}

type page struct {
	Items []map[string]any `json:"items"`
	Total int              `json:"total"`
	Next  string           `json:"next"`
}

// all walks a list by its cursors, and returns a member of each thing.
func (h *house) all(path, member string, between func(), header ...string) (values []string) {
	h.Helper()
	sep := "?"
	if strings.Contains(path, "?") {
		sep = "&"
	}
	for next := ""; ; {
		p := into[page](h, path+sep+"cursor="+next, header...)
		for _, item := range p.Items {
			values = append(values, fmt.Sprint(item[member]))
		}
		if p.Next == "" {
			return values
		}
		if between != nil {
			between()
		}
		next = p.Next
	}
}

// open opens findings.
func (h *house) open(kind finding.Kind, credentials ...string) (ids []int64) {
	h.Helper()
	err := pgx.BeginFunc(h.Context(), h.Pool, func(tx pgx.Tx) error {
		for _, name := range credentials {
			c, err := h.Registry.Get(h.Context(), name)
			if err != nil {
				return err
			}
			changes, err := h.Audit.Publish(h.Context(), tx, []finding.Event{{
				Op: finding.OpOpen, Kind: kind, At: time.Now(),
				Subject:  finding.Subject{Credential: c.Name, CredentialID: c.ID, Provider: c.Provider},
				Evidence: finding.Evidence{Answer: finding.Answer{Message: "the provider refuses it"}},
			}})
			if err != nil {
				return err
			}
			for _, change := range changes {
				ids = append(ids, change.Finding.ID)
			}
		}
		return nil
	})
	if err != nil {
		h.Fatal(err)
	}
	return ids
}
