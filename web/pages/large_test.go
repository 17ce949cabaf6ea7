package pages_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/postgres/pgtest"
	"github.com/keyrounds/keyrounds/registry"
	"github.com/keyrounds/keyrounds/rounds"
	"github.com/keyrounds/keyrounds/test/lasting"
	"github.com/keyrounds/keyrounds/web/pages"
)

// A page has 50 rows and 200 kB at most, and reads no table from end to end, with 15 credentials and with 100,000; but for two counts,
// which are read once in five seconds for all readers (docs/promises.md#a-page-of-a-large-fleet-is-as-small-as-one-of-a-small-fleet).
func TestPagesOfALargeFleet(t *testing.T) {
	t.Parallel()
	lasting.Test(t, "it registers 100,000 credentials")
	for _, n := range []int{15, 100_000} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			pool := pgtest.New(t)
			manyCredentials(t, pool, n)
			for _, path := range []string{
				"/", "/credentials", "/credentials?sort=name", "/credentials?status=healthy", "/credentials?status=revoked",
				"/credentials?provider=p3",
				"/credentials?provider=p3&sort=name", "/credentials?owner=team-7", "/credentials?label=env%3Dprod",
				"/credentials?usage=unused",
				"/credentials?after=5.c-000050", "/credentials/c-000003",
			} {
				plans := pgtest.Plans(t, pool, func(watched *pgxpool.Pool) error {
					body := bodyOf(t, watched, path)
					if rows := strings.Count(body, `<tr id="c-`); rows > 50 || n > 1000 && strings.HasPrefix(path, "/credentials?") &&
						rows == 0 {
						t.Errorf("%s: %d rows", path, rows)
					}
					if len(body) > 200_000 {
						t.Errorf("%s: %d bytes", path, len(body))
					}
					t.Logf("%s: %d bytes", path, len(body))
					return nil
				})
				counts := 0
				for _, plan := range plans {
					if strings.Contains(strings.SplitN(plan, "\n", 2)[0], "Aggregate") {
						counts++
						continue
					}
					for _, table := range []string{"credential_state", "credentials", "checks", "checks_daily", "record"} {
						if n > 1000 && strings.Contains(plan, "Seq Scan on "+table+" ") {
							t.Errorf("%s reads all of %s:\n%s", path, table, plan)
						}
					}
				}
				if most := 4; counts > most {
					t.Errorf("%s counts %d times, want %d at most", path, counts, most)
				}
			}
		})
	}
}

// bodyOf asks the pages of a database for one of theirs.
func bodyOf(t *testing.T, pool *pgxpool.Pool, path string) string {
	t.Helper()
	store, held := registry.New(pool, time.UTC), audit.New(audit.Options{Pool: pool})
	mux := http.NewServeMux()
	site := pages.New(pages.Options{
		Audit: held, Registry: store, Usage: rounds.OpenUsage(pool, time.UTC, store, held), Log: slog.New(slog.DiscardHandler),
		Now: time.Now,
	})
	for _, r := range site.Routes() {
		mux.Handle(r.Pattern, r.Handler)
	}
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, pages.As(httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody), "user ann", "admin"))
	if w.Code != http.StatusOK {
		t.Fatalf("%s: HTTP %d\n%s", path, w.Code, w.Body)
	}
	return w.Body.String()
}

// manyCredentials registers n, of 10 providers and 50 owners, with 90 days of checks of the first 200.
func manyCredentials(t *testing.T, pool *pgxpool.Pool, n int) {
	t.Helper()
	for _, sql := range []string{
		`INSERT INTO credentials (name, provider, client_id, secret_ref, description, scopes, owner, labels, schedule, unused_after, source,
				registered_at, changed_at, next_check_at)
			SELECT 'c-' || lpad(i::text, 6, '0'), 'p' || i % 10, 'id-' || i, 'sealed:', repeat('what it is for ', 5), '{a,b}',
				'team-' || i % 50, jsonb_build_object('env', CASE i % 1000 WHEN 3 THEN 'prod' ELSE 'dev' END),
				'@daily', '90 days', 'command', now(), now(), now()
			FROM generate_series(1, $1::bigint) i`,
		`INSERT INTO credential_state (credential_id, credential, provider, status, since, changed_at, last_check_at, message)
			SELECT id, name, provider, CASE id % 1000 WHEN 7 THEN 'revoked' WHEN 8 THEN 'suspect' ELSE 'healthy' END, now(), now(), now(),
				repeat('what the provider says ', 10) FROM credentials WHERE $1 > 0`,
		`INSERT INTO checks_daily (credential_id, day, checks, ok, rejected, uncertain, latency_us, status, last_check_at)
			SELECT id, current_date - d, 96, 96 - (id + d) % 3, CASE (id + d) % 3 WHEN 1 THEN 1 ELSE 0 END,
				CASE (id + d) % 3 WHEN 2 THEN 1 ELSE 0 END, 1, 'healthy', now()
			FROM credentials, generate_series(0, 89) d WHERE id <= 200 AND $1 > 0`,
		`INSERT INTO findings (kind, severity, subject, credential_id, credential, provider, state, evidence, opened_at, updated_at)
			SELECT CASE id % 1000 WHEN 7 THEN 'revoked' ELSE 'unused' END, CASE id % 1000 WHEN 7 THEN 'critical' ELSE 'info' END,
				'credential/' || name, id, name, provider, 'open', '{}', now(), now()
			FROM credentials WHERE id % 1000 IN (7, 9) AND $1 > 0`,
	} {
		if _, err := pool.Exec(t.Context(), sql, n); err != nil {
			t.Fatalf("%v\n%s", err, sql)
		}
	}
	pgtest.Analyze(t, pool, "credentials", "credential_state", "checks_daily", "findings")
}
