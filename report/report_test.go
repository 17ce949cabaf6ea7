package report_test

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	validator "github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"

	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/decision"
	"github.com/keyrounds/keyrounds/postgres/pgtest"
	"github.com/keyrounds/keyrounds/registry"
	"github.com/keyrounds/keyrounds/report"
	"github.com/keyrounds/keyrounds/test/comments"
	"github.com/keyrounds/keyrounds/usage"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// desk makes reports of what the test writes into the tables.
type desk struct {
	testing.TB
	pool   *pgxpool.Pool
	maker  *report.Maker
	frozen []report.Frozen
}

func newDesk(t testing.TB) *desk {
	t.Helper()
	d := &desk{TB: t, pool: pgtest.New(t)}
	d.maker = report.New(report.Options{
		Pool:      d.pool,
		Registry:  registry.New(d.pool, time.UTC),
		Audit:     audit.New(audit.Options{Pool: d.pool}),
		Usage:     usage.New(usage.Options{Pool: d.pool, Zone: time.UTC}),
		Decisions: decision.NewStore(d.pool),
		Zone:      time.UTC,
		Version:   "test",
		Frozen:    func(_ context.Context, _ pgx.Tx, f report.Frozen) error { d.frozen = append(d.frozen, f); return nil },
	})
	return d
}

func (d *desk) exec(sql string, args ...any) {
	d.Helper()
	if _, err := d.pool.Exec(d.Context(), sql, args...); err != nil {
		d.Fatal(err)
	}
}

func (d *desk) count(sql string) (n int) {
	d.Helper()
	if err := d.pool.QueryRow(d.Context(), sql).Scan(&n); err != nil {
		d.Fatal(err)
	}
	return n
}

// credential registers one; more are assignments of columns.
func (d *desk) credential(name string, more ...string) {
	d.Helper()
	d.exec(
		`INSERT INTO credentials (name, provider, client_id, secret_ref, schedule, unused_after, created_on, source,
			registered_at, changed_at, next_check_at)
		VALUES ($1, 'p', $1, 'env:X', '@daily', '90 days', '2024-03-01', 'file', '2025-01-01', '2025-01-01', now())`,
		name,
	)
	for _, set := range more {
		d.exec(`UPDATE credentials SET `+set+` WHERE name = $1`, name)
	}
}

// used writes that a credential was used on days.
func (d *desk) used(name string, days ...string) {
	d.Helper()
	for _, text := range days {
		day, err := time.Parse(time.DateOnly, text)
		if err != nil {
			d.Fatal(err)
		}
		at := day.Add(10 * time.Hour)
		d.exec(
			`INSERT INTO usage_days SELECT id, $2, '203.0.113.0/24', 'job/1', 1, 0, $3, $3, '203.0.113.7' FROM credentials WHERE name = $1`,
			name,
			day,
			at,
		)
		d.exec(
			`INSERT INTO usage_months AS u
			SELECT id, date_trunc('month', $2::date), 0, 1, 0, 0, $3, $3, $4, 1 << 10, true, 0 FROM credentials WHERE name = $1
			ON CONFLICT (credential_id, month) DO UPDATE SET last_at = excluded.last_at, days = u.days | excluded.days,
				requests = u.requests + excluded.requests`,
			name,
			day,
			at,
			int32(1)<<(day.Day()-1),
		)
	}
}

func (d *desk) feed(provider, from, until string) {
	d.Helper()
	d.exec(`INSERT INTO usage_feeds (feed, provider, type, format, partial, silence, configured, first_at, coverage, last_seen_at)
		VALUES ($1 || '-log', $1, 'push', 'plain', false, '1 day', true, $2, tstzmultirange(tstzrange($2, $3)), $3)`, provider, from, until)
	d.showsClients(provider + "-log")
}

// showsClients writes that a feed named clients on every day that it covers.
func (d *desk) showsClients(feed string) {
	d.Helper()
	d.exec(`INSERT INTO usage_feed_days
		SELECT feed, day, 100, 0, 50, day, day + interval '1 day' FROM usage_feeds,
			generate_series(lower(coverage) - interval '1 day', upper(coverage), '1 day') AS day WHERE feed = $1`, feed)
}

