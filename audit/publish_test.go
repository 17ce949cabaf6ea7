package audit_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/postgres/pgtest"
)

// All that changes a finding changes it, records it and queues it to be told, or does none of that
// (docs/promises.md#what-changes-a-finding-is-recorded-and-told-or-not-done).
func TestPublishIsAllOrNothing(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	store := audit.New(audit.Options{Pool: pool})
	id := apply(t, pool, event(finding.OpOpen, noon))[0].Finding.ID
	asleep := func(tx pgx.Tx) error {
		_, err := store.Snooze(t.Context(), tx, "user ann", id, noon, noon.Add(time.Minute))
		return err
	}
	changes := []struct {
		name string
		do   func(pgx.Tx) error
	}{
		{"a new finding", func(tx pgx.Tx) error {
			e := event(finding.OpOpen, noon)
			e.Subject.Credential = "b"
			_, err := store.Publish(t.Context(), tx, []finding.Event{e})
			return err
		}},
		{"snooze", asleep},
		{"the end of a snooze", func(tx pgx.Tx) error {
			if err := asleep(tx); err != nil {
				return err
			}
			_, err := store.Awaken(t.Context(), tx, noon.Add(time.Hour), 0)
			return err
		}},
		{"acknowledge", func(tx pgx.Tx) error {
			_, err := store.Acknowledge(t.Context(), tx, "user ann", id, noon)
			return err
		}},
		{"a false alarm", func(tx pgx.Tx) error {
			_, err := store.FalseAlarm(t.Context(), tx, "user bob", id, "a test", noon)
			return err
		}},
		{"the end of all of a credential", func(tx pgx.Tx) error {
			_, err := store.CloseAll(t.Context(), tx, "user ann", []finding.Subject{event("", noon).Subject}, noon, "retired")
			return err
		}},
	}
	// counts are the lines of the record, and what waits to be told.
	counts := func() (recorded, queued int) {
		t.Helper()
		err := pool.QueryRow(t.Context(), `
			SELECT (SELECT count(*) FROM record), (SELECT count(*) FROM finding_outbox)`).Scan(&recorded, &queued)
		if err != nil {
			t.Fatal(err)
		}
		return recorded, queued
	}
	for _, c := range changes {
		recorded, queued := counts()
		err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
			if err := c.do(tx); err != nil {
				return err
			}
			return errUndone
		})
		if r, q := counts(); !errors.Is(err, errUndone) || r != recorded || q != queued {
			t.Errorf("%s, rolled back: %d lines of the record, %d queued more; error %v", c.name, r-recorded, q-queued, err)
		}
		inTx(t, pool, c.do)
		if r, q := counts(); r == recorded || q == queued || r-recorded != q-queued {
			t.Errorf("%s: %d lines of the record, %d queued more", c.name, r-recorded, q-queued)
		}
	}
}

var errUndone = errors.New("undone")

// The outbox gives each finding once, the one that waited longest first, and forgets what is done.
func TestTheOutbox(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	now, woken := noon, 0
	store := audit.New(
		audit.Options{
			Pool: pool,
			Now:  func() time.Time { now = now.Add(time.Second); return now },
			Wake: func(_ context.Context, _ pgx.Tx) error { woken++; return nil },
		},
	)
	inTx(t, pool, func(tx pgx.Tx) error {
		for _, name := range []string{"a", "b"} {
			e := event(finding.OpOpen, noon)
			e.Subject.Credential = name
			if _, err := store.Publish(t.Context(), tx, []finding.Event{e}); err != nil {
				return err
			}
		}
		_, err := store.Publish(t.Context(), tx, []finding.Event{event(finding.OpResolve, noon), event(finding.OpResolve, noon)})
		return err
	})
	if woken != 3 {
		t.Errorf("woken %d times for three changes", woken)
	}
	inTx(t, pool, func(tx pgx.Tx) error {
		all, err := store.Pending(t.Context(), tx, 10)
		if err != nil || len(all) != 2 || !all[0].Since.Equal(noon.Add(time.Second)) || !all[1].Since.Equal(noon.Add(2*time.Second)) {
			t.Errorf("pending: %+v, error %v", all, err)
		}
		one, err := store.Pending(t.Context(), tx, 1)
		if err != nil || len(one) != 1 || one[0] != all[0] {
			t.Errorf("one of them: %+v, error %v", one, err)
		}
		if err := store.Done(t.Context(), tx, []int64{all[0].Finding}); err != nil {
			return err
		}
		left, err := store.Pending(t.Context(), tx, 10)
		if len(left) != 1 || left[0] != all[1] {
			t.Errorf("left: %+v", left)
		}
		return err
	})
}

// Two that change several findings never wait for each other: both lock them by id, whatever the order of the events.
func TestPublishLocksFindingsInTheirOrder(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	store := audit.New(audit.Options{Pool: pool})
	of := func(name string, op finding.Op) finding.Event {
		e := event(op, noon)
		e.Subject.Credential = name
		return e
	}
	cs := apply(t, pool, of("a", finding.OpOpen), of("b", finding.OpOpen))
	first, second := cs[0].Finding.ID, cs[1].Finding.ID
	tx, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
	lock := func(id int64) {
		t.Helper()
		if _, err := tx.Exec(t.Context(), `SELECT FROM findings WHERE id = $1 FOR UPDATE NOWAIT`, id); err != nil {
			t.Fatal(err)
		}
	}
	lock(first)
	done := make(chan error, 1)
	go func() {
		done <- pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
			_, err := store.Publish(t.Context(), tx, []finding.Event{of("b", finding.OpWithdraw), of("a", finding.OpWithdraw)})
			return err
		})
	}()
	for waiting := 0; waiting == 0; { // for the first
		const waits = `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`
		if err := pool.QueryRow(t.Context(), waits).Scan(&waiting); err != nil {
			t.Fatal(err)
		}
	}
	lock(second)
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}
