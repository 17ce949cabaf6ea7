package audit_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/postgres/pgtest"
)

// What is undone is as it was before, an undo of what is not so changes nothing, and what is over stays over.
func TestUndo(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	store := audit.New(audit.Options{Pool: pool, Now: time.Now})
	subject := finding.Subject{Credential: "a", CredentialID: 1, Provider: "p"}
	var (
		id  int64
		got []string
	)
	act := func(do func(pgx.Tx) (finding.Change, error)) {
		t.Helper()
		err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
			c, err := do(tx)
			if err == nil {
				got = append(got, fmt.Sprintf("%s>%s", c.From, c.Finding.State))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx := t.Context()
	act(func(tx pgx.Tx) (finding.Change, error) {
		cs, err := store.Publish(ctx, tx, []finding.Event{{Op: finding.OpOpen, Kind: finding.Revoked, Subject: subject, At: noon}})
		id = cs[0].Finding.ID
		return cs[0], err
	})
	act(func(tx pgx.Tx) (finding.Change, error) { return store.Unacknowledge(ctx, tx, "ann", id, noon) })
	act(func(tx pgx.Tx) (finding.Change, error) {
		return store.FalseAlarm(ctx, tx, "ann", id, "we did it", noon)
	})
	act(func(tx pgx.Tx) (finding.Change, error) { return store.Unsnooze(ctx, tx, "ann", id, noon) })
	act(func(tx pgx.Tx) (finding.Change, error) { return store.Unacknowledge(ctx, tx, "ann", id, noon) })
	act(func(tx pgx.Tx) (finding.Change, error) {
		return store.Snooze(ctx, tx, "ann", id, noon, noon.Add(time.Hour))
	})
	act(func(tx pgx.Tx) (finding.Change, error) { return store.Unsnooze(ctx, tx, "ann", id, noon) })
	want := "[>open open>open open>acknowledged acknowledged>acknowledged acknowledged>open open>snoozed snoozed>open]"
	if fmt.Sprint(got) != want {
		t.Errorf("%v, want %s", got, want)
	}
	if f, err := store.Finding(ctx, id); err != nil || f.AcknowledgedBy != "" || f.FalseAlarmBy != "" || !f.SnoozedUntil.IsZero() {
		t.Errorf("%+v, %v", f, err)
	}
	err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		_, err := store.CloseAll(ctx, tx, "ann", []finding.Subject{subject}, noon, "it is over")
		if err == nil {
			_, err = store.Assign(ctx, tx, "ann", id, "bob", noon)
		}
		return err
	})
	if !errors.Is(err, audit.ErrResolved) {
		t.Errorf("what is over is assigned: %v", err)
	}
}
