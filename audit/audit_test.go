package audit_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/postgres/pgtest"
	"github.com/keyrounds/keyrounds/verdict"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

var noon = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

func inTx(t *testing.T, pool *pgxpool.Pool, f func(pgx.Tx) error) {
	t.Helper()
	if err := pgx.BeginFunc(t.Context(), pool, f); err != nil {
		t.Fatal(err)
	}
}

func event(op finding.Op, at time.Time) finding.Event {
	return finding.Event{
		Op:      op,
		Kind:    finding.Revoked,
		Subject: finding.Subject{Credential: "a", Provider: "idp"},
		At:      at,
		Why:     "it works again",
	}
}

func apply(t *testing.T, pool *pgxpool.Pool, es ...finding.Event) (changes []finding.Change) {
	t.Helper()
	inTx(t, pool, func(tx pgx.Tx) (err error) {
		changes, err = audit.New(audit.Options{Pool: pool}).Publish(t.Context(), tx, es)
		return err
	})
	return changes
}

// One door: what is open opens no second time, what is not open does not close, and a person's act
// stays until it resolves.
func TestTheLifeOfAFinding(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	store := audit.New(audit.Options{Pool: pool})
	if cs := apply(t, pool, event(finding.OpResolve, noon)); len(cs) != 0 {
		t.Errorf("nothing was open: %+v", cs)
	}
	opened := apply(t, pool, event(finding.OpOpen, noon), event(finding.OpOpen, noon))
	if len(opened) != 1 || opened[0].From != "" || opened[0].Finding.Severity != finding.Critical {
		t.Fatalf("%+v", opened)
	}
	id := opened[0].Finding.ID
	var acked, again finding.Change
	inTx(t, pool, func(tx pgx.Tx) (err error) {
		if acked, err = store.Acknowledge(t.Context(), tx, "user ann", id, noon.Add(time.Minute)); err != nil {
			return err
		}
		again, err = store.Acknowledge(t.Context(), tx, "user bob", id, noon.Add(2*time.Minute))
		return err
	})
	if acked.Finding.AcknowledgedBy != "user ann" || again.Finding.AcknowledgedBy != "user ann" {
		t.Errorf("the first stays: %+v", again)
	}
	more := event(finding.OpOpen, noon.Add(3*time.Minute))
	more.Evidence.MissingScopes = []string{"read"}
	if cs := apply(t, pool, more); len(cs) != 1 || cs[0].Finding.State != finding.Acknowledged {
		t.Errorf("new evidence changes it and leaves its state: %+v", cs)
	}
	inTx(t, pool, func(tx pgx.Tx) error {
		_, err := store.Snooze(t.Context(), tx, "user ann", id, noon, noon.Add(time.Hour))
		return err
	})
	inTx(t, pool, func(tx pgx.Tx) error {
		early, err1 := store.Awaken(t.Context(), tx, noon.Add(59*time.Minute), 0)
		late, err2 := store.Awaken(t.Context(), tx, noon.Add(time.Hour), 0)
		if len(early) != 0 || len(late) != 1 || late[0].Finding.State != finding.Open {
			t.Errorf("awake early %+v, late %+v", early, late)
		}
		return errors.Join(err1, err2)
	})
	cs := apply(t, pool, event(finding.OpResolve, noon.Add(2*time.Hour)))
	if len(cs) != 1 || cs[0].Finding.ResolvedWhy != "it works again" {
		t.Errorf("%+v", cs)
	}
	err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
		_, err := store.Acknowledge(t.Context(), tx, "user ann", id, noon)
		return err
	})
	if err == nil || !strings.Contains(err.Error(), "is resolved since") {
		t.Errorf("acknowledge a resolved one: %v", err)
	}
	if cs := apply(t, pool, event(finding.OpOpen, noon.Add(3*time.Hour))); len(cs) != 1 || cs[0].Finding.ID == id {
		t.Errorf("it opens anew: %+v", cs)
	}
	log, err := store.Log(t.Context(), audit.Record{Subject: "credential/a"})
	if err != nil {
		t.Fatal(err)
	}
	var actions []string
	for _, e := range log {
		actions = append(actions, e.Action)
	}
	want := "finding.opened finding.resolved finding.reopened finding.snoozed finding.changed finding.acknowledged finding.opened"
	if got := strings.Join(actions, " "); got != want {
		t.Errorf("the record, newest first:\n%s\nwant\n%s", got, want)
	}
}

