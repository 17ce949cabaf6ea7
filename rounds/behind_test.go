package rounds

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/registry"
	"github.com/keyrounds/keyrounds/test/lasting"
)

// When checks count as falling behind, and when as keeping up again.
func TestJudgeBacklog(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	waits := func(d time.Duration) registry.Longest { return registry.Longest{Due: now.Add(-d), Waiting: 1} }
	for _, k := range []struct {
		name string
		b    backlog
		want finding.Op
	}{
		{"late by its interval", backlog{Longest: waits(15 * time.Minute), Interval: 15 * time.Minute}, ""},
		{"by more", backlog{Longest: waits(15*time.Minute + 1), Interval: 15 * time.Minute}, finding.OpOpen},
		{"of a short interval, by two minutes", backlog{Longest: waits(2 * time.Minute), Interval: time.Second}, ""},
		{"by more than two", backlog{Longest: waits(2*time.Minute + 1), Interval: time.Second}, finding.OpOpen},
		{
			"more is asked than is possible: by its interval",
			backlog{
				Longest: waits(40 * time.Second), Interval: 10 * time.Second, Asked: 60, Latency: 300 * time.Millisecond,
				Provider: checker.Provider{Concurrency: 4, Rate: 1000},
			},
			finding.OpOpen,
		},
		{"the daemon was away", backlog{Longest: waits(time.Hour), Interval: time.Minute, Since: now.Add(-2 * time.Minute)}, ""},
		{
			"it was, and that is long ago",
			backlog{Longest: waits(time.Hour), Interval: time.Minute, Since: now.Add(-3 * time.Minute)},
			finding.OpOpen,
		},
		{"the provider asks for a pause, or is out of budget", backlog{Longest: waits(time.Hour), Interval: time.Minute, Held: true}, ""},
		{"passive", backlog{Longest: waits(time.Hour), Interval: time.Minute, Provider: checker.Provider{Passive: true}}, ""},
		{"nothing waits", backlog{}, ""},
		{"open, and still late", backlog{Open: true, Longest: waits(10 * time.Minute), Interval: 15 * time.Minute}, ""},
		{"open, and half as late", backlog{Open: true, Longest: waits(7 * time.Minute), Interval: 15 * time.Minute}, finding.OpResolve},
		{"open, and nothing waits", backlog{Open: true, Interval: 15 * time.Minute}, finding.OpResolve},
		{
			"open, and passive now",
			backlog{Open: true, Longest: waits(time.Hour), Interval: time.Minute, Provider: checker.Provider{Passive: true}},
			finding.OpResolve,
		},
		{"open in a pause", backlog{Open: true, Longest: waits(time.Hour), Interval: time.Minute, Held: true}, ""},
	} {
		if op, why := k.b.judge(now); op != k.want || (op == finding.OpResolve) != (why != "") {
			t.Errorf("%s: %q (%s), want %q", k.name, op, why, k.want)
		}
	}
}

// The message says what is asked, what is possible and what would do.
func TestBacklogMessage(t *testing.T) {
	t.Parallel()
	p := checker.Provider{Concurrency: 4, Rate: 1000}
	for _, k := range []struct {
		b    backlog
		want string
	}{
		{
			backlog{Provider: p, Asked: 10000.0 / 60, Latency: 80 * time.Millisecond},
			"Its schedules ask for 166.7 checks a second, and 50.0 are possible (concurrency 4 at 80 ms a check allows 50.0 a second, " +
				"rate allows 1000.0 a second). What would do: concurrency 15, if the provider bears that; or schedules 3.4 times as long.",
		},
		{
			backlog{Provider: p, Asked: 10, Latency: 80 * time.Millisecond},
			"Its schedules ask for 10.0 checks a second, and 50.0 are possible (concurrency 4 at 80 ms a check allows 50.0 a second, " +
				"rate allows 1000.0 a second). That should do: they catch up, or something else holds them up, such as the database or " +
				"too few workers.",
		},
	} {
		if got := k.b.message(); got != k.want {
			t.Errorf("%s\nwant %s", got, k.want)
		}
	}
}

