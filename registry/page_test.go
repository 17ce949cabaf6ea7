package registry_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/postgres/pgtest"
	"github.com/keyrounds/keyrounds/registry"
	"github.com/keyrounds/keyrounds/secret"
)

// What shows one credential, or a page of many, reads those, by an index.
func TestPlansOfOneAndOfPages(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	_, err := pool.Exec(t.Context(), `
		INSERT INTO credentials (name, provider, client_id, secret_ref, description, scopes, owner, labels, schedule, unused_after, max_age,
			canary, expected_networks, source, registered_at, changed_at, next_check_at)
		SELECT 'c-' || lpad(i::text, 6, '0'), 'p' || i % 10, 'id' || i, 'env:A', '', '{}', '', '{}', '@daily', '90 days', '0',
			false, '{}', 'file', $1, $1, $1 FROM generate_series(1, 20000) i`, noon)
	if err != nil {
		t.Fatal(err)
	}
	pgtest.Analyze(t, pool, "credentials")
	page, err := registry.New(pool, time.UTC).Page(t.Context(), false, "c-000100", 50)
	if err != nil || len(page) != 50 || page[0].Name != "c-000101" || page[49].Name != "c-000150" {
		t.Fatal(len(page), err)
	}
	for name, do := range map[string]func(*registry.Store) error{
		"a page": func(s *registry.Store) error { _, err := s.Page(t.Context(), false, "c-000100", 50); return err },
		"a page of a provider": func(s *registry.Store) error {
			_, err := s.Choose(t.Context(), registry.Choice{Provider: "p7", After: "c-000100", Limit: 50})
			return err
		},
		"a page of a search": func(s *registry.Store) error {
			_, err := s.Choose(t.Context(), registry.Choice{Search: "C-01", After: "c-000100", Limit: 50})
			return err
		},
		"one":       func(s *registry.Store) error { _, err := s.Get(t.Context(), "c-000007"); return err },
		"one by id": func(s *registry.Store) error { _, err := s.ByID(t.Context(), page[7].ID); return err },
		"some": func(s *registry.Store) error {
			_, err := s.Named(t.Context(), []string{"c-000007", "c-000008"})
			return err
		},
		"some by id": func(s *registry.Store) error { _, err := s.Active(t.Context(), []int64{page[7].ID}); return err },
		"of a client": func(s *registry.Store) error {
			_, err := s.OfClients(t.Context(), pool, "p7", []string{"id7", "id17"})
			if err == nil {
				_, err = s.WithClientID(t.Context(), []string{"id7", "id17"})
			}
			if err == nil {
				_, err = s.ClientIDs(t.Context(), []string{"id7", "id17"})
			}
			if err == nil {
				_, err = s.NamesOf(t.Context(), "p7", []string{"id7", "id17"})
			}
			return err
		},
		"for metrics": func(s *registry.Store) error {
			_, err := s.Tags(t.Context(), []int64{page[7].ID, page[8].ID})
			return err
		},
	} {
		plans := pgtest.Plans(t, pool, func(watched *pgxpool.Pool) error { return do(registry.New(watched, time.UTC)) })
		for _, plan := range plans {
			if strings.Contains(plan, "Seq Scan") {
				t.Errorf("%s:\n%s", name, plan)
			}
		}
	}
}

