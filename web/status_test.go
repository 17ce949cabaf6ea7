package web_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/postgres/pgtest"
	"github.com/keyrounds/keyrounds/registry"
	"github.com/keyrounds/keyrounds/report"
	"github.com/keyrounds/keyrounds/rounds"
	"github.com/keyrounds/keyrounds/secret"
	"github.com/keyrounds/keyrounds/web"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// site serves n credentials, c-0000 and so on, of two providers.
func site(t *testing.T, n int) http.Handler {
	t.Helper()
	pool, log := pgtest.New(t), slog.New(slog.DiscardHandler)
	store, held := registry.New(pool, time.UTC), audit.New(audit.Options{Pool: pool, Now: time.Now})
	used := rounds.OpenUsage(pool, time.UTC, store, held)
	var cs []credential.Credential
	for i := range n {
		cs = append(cs, credential.Credential{
			Name: fmt.Sprintf("c-%04d", i), Provider: fmt.Sprintf("p%d", i%2), ClientID: fmt.Sprint(i),
			Secret: secret.Sealed, Schedule: "@daily",
		})
	}
	err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
		changes, err := store.Sync(t.Context(), tx, cs, time.Now())
		if err != nil {
			return err
		}
		var tracked []audit.Tracked
		for _, c := range changes {
			tracked = append(tracked, audit.Tracked{
				CredentialID: c.Credential.ID, Credential: c.Credential.Name, Provider: c.Credential.Provider, Anew: true,
			})
		}
		return held.Track(t.Context(), tx, tracked, time.Now())
	})
	if err != nil {
		t.Fatal(err)
	}
	return web.New(web.Options{
		Audit: held, Registry: store, Usage: used, Gatherer: prometheus.NewRegistry(), Log: log, Now: time.Now,
		Reports: report.New(report.Options{Pool: pool, Registry: store, Audit: held, Usage: used, Zone: time.UTC}),
		Ready:   func(context.Context) error { return nil },
	})
}

func get(t *testing.T, site http.Handler, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	site.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	return w
}

// The page has 50 credentials, tells of all, and leads to the others.
func TestTheStatusPageIsPaged(t *testing.T) {
	t.Parallel()
	site := site(t, 120)
	path := "/"
	for page, want := range []int{50, 50, 20} {
		body := get(t, site, path).Body.String()
		if got := strings.Count(body, "<tr><td><b>c-"); got != want || !strings.Contains(body, "0 of 120 credentials work") {
			t.Fatalf("page %d has %d credentials, want %d:\n%s", page, got, want, body)
		}
		_, after, more := strings.Cut(body, `<a href="/?after=`)
		if more != (page < 2) {
			t.Fatalf("page %d: a next page: %v", page, more)
		}
		after, _, _ = strings.Cut(after, `"`)
		path = "/?after=" + after
	}
	some := get(t, site, "/?q=C-010&provider=p1&status=pending").Body.String()
	if strings.Count(some, "<tr><td><b>c-") != 5 || !strings.Contains(some, "5 credentials") || !strings.Contains(some, "0 of 120") {
		t.Errorf("five are asked for:\n%s", some)
	}
	if w := get(t, site, "/?after=nonsense"); w.Code != http.StatusBadRequest {
		t.Errorf("a place that is none: HTTP %d", w.Code)
	}
	hostile := get(t, site, "/?q="+url.QueryEscape(`"><script>`)).Body.String()
	if strings.Contains(hostile, "<script>") {
		t.Errorf("what was asked for is shown as it is:\n%s", hostile)
	}
}

// The API has all credentials by name, or pages with a link to the next.
func TestTheAPIIsPaged(t *testing.T) {
	t.Parallel()
	site := site(t, 120)
	list := func(path string) (names []string, next string) {
		w := get(t, site, path)
		var cs []web.CredentialJSON
		if err := json.Unmarshal(w.Body.Bytes(), &cs); err != nil {
			t.Fatalf("%s: %v\n%s", path, err, w.Body)
		}
		for _, c := range cs {
			names = append(names, c.Name)
		}
		next, _, _ = strings.Cut(strings.TrimPrefix(w.Header().Get("Link"), "<"), ">")
		return names, next
	}
	all, next := list("/api/v1/credentials")
	if len(all) != 120 || !slices.IsSorted(all) || next != "" {
		t.Errorf("%d credentials, next %q", len(all), next)
	}
	var paged []string
	for path := "/api/v1/credentials?limit=50"; path != ""; {
		var names []string
		names, path = list(path)
		paged = append(paged, names...)
	}
	if !slices.Equal(all, paged) {
		t.Errorf("in pages: %d %v", len(paged), paged)
	}
	if total := get(t, site, "/api/v1/credentials?limit=50").Header().Get("X-Total-Count"); total != "120" {
		t.Errorf("in total %q", total)
	}
	if names, _ := list("/api/v1/credentials?q=nobody"); len(names) != 0 {
		t.Errorf("nobody: %v", names)
	}
	for _, bad := range []string{"limit=0", "limit=1001", "limit=x", "after=x"} {
		if w := get(t, site, "/api/v1/credentials?"+bad); w.Code != http.StatusBadRequest {
			t.Errorf("%s: HTTP %d", bad, w.Code)
		}
	}
}