var november = time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC)

func october(t testing.TB) report.Month {
	t.Helper()
	m, err := report.ParseMonth("2026-10")
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func (d *desk) read(f func() ([]byte, error)) report.Report {
	d.Helper()
	b, err := f()
	if err != nil {
		d.Fatal(err)
	}
	var r report.Report
	if err := json.Unmarshal(b, &r); err != nil {
		d.Fatal(err)
	}
	return r
}

func (d *desk) october() report.Report {
	d.Helper()
	return d.read(func() ([]byte, error) { return d.maker.Read(d.Context(), october(d), "", 0, report.JSON, november) })
}

func row(t testing.TB, r report.Report, name string) report.Row {
	t.Helper()
	i := slices.IndexFunc(r.Credentials, func(c report.Row) bool { return c.Credential == name })
	if i < 0 {
		t.Fatalf("%s is not in the report", name)
	}
	return r.Credentials[i]
}

// What each credential comes to, with the reason that a person needs.
func TestRecommendations(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.feed("p", "2025-10-01", "2026-11-02")
	d.credential("busy", `owner = 'web'`, `scopes = '{a,b}'`)
	d.used("busy", "2026-10-01", "2026-10-05", "2026-10-30")
	d.exec(`INSERT INTO usage_scopes SELECT id, 'a', '2026-10-30' FROM credentials WHERE name = 'busy'`)
	d.credential("idle", `owner = 'web'`)
	d.used("idle", "2026-03-01", "2026-03-02", "2026-03-03")
	d.credential("never", `owner = 'web'`)
	d.credential("young", `owner = 'web'`, `created_on = '2026-10-10'`)
	d.credential("canary", `owner = 'web'`, `canary = true`)
	d.credential("tripped", `owner = 'web'`, `canary = true`)
	d.used("tripped", "2026-10-20")
	d.credential("old", `owner = 'web'`, `max_age = '365 days'`)
	d.used("old", "2026-10-20")
	d.credential("ends", `owner = 'web'`, `expires_at = '2026-12-20'`)
	d.used("ends", "2026-10-20")
	d.credential("ends-later", `owner = 'web'`, `expires_at = '2027-02-01'`)
	d.used("ends-later", "2026-10-20")
	d.credential("nobodys")
	d.used("nobodys", "2026-10-20")
	d.credential("blind", `owner = 'web'`, `provider = 'q'`)
	d.credential("gone", `owner = 'web'`)
	d.exec(`
		INSERT INTO checks_daily SELECT id, '2026-10-30', 96, 0, 96, 0, 1, 'revoked', '2026-10-30 23:00Z', NULL
		FROM credentials WHERE name = 'gone'`)
	d.credential("quarterly", `owner = 'web'`, `unused_after = '30 days'`)
	d.used("quarterly", "2025-11-30", "2026-02-28", "2026-05-31", "2026-08-31")
	d.credential("retired", `retired_at = '2026-10-15'`)
	r := d.october()
	for name, want := range map[string]struct {
		usage, recommendation, why string
	}{
		"busy":       {"used", "drop_scopes", "nobody used b"},
		"idle":       {"unused", "revoke", "last used 242 days ago, and the feeds watched ever since"},
		"never":      {"never_used", "revoke", "no use was ever seen; the feeds watched since 1 Oct 2025"},
		"young":      {"not_known", "wait", "until 8 Jan 2027: it exists only since 10 Oct 2026"},
		"canary":     {"never_used", "keep", "a canary"},
		"tripped":    {"used", "revoke", "a canary that somebody used"},
		"old":        {"used", "rotate", "its secret is 2 years and 8 months old"},
		"ends":       {"used", "rotate", "it ends on 20 Dec 2026, as expires says"},
		"ends-later": {"used", "keep", ""},
		"nobodys":    {"used", "name_owner", "nobody answers for it"},
		"blind":      {"not_known", "connect_feed", "no feed shows the use of q's credentials"},
		"gone":       {"never_used", "retire", "the provider refuses it"},
		"quarterly":  {"used", "keep", "quarterly"},
	} {
		got := row(t, r, name)
		if got.Usage != want.usage || string(got.Recommendation) != want.recommendation || !strings.Contains(got.Why, want.why) {
			t.Errorf("%s: %s, %s because %q; not %v", name, got.Usage, got.Recommendation, got.Why, want)
		}
	}
	if b := r.Before; b.Registered != 13 || r.Trend[7].Registered != 13 { // young came, retired went
		t.Errorf("the months before: %+v", r.Trend)
	}
	if s := r.Summary; s != (report.Summary{Registered: 13, Used: 6, Unused: 1, NeverUsed: 2, NotKnown: 2, Canaries: 2}) {
		t.Errorf("the summary is %+v", s)
	}
	if p := row(t, r, "idle").Plan; len(p) != 3 ||
		!strings.Contains(p[0], "3 Mar 2026 10:00 UTC by job/1 from 203.0.113.7") ||
		!strings.Contains(p[1], "reaches back to 1 Oct 2025") || !strings.Contains(p[2], "all but 10:00–11:00") {
		t.Errorf("the plan is %q", p)
	}
	if i := row(t, r, "idle"); i.Uses != 0 || i.FirstUsedAt == nil || i.FirstUsedAt.Format(time.DateOnly) != "2026-03-01" {
		t.Errorf("idle: %+v", i)
	}
	if b := row(t, r, "busy"); b.Uses != 3 || !slices.Equal(b.Networks, []string{"203.0.113.0/24"}) {
		t.Errorf("busy: %+v", b)
	}
	if r.Credentials[0].Recommendation != report.Revoke || r.Credentials[len(r.Credentials)-1].Recommendation != report.Keep {
		t.Error("the worst does not come first")
	}
	if q := row(t, r, "quarterly"); q.NextUse == nil || q.NextUse.Format(time.DateOnly) != "2026-12-01" {
		t.Errorf("the next quarterly use is expected %v", q.NextUse)
	}
	if len(r.Trend) != 12 || r.Trend[11].Summary != r.Summary || r.Trend[11].Month != "2026-10" || r.Before != r.Trend[10].Summary {
		t.Errorf("the trend is %+v", r.Trend)
	}
}

// The advice fits the reason: of what stopped, of what comes back, of what is tried, of what is not known.
func TestAdvice(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.feed("p", "2025-01-01", "2026-11-02")
	d.feed("late", "2026-10-01", "2026-11-02")
	d.feed("dead", "2025-01-01", "2026-10-10")
	day := func(n int) string {
		return time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, n).Format(time.DateOnly)
	}
	d.credential("stopped", `owner = 'web'`, `scopes = '{a,b}'`)
	d.credential("weekdays", `owner = 'web'`)
	for n := -40; n < 31; n++ {
		if n < 12 {
			d.used("stopped", day(n))
		}
		if date, _ := time.Parse(time.DateOnly, day(n)); date.Weekday()%6 != 0 && n < 29 { // Friday is the last
			d.used("weekdays", day(n))
		}
	}
	d.credential("half-yearly", `owner = 'web'`)
	d.used("half-yearly", "2025-12-01", "2026-06-01")
	d.credential("gone for longer", `owner = 'web'`)
	d.used("gone for longer", "2025-12-01", "2026-01-10")
	d.credential("tried", `owner = 'web'`)
	d.exec(`INSERT INTO usage_months (credential_id, month, exchanges, requests, failures, own, days, hours, scopes_seen, hidden_s,
			first_attempt_at, last_attempt_at)
		SELECT id, '2026-10-01', 0, 0, 31, 0, 0, 0, false, 0, '2026-10-01', '2026-10-31' FROM credentials WHERE name = 'tried'`)
	d.exec(`INSERT INTO usage_days SELECT id, '2026-10-30', '203.0.113.0/24', 'job/1', 0, 31, '2026-10-30', '2026-10-31', NULL
		FROM credentials WHERE name = 'tried'`)
	d.credential("no created", `owner = 'web'`, `created_on = NULL`, `registered_at = '2026-10-20'`)
	d.credential("too late", `owner = 'web'`, `provider = 'late'`)
	d.credential("silent", `owner = 'web'`, `provider = 'dead'`)
	d.credential("no feed", `owner = 'web'`, `provider = 'q'`)
	r := d.october()
	for name, want := range map[string]struct{ recommendation, why string }{
		"stopped":         {"check_job", "overdue since 13 Oct: it was used daily, last on 12 Oct"},
		"weekdays":        {"keep", ""},
		"half-yearly":     {"wait", "until 1 Dec 2026"},
		"gone for longer": {"revoke", "last used 294 days ago"},
		"tried":           {"find_caller", "someone still tries it, and is refused, the last time on 31 Oct 2026"},
		"no created":      {"set_created", "without it, it is known on 18 Jan 2027"},
		"too late":        {"wait", "until 30 Dec 2026: feed late-log"},
		"silent":          {"mend_feed", "feed dead-log silent since 10 Oct"},
		"no feed":         {"connect_feed", "no feed shows the use of q's credentials"},
	} {
		got := row(t, r, name)
		if string(got.Recommendation) != want.recommendation || !strings.Contains(got.Why, want.why) {
			t.Errorf("%s: %s because %q; want %v", name, got.Recommendation, got.Why, want)
		}
		if strings.Contains(strings.Join(append(got.Plan, got.Why), " "), "Nobody was ever seen") && got.Attempts > 0 {
			t.Errorf("%s: %q", name, got.Plan)
		}
	}
	if tried := row(t, r, "tried"); tried.Attempts != 31 || tried.LastAttemptAt == nil || tried.FirstAttemptAt == nil {
		t.Errorf("tried: %+v", tried)
	}
}

