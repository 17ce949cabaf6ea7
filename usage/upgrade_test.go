package usage_test

import (
	"strings"
	"testing"
	"time"

	"github.com/keyrounds/keyrounds/postgres"
	"github.com/keyrounds/keyrounds/postgres/pgtest"
	"github.com/keyrounds/keyrounds/test/lasting"
	"github.com/keyrounds/keyrounds/usage"
	"github.com/keyrounds/keyrounds/usage/feed"
)

// What the version before covered counts only where the daily rows show clients, and imports of which nothing
// was understood are free again.
func TestUpgrade(t *testing.T) {
	lasting.Test(t, "it upgrades a database of an earlier version")
	t.Parallel()
	pool := pgtest.Before(t, 11)
	for _, sql := range []string{
		`INSERT INTO credentials (id, name, provider, client_id, secret_ref, schedule, unused_after, created_on, source,
			registered_at, changed_at, next_check_at)
		OVERRIDING SYSTEM VALUE
		SELECT i, p || i, p, p || i, 'env:X', '@daily', '90 days', '2024-01-01', 'file', now() - interval '2 years',
			now() - interval '2 years', now()
		FROM (VALUES (1, 'seen'), (2, 'seen'), (3, 'blind')) AS c (i, p)`,
		`INSERT INTO usage_feeds (feed, provider, type, format, partial, silence, configured, first_at, requests, coverage)
		SELECT p, p, 'push', 'plain', false, '1 day', true, now() - interval '1 year', true,
			tstzmultirange(tstzrange(now() - interval '120 days', now()))
		FROM (VALUES ('seen'), ('blind')) AS f (p)`,
		`INSERT INTO usage_feeds (feed, provider, type, format, partial, silence, configured, first_at)
		VALUES ('import/seen', 'seen', 'import', 'plain', false, '1 day', true, now())`,
		`INSERT INTO usage_days
		SELECT 1, (now() - d * interval '1 day')::date, '203.0.113.0/24', 'job', 1, 1, now() - d * interval '1 day',
			now() - d * interval '1 day', NULL
		FROM generate_series(0, 119) AS d`,
		`INSERT INTO usage_months (credential_id, month, exchanges, requests, failures, own, first_at, last_at, days, hours,
			scopes_seen, hidden_s)
		VALUES (1, date_trunc('month', now()), 0, 1, 1, 0, now(), now(), 1, 1, false, 0)`,
		`INSERT INTO usage_batches VALUES ('import/seen', 'sha256:failed', now(), '{"bad": 3, "skipped": 7, "use": 0}'),
			('import/seen', 'sha256:taken', now(), '{"bad": 3, "use": 1}')`,
	} {
		if _, err := pool.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := postgres.Migrate(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	d := &desk{TB: t, pool: pool, now: time.Now()}
	d.store = d.another()
	for id, want := range map[int64]usage.State{2: usage.NeverUsed, 3: usage.NotKnown} {
		c := client(id, "c")
		c.Created, c.Registered, c.Provider = d.now.AddDate(-2, 0, 0), d.now.AddDate(-2, 0, 0), map[int64]string{2: "seen", 3: "blind"}[id]
		if a := d.answer(c); a.State != want {
			t.Errorf("credential %d: %s: %s", id, a.State, a.Reason)
		}
	}
	seen := client(1, "seen1")
	seen.Provider = "seen"
	if a := d.answer(seen); a.Attempts != 1 || a.LastAttempt.IsZero() || a.State != usage.Used {
		t.Errorf("%d attempts, the last %v; %s", a.Attempts, a.LastAttempt, a.State)
	}
	if n := d.count(`SELECT count(*)::int FROM usage_batches`); n != 1 {
		t.Errorf("%d batches are marked, want the one that was taken in", n)
	}
}

// Who is tried and never let in is not used, and the answer says that somebody tries.
func TestAttempts(t *testing.T) {
	t.Parallel()
	d := newDesk(t, client(1, "idle"))
	f := d.feed(feed.Feed{Name: "gateway", Type: feed.TypePush, Format: d.format("nginx-json")})
	var lines strings.Builder
	for day := 100; day >= 0; day-- {
		at := d.now.AddDate(0, 0, -day).Format(time.RFC3339)
		lines.WriteString(`{"time_iso8601":"` + at + `","client_id":"other","status":200,"request_id":"a` + at + `"}` + "\n")
		lines.WriteString(`{"time_iso8601":"` + at + `","client_id":"idle","status":"401","request_id":"b` + at + `"}` + "\n")
		lines.WriteString(`{"time_iso8601":"` + at + `","client_id":"idle","status":"000","request_id":"c` + at + `"}` + "\n")
	}
	if _, err := d.ingest(f, usage.Push{ID: "1", Body: []byte(lines.String())}); err != nil {
		t.Fatal(err)
	}
	a := d.answer(idle(d.now))
	if a.State != usage.NeverUsed || a.Attempts < 90 || a.Attempts > 101 || !a.LastAttempt.Equal(d.now) ||
		!strings.Contains(a.Reason, "someone still tries it") {
		t.Errorf("%s: %s; %d attempts, the last %v", a.State, a.Reason, a.Attempts, a.LastAttempt)
	}
	if _, err := d.pool.Exec(t.Context(), `DELETE FROM usage_months`); err != nil {
		t.Fatal(err)
	}
	if a := d.answer(idle(d.now)); a.Tried() != "" {
		t.Errorf("without any: %q", a.Tried())
	}
}