// The record takes no change, also not from SQL, and the application cannot switch that off; not even the owner changes it by
// mistake (docs/security.md).
func TestTheRecordIsAppendOnly(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	apply(t, pool, event(finding.OpOpen, noon))
	changes := []string{`UPDATE record SET actor = 'nobody'`, `DELETE FROM record`, `TRUNCATE record`}
	for _, sql := range changes {
		if _, err := pgtest.Owner(t, pool).Exec(t.Context(), sql); err == nil || !strings.Contains(err.Error(), "append") {
			t.Errorf("%s: %v", sql, err)
		}
	}
	for _, sql := range append(changes,
		`ALTER TABLE record DISABLE TRIGGER ALL`, `DROP TABLE record`, `SET session_replication_role = replica`, `SET ROLE keyrounds`,
		`DROP FUNCTION record_is_append_only CASCADE`, `COPY record TO PROGRAM 'true'`, `COPY record TO '/tmp/record'`,
		`CREATE TABLE mine (n int)`, `CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'`,
	) {
		_, err := pool.Exec(t.Context(), sql)
		var refused *pgconn.PgError
		if !errors.As(err, &refused) || refused.Code != "42501" && refused.Code != "42883" {
			t.Errorf("the application's role: %s: %v", sql, err)
		}
	}
}

// Results of the month's last second and the next month's first go where they belong; old
// partitions leave after the retention.
func TestPartitions(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	store := audit.New(audit.Options{Pool: pool})
	names := func() string {
		rows, err := pool.Query(
			t.Context(),
			`SELECT relname FROM pg_inherits JOIN pg_class ON oid = inhrelid WHERE inhparent = 'checks'::regclass ORDER BY 1`,
		)
		if err != nil {
			t.Fatal(err)
		}
		all, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(all, " ")
	}
	for range 2 {
		if err := audit.EnsurePartitions(t.Context(), pgtest.Owner(t, pool), noon, 2); err != nil {
			t.Fatal(err)
		}
	}
	if got := names(); got != "checks_2026_01 checks_2026_02 checks_2026_03" {
		t.Error(got)
	}
	inTx(t, pool, func(tx pgx.Tx) error {
		r := checker.Result{
			ID:           uuid.Must(uuid.NewV7()),
			CredentialID: 1,
			Credential:   "a",
			Provider:     "idp",
			At:           time.Date(2026, 1, 31, 23, 59, 59, 999999000, time.UTC),
		}
		r2 := r
		r2.ID, r2.At, r2.CredentialID = uuid.Must(uuid.NewV7()), r.At.Add(time.Microsecond), 2
		return store.Record(
			t.Context(),
			tx,
			[]checker.Result{r, r2},
			[]verdict.State{
				{CredentialID: 1, Credential: "a", Status: verdict.Healthy},
				{CredentialID: 2, Credential: "b", Status: verdict.Healthy},
			},
		)
	})
	if err := audit.EnsurePartitions(t.Context(), pgtest.Owner(t, pool), time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC), 2); err != nil {
		t.Fatal(err)
	}
	if got := names(); got != "checks_2026_02 checks_2026_03 checks_2026_04 checks_2026_05 checks_2026_06" {
		t.Error(got)
	}
	if h, err := store.History(t.Context(), 2, 10); err != nil || len(h) != 1 {
		t.Errorf("%+v, %v", h, err)
	}
}