// Reading freezes nothing; a month in which nothing was watched is frozen only where somebody says so, and by the
// schedule; an amended one keeps its editions; the next month's says what was overtaken.
func TestFreezingIsAVerb(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.credential("idle", `owner = 'web'`)
	if r := d.october(); !r.Trial || r.Edition != 0 || !strings.HasPrefix(r.Headline(), "Nothing was watched") {
		t.Errorf("read: %+v", r)
	}
	if n := d.count(`SELECT count(*) FROM reports`); n != 0 {
		t.Fatalf("reading froze %d files", n)
	}
	var unwatched *report.UnwatchedError
	if made, err := d.maker.Freeze(t.Context(), october(t), report.Order{}, november); made || !errors.As(err, &unwatched) {
		t.Errorf("an empty month: %v, %v", made, err)
	}
	var not *report.NotFrozenError
	if _, err := d.maker.Amend(t.Context(), october(t), report.Order{}, november); !errors.As(err, &not) {
		t.Errorf("amended before it was frozen: %v", err)
	}
	next := func(time.Time) time.Time { return november.Add(-time.Hour) }
	if _, made, err := d.maker.Due(t.Context(), next, november); !made || err != nil {
		t.Fatalf("the schedule: %v, %v", made, err)
	}
	first := d.october()
	if first.Trial || first.Edition != 1 || !strings.HasPrefix(first.Headline(), "Nothing was watched") {
		t.Errorf("frozen: %+v", first)
	}
	d.feed("p", "2025-10-01", "2026-12-02")
	d.used("idle", "2026-10-20")
	december := november.AddDate(0, 1, 0)
	read := func() report.Report {
		return d.read(func() ([]byte, error) {
			return d.maker.Read(t.Context(), october(t).Add(1), "", 0, report.JSON, december)
		})
	}
	if r := read(); len(r.Overtaken) != 1 || r.Overtaken[0].Month != "2026-10" || r.Overtaken[0].Frozen.NotKnown != 1 ||
		r.Overtaken[0].Now.Used != 1 {
		t.Errorf("overtaken: %+v", r.Overtaken)
	}
	for want := 2; want < 4; want++ {
		edition, err := d.maker.Amend(t.Context(), october(t), report.Order{Actor: "alice", Why: "late logs"}, december)
		if err != nil || edition != want {
			t.Fatal(edition, err)
		}
	}
	if r := d.october(); r.Edition != 3 || r.Summary.Used != 1 {
		t.Errorf("amended: %+v", r)
	}
	old := d.read(func() ([]byte, error) { return d.maker.Read(t.Context(), october(t), "", 1, report.JSON, november) })
	if !reflect.DeepEqual(old, first) {
		t.Errorf("the first edition changed: %+v", old)
	}
	if r := read(); len(r.Overtaken) != 0 {
		t.Errorf("still overtaken: %+v", r.Overtaken)
	}
	if last := d.frozen[len(d.frozen)-1]; last.Edition != 3 || last.Why != "late logs" || last.Actor != "alice" {
		t.Errorf("frozen: %+v", last)
	}
	if _, err := d.maker.Read(t.Context(), october(t), "", 9, report.JSON, november); !errors.As(err, &not) {
		t.Errorf("an edition that there is not: %v", err)
	}
}

