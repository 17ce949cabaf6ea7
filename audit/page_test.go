package audit_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/postgres/pgtest"
	"github.com/keyrounds/keyrounds/verdict"
)

// fleet fills credential_state with n credentials of 10 providers: one in a thousand is revoked, one suspect, and one
// retired.
func fleet(t *testing.T, pool *pgxpool.Pool, n int) {
	t.Helper()
	_, err := pool.Exec(t.Context(), `
		INSERT INTO credential_state (credential_id, credential, provider, status, since, changed_at)
		SELECT i, 'c-' || lpad(i::text, 6, '0'), 'p' || i % 10,
			CASE i % 1000 WHEN 7 THEN 'revoked' WHEN 8 THEN 'suspect' WHEN 9 THEN 'retired' ELSE 'healthy' END, $2, $2
		FROM generate_series(1, $1::bigint) i`, n, noon)
	if err != nil {
		t.Fatal(err)
	}
	pgtest.Analyze(t, pool, "credential_state")
}

// Pages by cursor have every credential once, the worst first, then by name, also while others come and go.
func TestPages(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	fleet(t, pool, 2000)
	store := audit.New(audit.Options{Pool: pool, Now: time.Now})
	var names []string
	q := audit.Query{Limit: 300}
	for pages := 0; ; pages++ {
		page, next, err := store.Page(t.Context(), q)
		if err != nil || pages > 10 {
			t.Fatalf("page %d: %v", pages, err)
		}
		for _, st := range page {
			names = append(names, st.Credential)
		}
		if next == (audit.Cursor{}) {
			break
		}
		if q.After, err = audit.ParseCursor(next.String()); err != nil {
			t.Fatal(err)
		}
		if pages == 2 {
			if _, err := pool.Exec(t.Context(), `DELETE FROM credential_state WHERE credential = $1`, names[len(names)-1]); err != nil {
				t.Fatal(err)
			}
		}
	}
	if want := []string{"c-000007", "c-001007", "c-000008", "c-001008", "c-000001"}; !slices.Equal(names[:5], want) {
		t.Errorf("first are %v, want %v", names[:5], want)
	}
	if !slices.IsSorted(names[4:]) || len(names) != 1998 || len(slices.Compact(slices.Sorted(slices.Values(names)))) != 1998 {
		t.Errorf("%d names", len(names))
	}
}

func TestWhatPagesChoose(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	fleet(t, pool, 2000)
	store := audit.New(audit.Options{Pool: pool, Now: time.Now})
	for name, c := range map[string]struct {
		q     audit.Query
		first string
		n     int
	}{
		"all":          {audit.Query{}, "c-000007", 1998},
		"a provider":   {audit.Query{Provider: "p8"}, "c-000008", 200},
		"a status":     {audit.Query{Status: verdict.Healthy}, "c-000001", 1994},
		"a part of it": {audit.Query{Search: "-0012"}, "c-001200", 100},
		"upper case":   {audit.Query{Search: "C-0012"}, "c-001200", 100},
		"no pattern":   {audit.Query{Search: "%"}, "", 0},
		"both":         {audit.Query{Search: "-0012", Provider: "p3"}, "c-001203", 10},
		"none":         {audit.Query{Provider: "nobody"}, "", 0},
		"retired":      {audit.Query{Status: verdict.Retired}, "c-000009", 2},
		"also retired": {audit.Query{Retired: true, ByName: true}, "c-000001", 2000},
		"by name":      {audit.Query{ByName: true}, "c-000001", 1998},
		"among some":   {audit.Query{Among: []int64{3, 2, 9}}, "c-000002", 2},
		"among none":   {audit.Query{Among: []int64{}}, "", 0},
	} {
		page, _, err := store.Page(t.Context(), c.q)
		if err != nil {
			t.Fatal(err)
		}
		first := ""
		if len(page) > 0 {
			first = page[0].Credential
		}
		n, err := store.Chosen(t.Context(), c.q)
		if err != nil || n != c.n || first != c.first || len(page) > 50 {
			t.Errorf("%s: %d of %d, first %q, error %v; want %d, first %q", name, len(page), n, first, err, c.n, c.first)
		}
	}
}

