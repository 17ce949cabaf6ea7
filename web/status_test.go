package web_test

import (
	"context"
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

	"github.com/keyrounds/keyrounds/access"
	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/postgres/pgtest"
	"github.com/keyrounds/keyrounds/registry"
	"github.com/keyrounds/keyrounds/report"
	"github.com/keyrounds/keyrounds/rounds"
	"github.com/keyrounds/keyrounds/secret"
	"github.com/keyrounds/keyrounds/web"
	"github.com/keyrounds/keyrounds/web/pages"
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
			Name: fmt.Sprintf("c-%04d", i), Provider: fmt.Sprintf("p%d", i%2), Subject: fmt.Sprint(i),
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
		Gatherer: prometheus.NewRegistry(), Log: log, Now: time.Now,
		Pages: pages.Options{
			Audit: held, Registry: store, Usage: used, Log: log, Now: time.Now,
			Reports: report.New(report.Options{Pool: pool, Registry: store, Audit: held, Usage: used, Zone: time.UTC}),
		},
		API:   http.NotFoundHandler(),
		Ready: func(context.Context) error { return nil },
	})
}

func get(t *testing.T, site http.Handler, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	site.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	return w
}

// The overview says how all do, and shows nothing that was asked for as it is.
func TestTheOverviewSaysHowAllDo(t *testing.T) {
	t.Parallel()
	site := site(t, 120)
	w := get(t, site, "/?x="+url.QueryEscape(`"><script>`))
	if body := w.Body.String(); w.Code != http.StatusOK || !strings.Contains(body,
		"<h1>0 of 120 credentials work; 120 never worked yet.</h1>") ||
		strings.Contains(body, `"><script>`) {
		t.Errorf("HTTP %d\n%s", w.Code, body)
	}
}

// The API is asked with who asks in its context; of whom nothing is proven, with nobody.
func TestTheAPIKnowsWhoAsks(t *testing.T) {
	t.Parallel()
	var asks []string
	o := web.Options{
		Access: access.New(
			access.Options{},
			access.Settings{Basic: map[string]access.Role{"ann": access.Admin}},
		), Gatherer: prometheus.NewRegistry(),
		API: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			who, ok := access.From(r.Context())
			asks = append(asks, fmt.Sprint(r.URL.Path, " ", who.Name, who.Role, ok))
		}),
	}
	pages := web.New(o)
	for path, in := range map[string]context.Context{
		"/api/v1/open":    access.WithNobodyAsked(t.Context()),
		"/api/v1/basic":   access.WithBasic(t.Context(), "ann"),
		"/api/v1/nothing": t.Context(),
	} {
		pages.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(in, http.MethodGet, path, http.NoBody))
	}
	slices.Sort(asks)
	want := []string{
		"/api/v1/basic user ann (web_config)admintrue", "/api/v1/nothing false", "/api/v1/open " + access.Anybody + "viewertrue",
	}
	if !slices.Equal(asks, want) {
		t.Errorf("it was asked by\n%q, want\n%q", asks, want)
	}
}