// A gap in what the feeds watched makes it not known, and says which feed and since when.
func TestGaps(t *testing.T) {
	t.Parallel()
	for until, want := range map[string]string{
		"2026-10-03": "feed p-log silent since 3 Oct",
		"2026-06-03": "feed p-log has shown nothing in all the time that counts, since 3 Aug 2026",
	} {
		t.Run(until, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			d.feed("p", "2025-10-01", until)
			d.credential("idle")
			d.used("idle", "2026-03-01")
			if got := row(t, d.october(), "idle"); got.Usage != "not_known" || got.CoverageReason != want {
				t.Errorf("%s: %q", got.Usage, got.CoverageReason)
			}
		})
	}
	t.Run("too late", func(t *testing.T) {
		t.Parallel()
		d := newDesk(t)
		d.feed("p", "2026-09-15", "2026-11-02")
		d.credential("idle")
		if got := row(t, d.october(), "idle"); got.CoverageReason != "feed p-log watches only since 15 Sep 2026" {
			t.Errorf("%q", got.CoverageReason)
		}
	})
	t.Run("one of two feeds", func(t *testing.T) {
		t.Parallel()
		d := newDesk(t)
		d.feed("p", "2025-10-01", "2026-11-02")
		d.credential("idle")
		d.exec(`
			INSERT INTO usage_feeds
			SELECT 'second', 'p', type, format, partial, silence, true, first_at, position,
				tstzmultirange(tstzrange('2025-10-01', '2026-10-20'))
			FROM usage_feeds`)
		d.showsClients("second")
		if got := row(t, d.october(), "idle"); got.CoverageReason != "feed second silent since 20 Oct" {
			t.Errorf("%q", got.CoverageReason)
		}
	})
}