// A filter that is mistyped is an error that says what there is, and never an empty list.
func TestMistypedFilters(t *testing.T) {
	t.Parallel()
	site := site(t, 1)
	for path, want := range map[string]string{
		"/api/v1/findings?kind=revokd":         "kind \"revokd\" is none of revoked, scope_lost",
		"/api/v1/findings?severity=high":       "severity \"high\" is none of critical, warning, info",
		"/api/v1/findings?resolved=1":          "resolved \"1\" is none of true, false",
		"/api/v1/findings?knd=revoked":         "there is no parameter \"knd\"; there is: after, credential, kind, limit",
		"/api/v1/findings?kind=unused&kind=x":  "kind is given 2 times",
		"/api/v1/credentials?status=works":     "status \"works\" is none of pending, healthy",
		"/api/v1/credentials?owner=x":          "there is no parameter \"owner\"; there is: after, limit, provider, q, status",
		"/api/v1/usage?state=used":             "there is no parameter \"state\"",
		"/api/v1/feeds?x=1":                    "there is no parameter \"x\" here",
		"/api/v1/reports?month=2026-10":        "there is no parameter \"month\" here",
		"/api/v1/reports/2026-10?version=3":    "there is no parameter \"version\"; there is: edition, format, owner",
		"/api/v1/credentials?%00=1":            "there is no parameter",
		"/api/v1/findings?kind=%3Cscript%3E":   "is none of",
		"/api/v1/findings?severity=a&limit=99": "severity",
	} {
		w := get(t, site, path)
		var problem struct{ Detail string }
		if err := json.Unmarshal(w.Body.Bytes(), &problem); err != nil || w.Code != http.StatusBadRequest ||
			!strings.Contains(problem.Detail, want) {
			t.Errorf("%s: HTTP %d %q", path, w.Code, problem.Detail)
		}
	}
	w := get(t, site, "/api/v1/findings?resolved=true&kind=revoked&severity=critical&limit=5")
	if w.Code != http.StatusOK || strings.TrimSpace(w.Body.String()) != "[]" || w.Header().Get("X-Total-Count") != "0" {
		t.Errorf("right ones: HTTP %d %s, in total %q", w.Code, w.Body, w.Header().Get("X-Total-Count"))
	}
}

// The usage of all is one list by name, or pages of it with a link to the next, and of those of one state.
func TestTheUsageIsPaged(t *testing.T) {
	t.Parallel()
	site := site(t, 1201)
	list := func(path string) (names []string, next, total string) {
		w := get(t, site, path)
		var us []web.UsageJSON
		if err := json.Unmarshal(w.Body.Bytes(), &us); err != nil {
			t.Fatalf("%s: %v\n%s", path, err, w.Body)
		}
		for _, u := range us {
			names = append(names, u.Credential)
		}
		next, _, _ = strings.Cut(strings.TrimPrefix(w.Header().Get("Link"), "<"), ">")
		return names, next, w.Header().Get("X-Total-Count")
	}
	all, next, _ := list("/api/v1/usage")
	if len(all) != 1201 || !slices.IsSorted(all) || next != "" {
		t.Errorf("%d credentials, next %q", len(all), next)
	}
	for _, path := range []string{"/api/v1/usage?limit=300", "/api/v1/usage?limit=300&status=not_known", "/api/v1/usage?limit=1000"} {
		var paged []string
		for first := true; path != ""; first = false {
			names, next, total := list(path)
			if want := first && !strings.Contains(path, "status"); want && total != "1201" || !want && total != "" {
				t.Errorf("%s: in total %q", path, total)
			}
			paged, path = append(paged, names...), next
		}
		if !slices.Equal(all, paged) {
			t.Errorf("in pages: %d", len(paged))
		}
	}
	if names, _, total := list("/api/v1/usage?q=C-010&provider=p1"); len(names) != 5 || total != "5" {
		t.Errorf("five are asked for: %v, in total %q", names, total)
	}
	if names, next, _ := list("/api/v1/usage?status=used"); len(names) != 0 || next != "" {
		t.Errorf("none is used: %v", names)
	}
	for bad, want := range map[string]string{
		"limit=0": "limit", "limit=1001": "limit", "status=usd": `status "usd" is none of used, unused, never_used, not_known`,
	} {
		if w := get(t, site, "/api/v1/usage?"+bad); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: HTTP %d %s", bad, w.Code, w.Body)
		}
	}
}