// An hour in which 250 credentials are asked each minute, of which the provider answers one a second. Nothing piles
// up: no more is leased than a batch, nothing waits in a queue, each credential is checked in turn, the lag is true,
// and people are told what would do. When the provider is fast again, all that ends
// (docs/promises.md#who-falls-behind-says-so).
func TestAnHourBehind(t *testing.T) {
	lasting.Test(t, "it makes 3,600 checks")
	t.Parallel()
	const n = 250
	h := newHouse(t, n, func(p *checker.Provider) { p.Concurrency = 4 })
	c := &clock{t: time.Now().Truncate(time.Minute)}
	h.exec(fmt.Sprintf(`UPDATE credentials SET schedule = '@every 1m', next_check_at = '%s'`, c.Now().Format(time.RFC3339)))
	takes := time.Second
	h.useEndpoint(h.serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c.move(takes).Second()%15 == 0 {
			leased := 0
			if h.pool.QueryRow(r.Context(), `SELECT count(*) FROM credentials WHERE leased_until > '-infinity'`).Scan(&leased) == nil &&
				(leased == 0 || leased > 60) {
				t.Errorf("%d are leased while one is asked", leased)
			}
		}
		time.Sleep(10 * time.Millisecond) // of a second of that clock: what came is stored meanwhile
		h.idp.ServeHTTP(w, r)
	})))
	r := h.replica(h.pool, c.at)
	began, open := c.Now(), 0
	work := func() {
		t.Helper()
		if err := r.sweep(t.Context(), uncounted); err != nil {
			t.Fatal(err)
		}
		if err := r.stream(t.Context(), "idp"); err != nil {
			t.Fatal(err)
		}
		c.move(10 * time.Millisecond) // what is booked is over
		if queued := h.count(`SELECT count(*) FROM river_job WHERE kind = 'stream'`); queued > 1 {
			t.Fatalf("%d jobs wait", queued)
		}
		if err := r.judgeBehind(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for i := 0; c.Now().Sub(began) < time.Hour; i++ {
		work()
		if i%50 == 0 {
			h.lagIsTrue(r, began)
		}
		if fs := h.findings(); open == 0 && len(fs) > 0 {
			open = i
			if late := c.Now().Sub(began); late < time.Minute || late > 5*time.Minute {
				t.Errorf("people are told after %s", late)
			}
		}
	}
	fs := h.findings()
	if len(fs) != 1 || fs[0].Kind != finding.FallingBehind || fs[0].Subject.Key() != "provider/idp" || fs[0].State != finding.Open ||
		!strings.Contains(fs[0].Evidence.Message, "4.2 checks a second") {
		t.Fatalf("findings %+v", fs)
	}
	least := h.count(`SELECT min(n) FROM (SELECT count(*) AS n FROM checks GROUP BY credential_id) AS c`)
	most := h.count(`SELECT max(n) FROM (SELECT count(*) AS n FROM checks GROUP BY credential_id) AS c`)
	if most-least > 1 || least < 13 {
		t.Errorf("the credentials were checked between %d and %d times: not in turn", least, most)
	}
	takes = 10 * time.Millisecond
	for range 200 {
		c.move(time.Second)
		work()
	}
	if fs := h.findings(); len(fs) != 1 || fs[0].State != finding.Resolved {
		t.Errorf("it keeps up again: %+v", fs)
	}
	if lags, err := r.Registry.Lags(t.Context(), c.Now()); err != nil || lags["idp"] > 20*time.Second {
		t.Errorf("it keeps up again: lag %s, %v", lags["idp"], err)
	}
}

// lagIsTrue compares the lag with what the recorded results say: a credential is due a minute after its last check, or
// from the beginning on.
func (h *house) lagIsTrue(r *Rounds, began time.Time) {
	h.t.Helper()
	rows, err := h.pool.Query(h.t.Context(), `
		SELECT max(k.checked_at) FROM credentials c LEFT JOIN checks k ON k.credential_id = c.id GROUP BY c.id`)
	if err != nil {
		h.t.Fatal(err)
	}
	lasts, err := pgx.CollectRows(rows, pgx.RowTo[*time.Time])
	if err != nil {
		h.t.Fatal(err)
	}
	now := r.Now()
	oldest := now
	for _, last := range lasts {
		due := began
		if last != nil {
			due = last.Add(time.Minute)
		}
		if due.Before(oldest) {
			oldest = due
		}
	}
	lags, err := r.Registry.Lags(h.t.Context(), now)
	if err != nil {
		h.t.Fatal(err)
	}
	tolerance := 10 * time.Second
	if now.Sub(began) < 10*time.Minute { // at first some are not late yet, and have a slot of their schedule
		tolerance = time.Minute
	}
	if want := now.Sub(oldest); (want - lags["idp"]).Abs() > tolerance {
		h.t.Errorf("%s after the beginning the lag is %s, and by the results it is %s", now.Sub(began), lags["idp"], want)
	}
}