// The same month gives the same bytes for ever, whatever becomes of the data; each file's hash is given to
// the record; each owner has an extract.
func TestFrozen(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.feed("p", "2025-10-01", "2026-11-02")
	d.credential("idle", `owner = 'web'`)
	d.credential("other", `owner = 'finance'`)
	if made, err := d.maker.Freeze(t.Context(), october(t), report.Order{Actor: "alice"}, november); err != nil || !made {
		t.Fatal(made, err)
	}
	files := map[report.Format]string{}
	for _, f := range report.Formats() {
		b, err := d.maker.Read(t.Context(), october(t), "", 0, f, november)
		if err != nil {
			t.Fatal(err)
		}
		files[f] = string(b)
	}
	d.used("idle", "2026-10-20")
	d.exec(`UPDATE credentials SET owner = 'nobody'`)
	for _, f := range report.Formats() {
		b, err := d.maker.Read(t.Context(), october(t), "", 0, f, november.AddDate(1, 0, 0))
		if err != nil || string(b) != files[f] {
			t.Errorf("%s changed, error %v", f, err)
		}
	}
	if made, err := d.maker.Freeze(t.Context(), october(t), report.Order{}, november); err != nil || made {
		t.Errorf("it is frozen a second time: %v, %v", made, err)
	}
	if len(d.frozen) != 1 || d.frozen[0].Actor != "alice" || len(d.frozen[0].Sums) != 3 ||
		!slices.Equal(d.frozen[0].Owners, []string{"finance", "web"}) {
		t.Errorf("frozen: %+v", d.frozen)
	}
	web := d.read(func() ([]byte, error) { return d.maker.Read(t.Context(), october(t), "web", 0, report.JSON, november) })
	if len(web.Credentials) != 1 || web.Credentials[0].Credential != "idle" || web.Summary.Registered != 1 || web.Owner != "web" {
		t.Errorf("the extract is %+v", web)
	}
	var unknown *report.OwnerError
	_, err := d.maker.Read(t.Context(), october(t), "nobody", 0, report.JSON, november)
	if !errors.As(err, &unknown) || unknown.Hint() != "one of finance, web" {
		t.Errorf("an owner of later: %v", err)
	}
	if _, err := d.pool.Exec(t.Context(), `UPDATE reports SET content = ''`); err == nil {
		t.Error("the table lets a report be changed")
	}
	var early *report.NotOverError
	if _, err := d.maker.Read(t.Context(), october(t).Add(1), "", 0, report.JSON, november); !errors.As(err, &early) {
		t.Errorf("November in November: %v", err)
	}
}

