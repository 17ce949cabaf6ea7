package rounds

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/test/lasting"
	"github.com/keyrounds/keyrounds/usage"
	"github.com/keyrounds/keyrounds/usage/feed"
)

// A use that is taken in while credentials are judged is not overlooked, nor is one whose clock is ahead of ours.
func TestAUseDuringTheJudgement(t *testing.T) {
	lasting.Test(t, "it lives 100 days")
	t.Parallel()
	begin := time.Now().UTC().AddDate(0, 0, -100).Truncate(24 * time.Hour)
	c := newCalendar(t, 2, begin, nil)
	c.exec(`UPDATE credentials SET owner = 'web', created_on = '2024-01-01'`)
	gateway := c.feed(feed.Feed{Name: "gateway", Provider: "idp", Type: feed.TypePush})
	for c.now = begin.Add(time.Hour); c.now.Before(begin.AddDate(0, 0, 99)); c.now = c.now.Add(24 * time.Hour) {
		c.bring(gateway, map[string]any{"client_id": "id-c0000", "at": c.now})
	}
	tx, err := c.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer rollback(t.Context(), tx)
	push := usage.Push{
		ID:   uuid.NewString(),
		Body: fmt.Appendf(nil, `{"client_id": "id-c0001", "at": %q}`, c.now.Add(9*time.Minute).Format(time.RFC3339)),
	}
	got, err := c.rounds.Usage.Ingest(t.Context(), tx, gateway, push, c.now)
	if err == nil {
		_, err = c.rounds.judgeUsage(t.Context(), tx, "", got, c.now)
	}
	if err != nil {
		t.Fatal(err)
	}
	judged := make(chan error, 1)
	go func() { judged <- c.rounds.JudgeUsage(t.Context()) }()
	for end := time.Now().Add(4 * time.Second); time.Now().Before(end) && len(judged) == 0; time.Sleep(10 * time.Millisecond) {
		if c.count(`SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'advisory'`) > 0 {
			break
		}
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-judged; err != nil {
		t.Fatal(err)
	}
	if fs := c.findings(""); len(fs) != 0 {
		t.Errorf("%s of %s is %s", fs[0].Kind, fs[0].Subject.Credential, fs[0].State)
	}
}

// Whoever answers for a credential that ends by itself is told at each of the times that are configured, and once it
// is replaced no more.
func TestExpiring(t *testing.T) {
	t.Parallel()
	c := newCalendar(t, 4, time.Now().UTC().Truncate(24*time.Hour), nil)
	settings := *c.rounds.settings.Load()
	const day = 24 * time.Hour
	settings.ExpiringBefore = []time.Duration{30 * day, 14 * day, 7 * day, day}
	c.rounds.settings.Store(&settings)
	end := c.now.Add(40 * day)
	c.exec(`UPDATE credentials SET owner = 'web', expires_at = '` + end.Format(time.RFC3339) + `' WHERE name = 'c0000'`)
	c.exec(`UPDATE credentials SET owner = 'web' WHERE name <> 'c0000'`)
	// What its certificate says is in its state; the earlier of both counts.
	c.exec(`UPDATE credential_state SET memory = memory || '{"ends": {"at": "` + end.Format(time.RFC3339) + `", "by": "certificate"}}'
		WHERE credential IN ('c0001', 'c0002')`)
	c.exec(`UPDATE credentials SET expires_at = '` + end.Add(-5*day).Format(time.RFC3339) + `' WHERE name = 'c0002'`)
	type told struct {
		left  int
		ahead time.Duration
	}
	var got []told
	for left := 40; left >= -2; left-- {
		c.now = end.Add(-time.Duration(left)*day + time.Minute)
		c.judge()
		c.judge()
		for _, f := range c.findings(finding.Expiring) {
			if f.Subject.Credential == "c0001" && f.Evidence.ExpiresBy != "certificate" || f.Subject.Credential == "c0003" {
				t.Fatalf("%s ends by %s", f.Subject.Credential, f.Evidence.ExpiresBy)
			}
			if f.Subject.Credential == "c0002" && !f.Evidence.ExpiresAt.Equal(end.Add(-5*day)) {
				t.Fatalf("the later end of c0002 is told: %s", f.Evidence.ExpiresAt)
			}
			if f.Subject.Credential == "c0000" && f.UpdatedAt.Equal(c.now) {
				got = append(got, told{left, f.Evidence.Ahead})
			}
		}
	}
	want := []told{{30, 30 * day}, {14, 14 * day}, {7, 7 * day}, {1, day}, {-1, 0}} // a day is over when it ends
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("it was told with so many days left: %v, not %v", got, want)
	}
	if n := c.count(`SELECT count(*) FROM finding_outbox`); n != 3*len(want) {
		t.Errorf("%d changes wait to be told", n)
	}
	err := pgx.BeginFunc(t.Context(), c.pool, func(tx pgx.Tx) error {
		_, err := c.rounds.Registry.Rotate(t.Context(), tx, "c0000", "", c.now.Add(300*day), []byte("sealed"), c.now)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	c.exec(`UPDATE credentials SET expires_at = '` + c.now.Add(300*day).Format(time.RFC3339) + `' WHERE name = 'c0000'`) // of the file
	c.exec(`UPDATE credential_state SET status = 'revoked' WHERE credential = 'c0001'`)
	c.exec(`UPDATE credentials SET expires_at = NULL WHERE name = 'c0002'`)
	c.exec(`UPDATE credential_state SET memory = '{}' WHERE credential = 'c0002'`)
	c.judge()
	why := map[string]string{}
	for _, f := range c.findings(finding.Expiring) {
		why[f.Subject.Credential] = f.ResolvedWhy
	}
	want2 := map[string]string{
		"c0000": "it ends on " + c.now.Add(300*day).Format("2 Jan 2006") + " now",
		"c0001": "it is refused: the finding revoked tells of that",
		"c0002": "nothing says any more that it ends",
	}
	if !maps.Equal(why, want2) {
		t.Errorf("they ended because %v", why)
	}
	// What is refused already, or retired, is not told of.
	c.exec(`UPDATE credentials SET expires_at = '` + c.now.Add(5*day).Format(time.RFC3339) + `'`)
	c.exec(`UPDATE credential_state SET status = 'revoked' WHERE credential <> 'c0003'`)
	c.exec(`UPDATE credentials SET retired_at = now() WHERE name = 'c0003'`)
	c.judge()
	if fs := c.findings(finding.Expiring); len(fs) != len(want2) {
		t.Errorf("%d findings", len(fs))
	}
}

// That an end is over without a refusal is said only where a check showed it, and of a day only when the day is over.
func TestAnEndWithoutARefusal(t *testing.T) {
	t.Parallel()
	c := newCalendar(t, 2, time.Now().UTC().Truncate(24*time.Hour), nil)
	settings := *c.rounds.settings.Load()
	settings.ExpiringBefore = []time.Duration{24 * time.Hour}
	c.rounds.settings.Store(&settings)
	end := c.now.Add(48 * time.Hour)
	c.exec(`UPDATE credentials SET owner = 'web', expires_at = '` + end.Format(time.RFC3339) + `'`)
	says := func(at time.Time, want ...string) { // of each credential
		t.Helper()
		c.now = at
		c.judge()
		found := c.findings(finding.Expiring)
		if len(found) != len(want) {
			t.Fatalf("%d findings", len(found))
		}
		for _, f := range found {
			if i := map[string]int{"c0000": 0, "c0001": 1}[f.Subject.Credential]; !strings.Contains(f.Evidence.Message, want[i]) {
				t.Errorf("%s, of %s: %q", at, f.Subject.Credential, f.Evidence.Message)
			}
		}
	}
	says(end.Add(12*time.Hour), "at most 1 day left", "at most 1 day left")
	c.exec(`UPDATE credential_state SET last_success_at = '` + end.Add(25*time.Hour).Format(time.RFC3339) + `' WHERE credential = 'c0001'`)
	says(end.Add(26*time.Hour), "no check has shown yet whether it is refused", "the provider does not refuse it")
}
