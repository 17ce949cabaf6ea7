package usage_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/postgres/pgtest"
	"github.com/keyrounds/keyrounds/usage"
)

// What is told of one credential, or of a page of many, is read by an index: no scan of all credentials' use, none of the
// days of all feeds, and none of what providers' logs ever said.
func TestPlans(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for _, sql := range []string{
		`INSERT INTO usage_feeds (feed, provider, type, format, partial, silence, configured, first_at)
			SELECT 'f' || i, 'p' || i, 'push', 'plain', false, '1 day', true, now() FROM generate_series(1, 60) i`,
		`INSERT INTO usage_feed_days (feed, day, records, bad, named)
			SELECT 'f' || f, current_date - i, 10, 0, 10 FROM generate_series(1, 60) f, generate_series(1, 300) i`,
		`INSERT INTO usage_months (credential_id, month, exchanges, requests, failures, own, days, hours, scopes_seen, first_at, last_at)
			SELECT c, date_trunc('month', now() - m * interval '1 month'), 1, 1, 0, 0, 1, 1, true, now(), now()
			FROM generate_series(1, 8000) c, generate_series(0, 3) m`,
		`INSERT INTO usage_scopes (credential_id, scope, last_at)
			SELECT c, 's' || s, now() FROM generate_series(1, 8000) c, generate_series(1, 3) s`,
		`INSERT INTO usage_days (credential_id, day, network, user_agent, uses, failures, first_at, last_at)
			SELECT c, current_date - i, '203.0.113.0/24', 'curl', 1, 0, now() - i * interval '1 day', now() - i * interval '1 day'
			FROM generate_series(1, 4000) c, generate_series(0, 9) i`,
		`INSERT INTO usage_keys (provider, client_id, key_id, uses)
			SELECT 'p' || i % 60, 'c' || i, 'k', 1 FROM generate_series(1, 20000) i`,
		`INSERT INTO usage_lifecycle (provider, event_id, at, action, client_id, credential_id, actor, feed)
			SELECT 'p' || 1 + i % 60, i, now() - i * interval '3 hours', 'created', '', i % 8000, '', 'f' FROM generate_series(1, 40000) i`,
	} {
		if _, err := d.pool.Exec(t.Context(), sql); err != nil {
			t.Fatal(err, sql)
		}
	}
	pgtest.Analyze(t, d.pool)
	one := credential.Credential{ID: 7, Name: "c7", Provider: "p7", Subject: "c7", UnusedAfter: 90 * 24 * time.Hour}
	page, ids := []credential.Credential{}, []int64{}
	for id := range int64(50) {
		page, ids = append(page, credential.Credential{ID: 100 + id, Provider: "p7", UnusedAfter: one.UnusedAfter}), append(ids, 100+id)
	}
	for name, do := range map[string]func(context.Context, *usage.Store) error{
		"one":    func(ctx context.Context, s *usage.Store) error { return assessAll(ctx, s, one) },
		"a page": func(ctx context.Context, s *usage.Store) error { return assessAll(ctx, s, page...) },
		"where from": func(ctx context.Context, s *usage.Store) error {
			_, err := s.LastFrom(ctx, s.Pool, ids, d.now)
			return err
		},
		"by whom": func(ctx context.Context, s *usage.Store) error {
			_, err := s.Sources(ctx, 7, d.now.AddDate(0, 0, -5), 10)
			return err
		},
		"by which key":   func(ctx context.Context, s *usage.Store) error { _, err := s.Keys(ctx, s.Pool, one); return err },
		"in its log":     func(ctx context.Context, s *usage.Store) error { _, err := s.History(ctx, 7, 10); return err },
		"not registered": func(ctx context.Context, s *usage.Store) error { return s.Unregistered(ctx, nobody, first) },
		"for metrics":    func(ctx context.Context, s *usage.Store) error { _, err := s.LastUses(ctx, ids); return err },
	} {
		plans := pgtest.Plans(t, d.pool, func(watched *pgxpool.Pool) error {
			return do(t.Context(), usage.New(usage.Options{Pool: watched, Zone: time.UTC}))
		})
		for _, plan := range plans {
			for _, table := range []string{"months", "scopes", "days", "feed_days", "keys", "lifecycle"} {
				if strings.Contains(plan, "Seq Scan on usage_"+table) {
					t.Errorf("%s:\n%s", name, plan)
				}
			}
		}
	}
}

// assessAll answers for each of cs.
func assessAll(ctx context.Context, s *usage.Store, cs ...credential.Credential) error {
	book, err := s.Open(ctx, s.Pool, cs)
	if err != nil {
		return err
	}
	answers := map[int64]usage.Answer{}
	for _, c := range cs {
		answers[c.ID] = book.Assess(c, time.Now())
	}
	_, err = s.InTime(ctx, s.Pool, answers, 0)
	return err
}

func nobody(context.Context, []string) (map[string]map[string]bool, error) { return nil, nil }

func first(usage.Unregistered) bool { return false }

// A book that is turned from page to page answers as one that has all of them.
func TestABookIsTurned(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	_, err := d.pool.Exec(t.Context(), `
		INSERT INTO usage_feeds (feed, provider, type, format, partial, silence, configured, first_at, coverage)
		SELECT 'f' || i, 'p' || i, 'push', 'plain', false, '1 day', true, now(),
			tstzmultirange(tstzrange(now() - i * interval '60 days', now())) FROM generate_series(1, 3) i`)
	if err == nil {
		_, err = d.pool.Exec(t.Context(), `
			INSERT INTO usage_feed_days (feed, day, records, bad, named, first_named_at, last_named_at)
			SELECT 'f' || f, current_date - i, 10, 0, 10, now() - i * interval '1 day', now() - i * interval '1 day'
			FROM generate_series(1, 3) f, generate_series(0, 200) i`)
	}
	if err == nil {
		_, err = d.pool.Exec(t.Context(), `
			INSERT INTO usage_months (credential_id, month, exchanges, requests, failures, own, days, hours, scopes_seen, first_at, last_at)
			SELECT c, date_trunc('month', now() - c * interval '10 days'), 1, 1, 0, 0, 1, 1, true, now() - c * interval '10 days',
				now() - c * interval '10 days' FROM generate_series(1, 40, 3) c`)
	}
	if err != nil {
		t.Fatal(err)
	}
	var cs []credential.Credential
	for id := range int64(40) {
		cs = append(cs, credential.Credential{
			ID: id, Subject: "c", Provider: "p" + string('1'+rune(id%4)), UnusedAfter: 90 * 24 * time.Hour,
			Created: d.now.AddDate(-2, 0, 0),
		})
	}
	whole, err := d.store.Open(t.Context(), d.pool, cs)
	if err != nil {
		t.Fatal(err)
	}
	turned, err := d.store.Open(t.Context(), d.pool, cs[:7])
	if err != nil {
		t.Fatal(err)
	}
	states := map[usage.State]bool{}
	for i := 0; i < len(cs); i += 7 {
		page := cs[i:min(i+7, len(cs))]
		if err := turned.Turn(t.Context(), d.pool, page); err != nil {
			t.Fatal(err)
		}
		for _, c := range page {
			want, got := whole.Assess(c, d.now), turned.Assess(c, d.now)
			if states[want.State] = true; got.State != want.State || got.Reason != want.Reason {
				t.Errorf("credential %d of %s: %s, %s; want %s, %s", c.ID, c.Provider, got.State, got.Reason, want.State, want.Reason)
			}
		}
	}
	if len(states) < 3 {
		t.Errorf("only %v", states)
	}
}
