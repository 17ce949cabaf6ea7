package notify_test

import (
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"

	"github.com/keyrounds/keyrounds/postgres"
	"github.com/keyrounds/keyrounds/postgres/pgtest"
	"github.com/keyrounds/keyrounds/test/lasting"
)

// What the version before told, and what it had yet to tell, is kept: messages stay where they are, and what
// waited in its jobs waits in the outbox.
func TestUpgrade(t *testing.T) {
	lasting.Test(t, "it upgrades a database of an earlier version")
	t.Parallel()
	pool := pgtest.Before(t, 4)
	r, err := rivermigrate.New(riverpgxv5.New(pool), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Migrate(t.Context(), rivermigrate.DirectionUp, nil); err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{
		`INSERT INTO notify_messages VALUES
			(1, 'slack', 'C1', '1.1', 'open', 'abc', now()),
			(2, 'slack', 'C1', '1.2', 'resolved', 'def', now())`,
		`INSERT INTO notify_attempts VALUES (1, 'slack', now()), (9, 'slack', now())`,
		`INSERT INTO notify_letters (key, receiver, enqueued_at, channel, message_ref) VALUES
			('report/2026-10', '', now(), '', ''),
			('report/2026-10', 'slack', now(), 'C1', '1.3'),
			('digest/x', '', now(), '', '')`,
		`INSERT INTO river_job (kind, args, max_attempts, queue, state, finalized_at) VALUES
			('notify', '{"finding_id": 3, "receiver": "slack"}', 25, 'notify', 'retryable', NULL),
			('notify', '{"finding_id": 2, "receiver": "slack"}', 25, 'notify', 'completed', now()),
			('letter', '{"key": "digest/x", "receiver": "slack"}', 25, 'notify', 'available', NULL),
			('batch', '{}', 5, 'checks', 'available', NULL)`,
	} {
		if _, err := pool.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := postgres.Migrate(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	for _, k := range []struct{ sql, want string }{
		{
			`SELECT m.ref || ' ' || b.finding_id || ' ' || b.told_state || ' ' ||
				(m.attempted_at IS NOT NULL) || ' ' || (m.due_at IS NOT NULL)
			FROM notify_messages m JOIN notify_members b ON b.message_id = m.id ORDER BY 1`,
			"[1.1 1 open true true 1.2 2 resolved false false]",
		},
		{
			`SELECT letter || ' ' || ref || ' ' || (due_at IS NOT NULL) FROM notify_messages WHERE letter <> '' ORDER BY 1`,
			"[digest/x  true report/2026-10 1.3 false]",
		},
		{`SELECT finding_id::text FROM finding_outbox`, "[3]"},
		{`SELECT key FROM notify_letters ORDER BY 1`, "[digest/x report/2026-10]"},
		{`SELECT DISTINCT kind FROM river_job ORDER BY 1`, "[]"}, // batches are leases now (registry, TestUpgrade)
	} {
		rows, err := pool.Query(t.Context(), k.sql)
		if err != nil {
			t.Fatal(err)
		}
		got, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil || fmt.Sprint(got) != k.want {
			t.Errorf("%s: %v, want %s, error %v", k.sql, got, k.want, err)
		}
	}
}
