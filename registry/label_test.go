package registry_test

import (
	"slices"
	"testing"
	"time"

	"github.com/keyrounds/keyrounds/postgres/pgtest"
	"github.com/keyrounds/keyrounds/registry"
)

// Labels choose by name and value, and owners are each named once, as many as are asked for.
func TestLabelsAndOwners(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	_, err := pool.Exec(t.Context(), `
		INSERT INTO credentials (name, provider, client_id, secret_ref, owner, labels, schedule, unused_after, source, registered_at,
			changed_at, next_check_at)
		SELECT 'c-' || i, 'p', 'id-' || i, 'sealed:', (ARRAY['web', '', 'data', 'web'])[i],
			jsonb_build_object('env', (ARRAY['prod', 'dev', 'prod', 'x'])[i]),
			'@daily', '90 days', 'command', now(), now(), now()
		FROM generate_series(1, 4) i`)
	if err != nil {
		t.Fatal(err)
	}
	s := registry.New(pool, time.UTC)
	ids, err := s.OfLabel(t.Context(), "env", "prod")
	if err != nil || len(ids) != 2 {
		t.Errorf("%v %v", ids, err)
	}
	if none, err := s.OfLabel(t.Context(), "prod", "env"); err != nil || none == nil || len(none) != 0 {
		t.Errorf("%v %v", none, err)
	}
	owners, err := s.Owners(t.Context(), 10)
	if err != nil || !slices.Equal(owners, []string{"data", "web"}) {
		t.Errorf("%v %v", owners, err)
	}
	if one, err := s.Owners(t.Context(), 1); err != nil || !slices.Equal(one, []string{"data"}) {
		t.Errorf("%v %v", one, err)
	}
}
