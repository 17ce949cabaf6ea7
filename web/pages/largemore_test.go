package pages_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/config"
	"github.com/keyrounds/keyrounds/decision"
	"github.com/keyrounds/keyrounds/exposure"
	"github.com/keyrounds/keyrounds/leak"
	"github.com/keyrounds/keyrounds/notify"
	"github.com/keyrounds/keyrounds/postgres/pgtest"
	"github.com/keyrounds/keyrounds/registry"
	"github.com/keyrounds/keyrounds/report"
	"github.com/keyrounds/keyrounds/rounds"
	"github.com/keyrounds/keyrounds/test/lasting"
	"github.com/keyrounds/keyrounds/usage"
	"github.com/keyrounds/keyrounds/web/pages"
)

// The lists beside that of the credentials have 50 rows and 200 kB at most, and read no table of the registry from end to end, with
// 100,000 credentials and 10,000 findings that are open and as many that are over.
func TestListsOfALargeFleet(t *testing.T) {
	t.Parallel()
	lasting.Test(t, "it registers 100,000 credentials")
	pool := pgtest.New(t)
	manyCredentials(t, pool, 100_000)
	for _, sql := range []string{
		`INSERT INTO findings (kind, severity, subject, credential_id, credential, provider, state, evidence, opened_at, updated_at)
			SELECT 'scope_lost', 'warning', 'credential/' || name, id, name, provider, 'open', '{}', now(), now()
			FROM credentials WHERE id % 10 = 1`,
		`INSERT INTO findings (kind, severity, subject, credential_id, credential, provider, state, evidence, opened_at, updated_at,
				resolved_at, resolved_why)
			SELECT 'revoked', 'critical', 'credential/' || name, id, name, provider, 'resolved', '{}', now(), now(), now(), 'it works again'
			FROM credentials WHERE id % 10 = 2`,
		`INSERT INTO record (at, actor, action, subject, detail)
			SELECT now(), 'daemon', 'credential.added', 'credential/' || name, '{"source": "file"}' FROM credentials WHERE id <= 20000`,
	} {
		if _, err := pool.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%v\n%s", err, sql)
		}
	}
	pgtest.Analyze(t, pool, "findings", "record")
	for path, rows := range map[string]string{
		"/findings": `<li class="need`, "/findings?kind=scope_lost": `<li class="need`,
		"/findings?kind=scope_lost&after=500": `<li class="need`,
		"/findings?state=resolved":            `<li class="need`, "/findings?state=resolved&after=9000": `<li class="need`,
		"/findings?owner=team-1": `<li class="need`, "/findings?credential=c-000011": `<li class="need`,
		"/usage": `<tr id="u-`, "/usage?provider=p3&after=c-050000": `<tr id="u-`, "/usage?owner=team-7": `<tr id="u-`,
		"/usage/attempts": "<tr", "/record": "<tr", "/record?action=credential.&after=9000": "<tr",
		"/record?subject=credential/c-000003": "<tr",
		"/settings":                           "<tr", "/providers": `class="prov"`, "/providers/p3": "<tr",
		"/mine?owner=team-7": `<li class="ocard"`,
		"/leaks":             "<tr",
		"/leaks/proofs":      "<tr", "/feeds": "<tr", "/reports": "<tr",
	} {
		var body string
		plans := pgtest.Plans(t, pool, func(watched *pgxpool.Pool) error {
			body = moreOf(t, watched, path)
			return nil
		})
		if n := strings.Count(body, rows); n > 52 {
			t.Errorf("%s: %d rows", path, n)
		}
		if len(body) > 200_000 {
			t.Errorf("%s: %d bytes", path, len(body))
		}
		for _, plan := range plans {
			for _, table := range []string{"credential_state", "credentials", "checks", "checks_daily", "record"} {
				if counts := strings.Contains(strings.SplitN(plan, "\n", 2)[0], "Aggregate"); !counts &&
					strings.Contains(plan, "Seq Scan on "+table+" ") {
					t.Errorf("%s reads all of %s:\n%s", path, table, plan)
				}
			}
		}
	}
}

// moreOf asks the pages of a database for one of theirs, as an admin.
func moreOf(t *testing.T, pool *pgxpool.Pool, path string) string {
	t.Helper()
	store, held := registry.New(pool, time.UTC), audit.New(audit.Options{Pool: pool})
	told, err := notify.New(notify.Options{Pool: pool, Log: slog.New(slog.DiscardHandler), Findings: held})
	if err != nil {
		t.Fatal(err)
	}
	used, decided := rounds.OpenUsage(pool, time.UTC, store, held), decision.NewStore(pool)
	mux := http.NewServeMux()
	site := pages.New(pages.Options{
		Audit: held, Registry: store, Usage: used, Leaks: leak.NewStore(leak.StoreOptions{Pool: pool, Registry: store}), Notifier: told,
		Reports: report.New(report.Options{
			Pool: pool, Registry: store, Audit: held, Usage: used, Decisions: decided, Zone: time.UTC,
		}),
		Decisions: decided, Config: func() *config.Config { return &config.Config{Zone: time.UTC} },
		Unregistered: func(context.Context, func(usage.Unregistered) bool) error { return nil },
		Sources:      func(context.Context) ([]exposure.Source, error) { return nil, nil },
		Log:          slog.New(slog.DiscardHandler), Now: time.Now,
	})
	for _, r := range site.Routes() {
		mux.Handle(r.Pattern, r.Handler)
	}
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, pages.As(httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody), "user ann", "admin"))
	if w.Code != http.StatusOK {
		t.Fatalf("%s: HTTP %d\n%s", path, w.Code, w.Body)
	}
	return fmt.Sprint(w.Body)
}