// Pages of what is chosen have each once, by name, and the names of a client id are those of the provider that is asked for.
func TestWhatIsChosen(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	_, err := pool.Exec(t.Context(), `
		INSERT INTO credentials (name, provider, client_id, secret_ref, description, scopes, owner, labels, schedule, unused_after, max_age,
			canary, expected_networks, source, registered_at, changed_at, next_check_at, retired_at)
		SELECT 'c-' || lpad(i::text, 3, '0'), 'p' || i % 2, 'id' || i / 2, 'env:A', '', '{}', '', '{}', '@daily', '90 days', '0',
			false, '{}', 'file', $1, $1, $1, CASE WHEN i = 7 THEN $1::timestamptz END FROM generate_series(0, 99) i`, noon)
	if err != nil {
		t.Fatal(err)
	}
	store := registry.New(pool, time.UTC)
	for name, c := range map[string]struct {
		choice registry.Choice
		n      int
	}{
		"all":              {registry.Choice{}, 99},
		"of a provider":    {registry.Choice{Provider: "p1"}, 49},
		"with a part":      {registry.Choice{Search: "C-01"}, 10},
		"both":             {registry.Choice{Search: "c-01", Provider: "p1"}, 5},
		"no pattern":       {registry.Choice{Search: "%"}, 0},
		"of nobody":        {registry.Choice{Provider: "nobody"}, 0},
		"what is retired":  {registry.Choice{Search: "c-007"}, 0},
		"what is after it": {registry.Choice{After: "c-097"}, 2},
	} {
		whole, err := store.Choose(t.Context(), c.choice)
		if err != nil {
			t.Fatal(err)
		}
		n, err := store.Chosen(t.Context(), c.choice)
		if err != nil || c.choice.After == "" && n != c.n || len(whole) != c.n {
			t.Errorf("%s: %d, counted %d, error %v; want %d", name, len(whole), n, err, c.n)
		}
		var names []string
		for page := c.choice; ; {
			page.Limit = 7
			cs, err := store.Choose(t.Context(), page)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range cs {
				names = append(names, c.Name)
			}
			if len(cs) < page.Limit {
				break
			}
			page.After = cs[len(cs)-1].Name
		}
		if len(names) != c.n || !slices.IsSorted(names) {
			t.Errorf("%s: in pages %v, want %d by name", name, names, c.n)
		}
	}
}

// The names of a client id are those of the provider that is asked for, without retired ones.
func TestNamesOf(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	_, err := pool.Exec(t.Context(), `
		INSERT INTO credentials (name, provider, client_id, secret_ref, description, scopes, owner, labels, schedule, unused_after, max_age,
			canary, expected_networks, source, registered_at, changed_at, next_check_at, retired_at)
		SELECT 'c-' || i, 'p' || i % 2, 'id' || i / 2, 'env:A', '', '{}', '', '{}', '@daily', '90 days', '0',
			false, '{}', 'file', $1, $1, $1, CASE WHEN i = 7 THEN $1::timestamptz END FROM generate_series(1, 9) i`, noon)
	if err != nil {
		t.Fatal(err)
	}
	store := registry.New(pool, time.UTC)
	names, err := store.NamesOf(t.Context(), "", []string{"id1", "id3", "none"})
	if err != nil || !slices.Equal(names["id1"], []string{"c-2", "c-3"}) || !slices.Equal(names["id3"], []string{"c-6"}) ||
		len(names) != 2 {
		t.Errorf("of any provider: %v, error %v", names, err)
	}
	if names, err = store.NamesOf(t.Context(), "p1", []string{"id1"}); err != nil || !slices.Equal(names["id1"], []string{"c-3"}) {
		t.Errorf("of one provider: %v, error %v", names, err)
	}
}

// Pages are read by an index as soon as many credentials were registered, before Postgres has looked at them itself.
func TestPlansAfterAnImport(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	var cs []credential.Credential
	for i := range 5000 {
		cs = append(cs, credential.Credential{
			Name: fmt.Sprintf("c-%05d", i), Provider: "p", Subject: fmt.Sprint(i), Secret: secret.Sealed, Schedule: "@daily",
		})
	}
	err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
		_, err := registry.New(pool, time.UTC).Add(t.Context(), tx, cs, noon, nil)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	plans := pgtest.Plans(t, pool, func(watched *pgxpool.Pool) error {
		_, err := registry.New(watched, time.UTC).Choose(t.Context(), registry.Choice{After: "c-00100", Limit: 50})
		return err
	})
	for _, plan := range plans {
		if strings.Contains(plan, "Seq Scan") || strings.Contains(plan, "Sort") {
			t.Error(plan)
		}
	}
}