// A report's period is a closed calendar month in its zone, periods follow each other without a gap, and exactly
// one is made for each, whenever the daemon happens to look (docs/promises.md#every-month-has-one-report).
func TestPeriods(t *testing.T) {
	t.Parallel()
	zones := []string{"UTC", "Europe/Berlin", "America/St_Johns", "Pacific/Apia", "Asia/Kathmandu", "Africa/Cairo", "America/Sao_Paulo"}
	rapid.Check(t, func(t *rapid.T) {
		zone, err := time.LoadLocation(rapid.SampledFrom(zones).Draw(t, "zone"))
		if err != nil {
			t.Fatal(err)
		}
		at := time.Unix(rapid.Int64Range(1.6e9, 2.0e9).Draw(t, "at"), 0)
		m := report.MonthOf(at, zone)
		span := m.Span(zone)
		if at.Before(span.From) || !at.Before(span.To) {
			t.Fatalf("%s is not within %s: %v", at, m, span)
		}
		if next := m.Add(1).Span(zone); !next.From.Equal(span.To) {
			t.Fatalf("%s ends %s, the next begins %s", m, span.To, next.From)
		}
		if y, mo, day := span.From.In(zone).Date(); day != 1 && zone.String() != "Pacific/Apia" || report.MonthOf(span.From, zone) != m {
			t.Fatalf("%s begins %d-%d-%d", m, y, mo, day)
		}
		if back, err := report.ParseMonth(m.String()); err != nil || back != m {
			t.Fatalf("%s reads as %s", m, back)
		}
	})
}

func TestOneReportAPeriod(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.credential("idle")
	schedule, err := credential.ParseSchedule("0 8 31 * *", time.UTC) // a day that not every month has
	if err != nil {
		t.Fatal(err)
	}
	var made []string
	now, end := time.Date(2027, 12, 1, 0, 0, 0, 0, time.UTC), time.Date(2028, 7, 1, 0, 0, 0, 0, time.UTC)
	for ; now.Before(end); now = now.Add(13 * time.Hour) {
		for range 2 {
			m, ok, err := d.maker.Due(t.Context(), schedule.Next, now)
			if err != nil {
				t.Fatal(err)
			}
			if ok {
				made = append(made, m.String())
			}
		}
	}
	// On the 31st of December, January, March and May: those months have one, and tell of the month before.
	if want := []string{"2027-11", "2027-12", "2028-02", "2028-04"}; !slices.Equal(made, want) {
		t.Errorf("made %v, not %v", made, want)
	}
}

