package audit_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/postgres/pgtest"
)

// The finding at which a page ended is resolved before the next page is asked for. That goes on where the first ended.
func TestAPageGoesOnAfterItsLastFindingEnded(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	_, err := pool.Exec(t.Context(), `
		INSERT INTO findings (kind, severity, subject, credential, provider, state, evidence, opened_at, updated_at)
		SELECT 'revoked', 'critical', 's' || i, 'c' || i, 'p', 'open', '{}', $1, $1 FROM generate_series(1, 20) i`, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	store := audit.New(audit.Options{Pool: pool, Now: time.Now})
	seen := map[int64]bool{}
	var last int64
	for range 3 {
		page, err := store.Findings(t.Context(), audit.Filter{Limit: 7, After: last})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range page {
			seen[f.ID], last = true, f.ID
		}
		if _, err := pool.Exec(t.Context(), `UPDATE findings SET state = 'resolved' WHERE id = $1`, last); err != nil {
			t.Fatal(err)
		}
	}
	if len(seen) != 20 {
		t.Errorf("%d of 20 findings are on the pages", len(seen))
	}
}

// When a credential is looked at again moves with every look: its open finding says it, and nobody is told of that.
func TestTheNextLookIsKeptQuietly(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	store := audit.New(audit.Options{Pool: pool})
	e := event(finding.OpOpen, noon)
	e.Kind, e.Evidence.NextCheck = finding.Revoked, noon.Add(15*time.Minute)
	id := apply(t, pool, e)[0].Finding.ID
	var before, after int
	count := func(n *int) {
		t.Helper()
		const both = `SELECT (SELECT count(*) FROM record) + (SELECT count(*) FROM finding_outbox)`
		if err := pool.QueryRow(t.Context(), both).Scan(n); err != nil {
			t.Fatal(err)
		}
	}
	count(&before)
	for at := range 3 {
		next := noon.Add(time.Duration(at+1) * time.Hour)
		inTx(t, pool, func(tx pgx.Tx) error {
			return store.SetNextLooks(t.Context(), tx, []audit.NextLook{{Subject: e.Subject, At: next}})
		})
		f, err := store.Finding(t.Context(), id)
		if err != nil || !f.Evidence.NextCheck.Equal(next) || !f.UpdatedAt.Equal(noon) {
			t.Errorf("%+v, error %v", f, err)
		}
	}
	if count(&after); after != before {
		t.Errorf("%d records and outbox entries more", after-before)
	}
}