// Findings in pages are each there once, in the order of one list.
func TestPagesOfFindings(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	_, err := pool.Exec(t.Context(), `
		INSERT INTO findings (kind, severity, subject, credential, provider, state, evidence, opened_at, updated_at)
		SELECT 'revoked', (ARRAY['critical', 'warning', 'info'])[1 + i % 3], 's' || i, 'c' || i, 'p',
			CASE i % 4 WHEN 0 THEN 'resolved' ELSE 'open' END, '{}', $1::timestamptz + (i % 5) * interval '1 hour', $1
		FROM generate_series(1, 100) i`, noon)
	if err != nil {
		t.Fatal(err)
	}
	store := audit.New(audit.Options{Pool: pool, Now: time.Now})
	ids := func(f audit.Filter) (ids []int64) {
		list, err := store.Findings(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range list {
			ids = append(ids, f.ID)
		}
		return ids
	}
	all, paged := ids(audit.Filter{Resolved: true}), []int64(nil)
	for f := (audit.Filter{Resolved: true, Limit: 7}); ; {
		page := ids(f)
		if len(page) == 0 {
			break
		}
		paged = append(paged, page...)
		f.After = page[len(page)-1]
	}
	if len(all) != 100 || !slices.Equal(all, paged) {
		t.Errorf("at once %v\nin pages %v", all, paged)
	}
	since := audit.Filter{Resolved: true, Since: noon.Add(4 * time.Hour)}
	if n, err := store.Found(t.Context(), since); err != nil || n != 20 || len(ids(since)) != 20 {
		t.Errorf("opened in the last hour: %d of %d, error %v", len(ids(since)), n, err)
	}
	since.Limit, since.Resolved = 8, false
	if first := ids(since); len(first) != 8 {
		t.Errorf("a page of those: %v", first)
	} else if since.After = first[7]; len(ids(since)) != 7 {
		t.Errorf("the next page: %v", ids(since))
	}
}

func TestCursors(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"x", "5", "5.", "-1.a", "10.a", "a.b"} {
		if _, err := audit.ParseCursor(bad); !errors.Is(err, audit.ErrCursor) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// What shows one credential, or a page of many, reads those: no scan of all credentials, and none of the results.
func TestPlansOfPages(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	fleet(t, pool, 50_000)
	store := audit.New(audit.Options{Pool: pool, Now: time.Now})
	err := audit.EnsurePartitions(t.Context(), pgtest.Owner(t, pool), noon, 13)
	if err == nil {
		_, err = pool.Exec(t.Context(), historySQL, noon)
	}
	if err != nil {
		t.Fatal(err)
	}
	pgtest.Analyze(t, pool, "checks")
	_, next, err := store.Page(t.Context(), audit.Query{})
	if err != nil {
		t.Fatal(err)
	}
	for name, do := range map[string]func(*audit.Store) error{
		"the first page": func(s *audit.Store) error { _, _, err := s.Page(t.Context(), audit.Query{}); return err },
		"the next page":  func(s *audit.Store) error { _, _, err := s.Page(t.Context(), audit.Query{After: next}); return err },
		"by name": func(s *audit.Store) error {
			_, _, err := s.Page(t.Context(), audit.Query{ByName: true, After: next})
			return err
		},
		"some":       func(s *audit.Store) error { _, err := s.StandingsOf(t.Context(), []int64{7, 8, 9}); return err },
		"one":        func(s *audit.Store) error { _, _, err := s.StandingOf(t.Context(), 7); return err },
		"its checks": func(s *audit.Store) error { _, err := s.History(t.Context(), 7, 10); return err },
		"a page of its checks": func(s *audit.Store) error {
			_, err := s.Checked(t.Context(), audit.Checks{CredentialID: 7, Outcome: "ok", Limit: 10})
			return err
		},
		"its hours": func(s *audit.Store) error {
			_, err := s.Hours(t.Context(), 7, noon, noon.AddDate(0, 0, 7), 200)
			return err
		},
		"its days": func(s *audit.Store) error {
			_, err := s.Days(t.Context(), 7, noon, noon.AddDate(0, 0, 7), 200)
			return err
		},
		"its scopes":  func(s *audit.Store) error { _, err := s.Scopes(t.Context(), 7); return err },
		"its drift":   func(s *audit.Store) error { _, err := s.ScopeDrift(t.Context(), 7, 10); return err },
		"for metrics": func(s *audit.Store) error { _, err := s.Briefs(t.Context(), nil, 100); return err },
	} {
		plans := pgtest.Plans(t, pool, func(watched *pgxpool.Pool) error {
			return do(audit.New(audit.Options{Pool: watched, Now: time.Now}))
		})
		for _, plan := range plans {
			if strings.Contains(plan, "Seq Scan on credential_state") || strings.Contains(plan, "Seq Scan on checks") {
				t.Errorf("%s:\n%s", name, plan)
			}
		}
	}
}

const historySQL = `
	INSERT INTO checks (id, checked_at, credential_id, provider, outcome, reason, rule, status, http_status, error_code,
		error_description, message, latency_us, dns_us, connect_us, tls_us, first_byte_us, expires_in_s, missing_scopes, extra_scopes,
		probes, clock_skew_ms)
	SELECT gen_random_uuid(), $1::timestamptz + i * interval '100 seconds', 1 + i % 1000, 'p', 'ok', '', '', 'healthy', 200, '',
		'', '', 1, 1, 1, 1, 1, 1, '{}', '{}', '[]', 0
	FROM generate_series(1, 50000) i`