// What a spreadsheet would take for a formula is text, and reads back as it was
// (docs/promises.md#a-spreadsheet-reads-no-formula).
func TestNoFormulas(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.credential("a", `owner = '=HYPERLINK("http://evil","x")'`, `description = '+1'`)
	d.credential("b", `owner = '@SUM(1)'`)
	d.credential("c", `owner = '-2+3'`)
	d.credential("d", `owner = E'\t=1'`)
	d.credential("e", `owner = '＝1'`)
	b, err := d.maker.Read(t.Context(), october(t), "", 0, report.CSV, november)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(strings.NewReader(string(b))).ReadAll()
	if err != nil || len(rows) != 6 {
		t.Fatalf("%d rows, error %v", len(rows), err)
	}
	for _, r := range rows[1:] {
		for i, cell := range r {
			if cell != "" && strings.ContainsRune("=+-@\t\r＝", []rune(cell)[0]) {
				t.Errorf("%s: %q begins like a formula", rows[0][i], cell)
			}
		}
		if owner := r[3]; !strings.HasPrefix(owner, "'") {
			t.Errorf("the owner is %q", owner)
		}
	}
}

// What comes from outside is text in the page, and the page loads nothing.
func TestPageIsInert(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.feed("p", "2025-10-01", "2026-11-02")
	d.credential("a", `owner = '<script>alert(1)</script>'`, `description = '"><img src=x onerror=alert(1)>'`)
	d.exec(`
		INSERT INTO usage_unregistered (provider, client_id, events, first_at, last_at, created_by)
		VALUES ('p', '<svg onload=alert(1)>', 1, now(), now(), '</td><script>')`)
	b, err := d.maker.Read(t.Context(), october(t), "", 0, report.HTML, november)
	if err != nil {
		t.Fatal(err)
	}
	page := string(b)
	for _, bad := range []string{"<script", "<img", "onerror=alert(1)>", "<svg onload", "<link", "href=", "url(http"} {
		if strings.Contains(page, bad) {
			t.Errorf("the page has %q", bad)
		}
	}
	for _, want := range []string{
		"&lt;script&gt;alert(1)",
		"&lt;svg onload=alert(1)&gt;",
		"The only credential is not used.",
		"default-src &#39;none&#39;",
	} {
		if !strings.Contains(page, want) && !strings.Contains(page, strings.ReplaceAll(want, "&#39;", "'")) {
			t.Errorf("the page lacks %q", want)
		}
	}
}

// With UPDATE=1 it writes comments.json, of which a binary makes the schema.
func TestComments(t *testing.T) {
	t.Parallel()
	comments.Golden(t, os.Getenv("UPDATE") != "", reflect.TypeFor[report.Report]().PkgPath(), "report.go", "signoff.go")
}

// Each report keeps to the schema that is published, and that is the one of this version.
func TestSchema(t *testing.T) {
	t.Parallel()
	schema, err := report.Schema()
	if err != nil {
		t.Fatal(err)
	}
	const published = "../docs/reference/report.schema.json"
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(published, schema, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if b, err := os.ReadFile(published); err != nil || string(b) != string(schema) {
		t.Errorf("%s is not that of `keyrounds report schema` (UPDATE=1 go test ./report writes it): %v", published, err)
	}
	doc, err := validator.UnmarshalJSON(strings.NewReader(string(schema)))
	if err != nil {
		t.Fatal(err)
	}
	c := validator.NewCompiler()
	if err := c.AddResource("report.json", doc); err != nil {
		t.Fatal(err)
	}
	compiled, err := c.Compile("report.json")
	if err != nil {
		t.Fatal(err)
	}
	d := newDesk(t)
	d.feed("p", "2025-10-01", "2026-11-02")
	d.credential("idle", `owner = 'web'`)
	d.credential("busy")
	d.used("busy", "2026-10-20")
	d.decide("idle", decision.Keep, "2026-12-01", "it is needed")
	b, err := d.maker.Read(t.Context(), october(t), "", 0, report.JSON, november)
	if err != nil {
		t.Fatal(err)
	}
	v, err := validator.UnmarshalJSON(strings.NewReader(string(b)))
	if err == nil {
		err = compiled.Validate(v)
	}
	if err != nil {
		t.Error(err)
	}
}
