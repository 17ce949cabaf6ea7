package registry_test

import (
	"testing"
	"time"

	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"

	"github.com/keyrounds/keyrounds/postgres"
	"github.com/keyrounds/keyrounds/postgres/pgtest"
	"github.com/keyrounds/keyrounds/registry"
	"github.com/keyrounds/keyrounds/test/lasting"
)

// What the version before had queued is due at once, once, and no job of it is left.
func TestUpgrade(t *testing.T) {
	lasting.Test(t, "it upgrades a database of an earlier version")
	t.Parallel()
	pool := pgtest.Before(t, 17)
	r, err := rivermigrate.New(riverpgxv5.New(pool), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Migrate(t.Context(), rivermigrate.DirectionUp, nil); err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{
		`INSERT INTO credentials (id, name, provider, client_id, secret_ref, schedule, unused_after, source,
			registered_at, changed_at, next_check_at)
		OVERRIDING SYSTEM VALUE
		SELECT i, 'c' || i, 'idp', 'c' || i, 'env:X', '@daily', '90 days', 'file', now(), now(), now() + interval '1 year'
		FROM generate_series(1, 3) AS i`,
		`INSERT INTO river_job (kind, args, max_attempts, queue, state, finalized_at) VALUES
			('batch', '{"provider": "idp", "credential_ids": [1]}', 5, 'checks', 'available', NULL),
			('batch', '{"provider": "idp", "credential_ids": [2, 1]}', 5, 'checks', 'running', NULL),
			('batch', '{"provider": "idp", "credential_ids": [3]}', 5, 'checks', 'completed', now())`,
	} {
		if _, err := pool.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := postgres.Migrate(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	var jobs int
	err = pool.QueryRow(t.Context(), `SELECT count(*) FROM river_job WHERE kind = 'batch' AND finalized_at IS NULL`).Scan(&jobs)
	if err != nil {
		t.Fatal(err)
	}
	due, err := registry.New(pool, time.UTC).List(t.Context(), false)
	if err != nil || len(due) != 3 || jobs != 0 {
		t.Fatalf("%d credentials, %d batches are left, error %v", len(due), jobs, err)
	}
	for i, c := range due {
		if soon := time.Until(c.NextCheck) <= 0; soon != (i < 2) {
			t.Errorf("%s is due at %s", c.Name, c.NextCheck)
		}
	}
}
