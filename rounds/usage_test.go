package rounds

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/postgres/pgtest"
	"github.com/keyrounds/keyrounds/sim"
	"github.com/keyrounds/keyrounds/test/lasting"
	"github.com/keyrounds/keyrounds/usage"
	"github.com/keyrounds/keyrounds/usage/feed"
	"github.com/keyrounds/keyrounds/verdict"
)

// calendar is a house whose days pass as the test wants.
type calendar struct {
	*house
	rounds *Rounds
	now    time.Time
}

// newCalendar has the credentials registered since begin.
func newCalendar(t *testing.T, credentials int, begin time.Time, change func(*checker.Provider)) *calendar {
	c := &calendar{house: newHouse(t, credentials, change), now: begin}
	for m := begin; m.Before(time.Now()); m = m.AddDate(0, 1, 0) {
		if err := audit.EnsurePartitions(t.Context(), pgtest.Owner(t, c.pool), m, 0); err != nil {
			t.Fatal(err)
		}
	}
	_, err := c.pool.Exec(t.Context(), `
		UPDATE credentials SET registered_at = $1, changed_at = $1, unused_after = '90 days'`, begin)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.pool.Exec(t.Context(), `UPDATE credential_state SET since = $1, changed_at = $1`, begin); err != nil {
		t.Fatal(err)
	}
	clock := func() time.Time { return c.now }
	c.rounds = c.replica(c.pool)
	c.rounds.Now, c.rounds.Checker = clock, checker.New(checker.Options{Now: clock})
	return c
}

// feed makes a feed known since now.
func (c *calendar) feed(f feed.Feed) feed.Feed {
	c.t.Helper()
	if f.Silence == 0 {
		f.Silence = feed.DefaultSilence
	}
	if f.Format.Name == "" {
		var err error
		if f.Format, err = feed.NewFormat("plain", ""); err != nil {
			c.t.Fatal(err)
		}
	}
	register := func(tx pgx.Tx) error { return c.rounds.Usage.Register(c.t.Context(), tx, f, c.now) }
	if err := pgx.BeginFunc(c.t.Context(), c.pool, register); err != nil {
		c.t.Fatal(err)
	}
	return f
}

// bring takes in lines as a push does.
func (c *calendar) bring(f feed.Feed, lines ...any) usage.Ingested {
	c.t.Helper()
	var b strings.Builder
	for _, l := range lines {
		text, err := json.Marshal(l)
		if err != nil {
			c.t.Fatal(err)
		}
		b.Write(append(text, '\n'))
	}
	news, err := c.rounds.IngestUsage(c.t.Context(), f, usage.Push{ID: uuid.NewString(), Body: []byte(b.String())})
	if err != nil {
		c.t.Fatal(err)
	}
	return news
}

func (c *calendar) check() {
	c.t.Helper()
	creds, err := c.rounds.Registry.List(c.t.Context(), false)
	if err != nil {
		c.t.Fatal(err)
	}
	if err := c.rounds.CheckNow(c.t.Context(), creds, func([]Judged) {}); err != nil {
		c.t.Fatal(err)
	}
}

func (c *calendar) credential(name string) credential.Credential {
	c.t.Helper()
	cred, err := c.rounds.Registry.Get(c.t.Context(), name)
	if err != nil {
		c.t.Fatal(err)
	}
	return cred
}

func (c *calendar) answer(name string) usage.Answer {
	c.t.Helper()
	cred := c.credential(name)
	book, err := c.rounds.Usage.Open(c.t.Context(), c.pool, []credential.Credential{cred})
	if err != nil {
		c.t.Fatal(err)
	}
	return book.Assess(cred, c.now)
}

func (c *calendar) findings(kind finding.Kind) []finding.Finding {
	c.t.Helper()
	fs, err := c.rounds.Audit.Findings(c.t.Context(), audit.Filter{Kind: kind, Resolved: true})
	if err != nil {
		c.t.Fatal(err)
	}
	return fs
}

func (c *calendar) judge() {
	c.t.Helper()
	if err := c.rounds.JudgeUsage(c.t.Context()); err != nil {
		c.t.Fatal(err)
	}
}

// The styles of a source: what its records tell of a request.
var styles = map[string]struct {
	line  func(r sim.Request, at time.Time) map[string]any
	rule  usage.Result
	feed  func(*feed.Feed)
	every time.Duration // between checks
}{
	"a gateway with user agents": {func(r sim.Request, at time.Time) map[string]any {
		return map[string]any{"client_id": r.ClientID, "at": at, "source_ip": "198.51.100.9", "user_agent": r.UserAgent}
	}, usage.ResultOwnNonce, nil, 6 * time.Hour},
	"an identity provider with the token's jti": {func(r sim.Request, at time.Time) map[string]any {
		return map[string]any{"client_id": r.ClientID, "at": at, "token_id": r.TokenID, "source_ip": "198.51.100.9", "kind": "exchange"}
	}, usage.ResultOwnToken, nil, 6 * time.Hour},
	"a log with addresses only": {func(r sim.Request, at time.Time) map[string]any {
		return map[string]any{"client_id": r.ClientID, "at": at, "source_ip": r.Address, "kind": "exchange"}
	}, usage.ResultOwnAddress, nil, 6 * time.Hour},
	"a log with times only": {func(r sim.Request, at time.Time) map[string]any {
		return map[string]any{"client_id": r.ClientID, "at": at}
	}, usage.ResultOwnTime, nil, 6 * time.Hour},
}

// DESIGN §6: keyrounds is the only user for 120 days. Whatever the feed tells of its records, the
// credential is unused, each event is taken out by the rule that fits, and one real use is still seen.
func TestOurOwnUseIsNoUse(t *testing.T) {
	lasting.Test(t, "it lives 120 days in four styles")
	t.Parallel()
	for name, style := range styles {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begin := time.Now().UTC().AddDate(0, 0, -121).Truncate(24 * time.Hour)
			c := newCalendar(t, 1, begin, nil)
			c.idp.JWT = true
			f := c.feed(feed.Feed{Name: "gateway", Provider: "idp", Type: feed.TypePush})
			c.now = begin.Add(time.Hour)
			c.bring(f, map[string]any{"client_id": "id-c0000", "at": c.now, "source_ip": "203.0.113.7", "user_agent": "job/1"})
			seen, taken := 0, int64(0)
			for c.now = begin.Add(2 * time.Hour); c.now.Before(begin.AddDate(0, 0, 120)); c.now = c.now.Add(style.every) {
				c.check()
				var lines []any
				for _, r := range c.idp.Journal()[seen:] {
					seen++
					lines = append(lines, style.line(r, c.now.Add(time.Second)))
				}
				taken += c.bring(f, lines...).Counts[style.rule]
			}
			if seen < 400 || taken != int64(seen) {
				t.Errorf("%d of %d requests of ours were taken out as %s", taken, seen, style.rule)
			}
			c.judge()
			a := c.answer("c0000")
			if a.State != usage.Unused || a.DaysIdle < 118 || !a.OnlyOwn {
				t.Errorf("the answer is %s (%s), last use %s, only ours %t", a.State, a.Reason, a.LastUse, a.OnlyOwn)
			}
			fs := c.findings(finding.Unused)
			if len(fs) != 1 || fs[0].State != finding.Open || fs[0].Evidence.DaysUnused != a.DaysIdle ||
				!strings.Contains(fs[0].Evidence.Coverage, "90 of 90 days") {
				t.Errorf("findings: %+v", fs)
			}
			// A job of our own machine, at a minute when we check as well, is seen all the same.
			c.check()
			at := c.now.Add(time.Second)
			journal := c.idp.Journal()
			c.bring(f, style.line(journal[len(journal)-1], at))
			job := map[string]any{"client_id": "id-c0000", "at": at, "source_ip": "127.0.0.1", "user_agent": "job/1"}
			if style.rule == usage.ResultOwnAddress || style.rule == usage.ResultOwnTime { // it cannot be told by how it looks
				job = style.line(journal[len(journal)-1], at)
			}
			c.bring(f, job)
			c.now = c.now.Add(time.Minute)
			if a := c.answer("c0000"); a.State != usage.Used || !a.LastUse.Equal(at) {
				t.Errorf("after a real use the answer is %s, last use %s", a.State, a.LastUse)
			}
			if fs := c.findings(finding.Unused); len(fs) != 1 || fs[0].State != finding.Resolved {
				t.Errorf("a use ends the finding by itself: %+v", fs)
			}
		})
	}
}

// A source that gives only a last-used time: where it is polled more often than we check, our own use
// is told from others'; where our checks come after everything, nothing is known, and that is said.
func TestLastUsedTimes(t *testing.T) {
	lasting.Test(t, "it lives 120 days four times")
	t.Parallel()
	for name, k := range map[string]struct {
		check, poll time.Duration
		use         time.Duration // after the beginning; 0: none
		want        usage.State
	}{
		"checked daily, polled hourly":        {24 * time.Hour, time.Hour, 0, usage.NeverUsed},
		"checked as often as polled":          {2 * time.Hour, time.Hour, 0, usage.NotKnown},
		"used once, long ago":                 {24 * time.Hour, time.Hour, 50 * time.Hour, usage.Unused},
		"used lately, and checked after that": {24 * time.Hour, time.Hour, 100 * 24 * time.Hour, usage.Used},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begin := time.Now().UTC().AddDate(0, 0, -121).Truncate(24 * time.Hour)
			c := newCalendar(t, 1, begin, nil)
			last := time.Time{}
			api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				list := []any{}
				if !last.IsZero() {
					list = append(
						list,
						map[string]any{
							"appId": "id-c0000",
							"applicationAuthenticationClientSignInActivity": map[string]any{
								"lastSignInDateTime": last.Format(time.RFC3339),
							},
						},
					)
				}
				_ = json.NewEncoder(w).Encode(map[string]any{"value": list})
			}))
			t.Cleanup(api.Close)
			f := c.polled("entra-activity", api.URL)
			for c.now = begin; c.now.Before(begin.AddDate(0, 0, 120)); c.now = c.now.Add(k.poll) {
				since := c.now.Sub(begin)
				if k.use > 0 && since <= k.use && k.use < since+k.poll {
					last = begin.Add(k.use)
				}
				if since%k.check == k.check/2 {
					at := c.now
					c.note(at)
					last = at.Add(2 * time.Second)
				}
				if _, err := c.rounds.pollOnce(t.Context(), f, time.Now().Add(time.Minute)); err != nil {
					t.Fatal(err)
				}
			}
			a := c.answer("c0000")
			if a.State != k.want || k.want == usage.NotKnown && !strings.Contains(a.Reason, "hide") {
				t.Errorf(
					"the answer is %s (%s), last use %s, not %s; hidden %d s",
					a.State,
					a.Reason,
					a.LastUse,
					k.want,
					c.count(`SELECT sum(hidden_s) FROM usage_months`),
				)
			}
			if k.want == usage.NeverUsed && !a.OnlyOwn {
				t.Error("it does not say that only we used it")
			}
		})
	}
}

// note puts a check into the ledger without making it.
func (c *calendar) note(at time.Time) {
	c.t.Helper()
	cred := c.credential("c0000")
	r := c.rounds.Checker.Fail(checker.Provider{Name: "idp"}, []checker.Target{{Credential: cred}}, context.Canceled)[0]
	r.At, r.Outcome, r.Trail = at, checker.OK, checker.Trail{Requests: 1, Took: 3 * time.Second}
	err := pgx.BeginFunc(c.t.Context(), c.pool, func(tx pgx.Tx) error {
		return c.rounds.Audit.Record(
			c.t.Context(),
			tx,
			[]checker.Result{r},
			[]verdict.State{
				{CredentialID: cred.ID, Credential: cred.Name, Provider: "idp", Status: verdict.Healthy, Since: at, Changed: at},
			},
		)
	})
	if err != nil {
		c.t.Fatal(err)
	}
}

// polled is a feed that asks a log API at base, as a preset has it.
func (c *calendar) polled(preset, base string) feed.Feed {
	c.t.Helper()
	p, err := feed.FindPreset(preset)
	if err != nil {
		c.t.Fatal(err)
	}
	spec := *p.Poll
	spec.Lag.Duration = 0
	f := feed.Feed{Name: preset, Provider: "idp", Type: preset}
	if f.Format, err = feed.NewFormat(preset, ""); err != nil {
		c.t.Fatal(err)
	}
	if f.Poll, err = feed.NewPoll(spec, base, time.Hour); err != nil {
		c.t.Fatal(err)
	}
	return c.feed(f)
}

// An event of a check that a feed shows before the check's result is stored is ours all the same: it was
// written down before it was made. It also is after a crash, when no result ever comes.
func TestACheckUnderWayIsOurs(t *testing.T) {
	t.Parallel()
	begin := time.Now().UTC().Truncate(time.Second)
	c := newCalendar(t, 1, begin.AddDate(0, 0, -1), nil)
	c.exec(`UPDATE credentials SET canary = true`)
	c.now = begin
	f := c.feed(feed.Feed{Name: "gateway", Provider: "idp", Type: feed.TypePush})
	targets, err := c.rounds.intend(t.Context(), Order{Purpose: scheduled, Credentials: []credential.Credential{c.credential("c0000")}})
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []map[string]any{
		{
			"client_id":  "id-c0000",
			"at":         begin.Add(time.Second),
			"source_ip":  "198.51.100.9",
			"user_agent": "keyrounds/1 (+x) check/" + checker.Nonce(targets[0].ID),
		},
		{"client_id": "id-c0000", "at": begin.Add(2 * time.Second)},
	} {
		if news := c.bring(f, line); news.Counts.Own() != 1 {
			t.Errorf("%v was read as %v", line, news.Counts)
		}
	}
	if fs := c.findings(finding.CanaryTripped); len(fs) != 0 {
		t.Errorf("our own check tripped the canary: %+v", fs)
	}
	for i, line := range []map[string]any{
		{ // another installation's
			"client_id":  "id-c0000",
			"at":         begin.Add(time.Second),
			"user_agent": "keyrounds/1 (+x) check/0123456789abcdef",
		},
		{"client_id": "id-c0000", "at": begin.Add(time.Hour)},
		{"client_id": "id-c0000", "at": begin.Add(time.Second), "source_ip": "203.0.113.7"},
	} {
		c.now = begin.Add(time.Hour)
		if news := c.bring(f, line); news.Counts[usage.ResultUse] != 1 {
			t.Errorf("line %d was read as %v", i, news.Counts)
		}
	}
	if fs := c.findings(finding.CanaryTripped); len(fs) != 1 || fs[0].Severity != finding.Critical || len(fs[0].Evidence.Uses) != 2 {
		t.Errorf("others tripped the canary: %+v", fs)
	}
}

// A refusal and the provider's own word that the credential was revoked are certain at once, and the
// finding says who did it; a revocation that names no credential is told beside the refusal, and hurries nothing.
func TestTheProvidersOwnLogCorroborates(t *testing.T) {
	t.Parallel()
	begin := time.Now().UTC().Truncate(time.Second)
	c := newCalendar(t, 5, begin.AddDate(0, 0, -2), nil)
	c.now = begin
	c.check()
	f := c.feed(feed.Feed{Name: "okta-prod", Provider: "idp", Type: feed.TypePush})
	c.idp.Revoke("id-c0000")
	c.now = begin.Add(time.Minute)
	c.bring(
		f,
		map[string]any{"kind": "revoked", "event_id": "e1", "client_id": "id-c0000", "at": c.now, "actor": "alice@example.com\u202e"},
	)
	if due := c.credential("c0000").NextCheck; due.After(c.now) {
		t.Errorf("it is due only at %s", due)
	}
	c.now = c.now.Add(time.Second)
	c.check()
	fs := c.findings(finding.Revoked)
	if len(fs) != 1 || fs[0].Evidence.RevokedBy != "alice@example.com" || fs[0].Evidence.RevokedFeed != "okta-prod" ||
		!fs[0].Evidence.Certain {
		t.Fatalf("findings: %+v", fs)
	}
	c.idp.Revoke("id-c0001")
	c.bring(f, map[string]any{"kind": "revoked", "event_id": "e2", "at": c.now, "actor": "bob@example.com"})
	c.now = c.now.Add(time.Minute)
	c.check()
	if fs := c.findings(finding.Revoked); len(fs) != 1 {
		t.Fatalf("a revocation that names nobody hurried: %+v", fs)
	}
	for range 3 {
		c.now = c.now.Add(6 * time.Minute)
		c.check()
	}
	fs = c.findings(finding.Revoked)
	if len(fs) != 2 || !fs[0].Evidence.RevokedOne || fs[0].Evidence.RevokedBy != "bob@example.com" {
		t.Errorf("findings: %+v", fs)
	}
}

// What a use means: by whom, from where, of what.
func TestAlarms(t *testing.T) {
	lasting.Test(t, "it lives 60 days")
	t.Parallel()
	begin := time.Now().UTC().AddDate(0, 0, -60).Truncate(24 * time.Hour)
	c := newCalendar(t, 4, begin, nil)
	c.exec(`UPDATE credentials SET expected_networks = '{10.20.0.0/16}' WHERE name = 'c0001'`)
	f := c.feed(feed.Feed{Name: "gateway", Provider: "idp", Type: feed.TypePush})
	use := func(client, ip string, ok bool) {
		c.bring(f, map[string]any{"client_id": "id-" + client, "at": c.now, "source_ip": ip, "user_agent": "job/1", "ok": ok})
	}
	for c.now = begin; c.now.Before(begin.AddDate(0, 0, 45)); c.now = c.now.AddDate(0, 0, 1) {
		use("c0000", "203.0.113.7", true)
		use("c0001", "10.20.1.1", true)
		use("c0002", fmt.Sprintf("198.51.%d.1", c.now.YearDay()%100), true) // at home everywhere
	}
	if fs := c.findings(""); len(fs) != 0 {
		t.Fatalf("a stable history opens nothing: %+v", fs)
	}
	use("c0000", "192.0.2.66", false) // a client id is no secret: a refusal from elsewhere says nothing
	use("c0000", "203.0.113.200", true)
	use("c0002", "192.0.2.66", true)
	use("c0001", "10.21.1.1", false)
	if fs := c.findings(""); len(fs) != 0 {
		t.Fatalf("none of that is unexpected: %+v", fs)
	}
	use("c0000", "192.0.2.66", true)
	use("c0001", "10.21.1.1", true)
	fs := c.findings(finding.UnexpectedUse)
	if len(fs) != 2 {
		t.Fatalf("findings: %+v", fs)
	}
	// The same again is no news; it is kept all the same.
	before := len(c.told.messages())
	use("c0000", "192.0.2.67", true)
	if fs := c.findings(finding.UnexpectedUse); len(fs) != 2 || len(c.told.messages()) != before {
		t.Errorf("findings: %+v", fs)
	}
	c.exec(`UPDATE credentials SET expected_networks = '{10.20.0.0/15}' WHERE name = 'c0001'`)
	c.judge()
	for _, f := range c.findings(finding.UnexpectedUse) {
		if resolved := f.State == finding.Resolved; resolved != (f.Subject.Credential == "c0001") {
			t.Errorf("%s is %s: %s", f.Subject.Credential, f.State, f.ResolvedWhy)
		}
	}

	// Ended: a known network is a forgotten job, told after a day; another one is told at once.
	c.exec(
		`UPDATE credential_state SET status = 'revoked', since = '` + c.now.Format(
			time.RFC3339,
		) + `' WHERE credential IN ('c0001', 'c0002')`,
	)
	c.now = c.now.Add(time.Hour)
	use("c0001", "10.20.1.1", false)
	if fs := c.findings(finding.UsedAfterRevocation); len(fs) != 0 {
		t.Fatalf("the job that broke is told of already: %+v", fs)
	}
	use("c0001", "192.0.2.99", false)
	c.now = c.now.AddDate(0, 0, 2)
	use("c0002", fmt.Sprintf("198.51.%d.1", begin.AddDate(0, 0, 44).YearDay()%100), false)
	fs = c.findings(finding.UsedAfterRevocation)
	if len(fs) != 2 || fs[1].Subject.Credential != "c0001" || fs[1].Evidence.Uses[0].Known || !fs[0].Evidence.Uses[0].Known {
		t.Errorf("findings: %+v", fs)
	}
	// Also long after: the network that used it before it ended is known.
	c.now = c.now.AddDate(0, 0, 40)
	use("c0001", "10.20.1.1", false)
	if fs := c.findings(finding.UsedAfterRevocation); len(fs[1].Evidence.Uses) != 2 || !fs[1].Evidence.Uses[0].Known {
		t.Errorf("uses: %+v", fs[1].Evidence.Uses)
	}
	// Retired: it left the registry, and nobody is alarmed; under a new name it goes on.
	c.exec(`UPDATE credentials SET retired_at = '` + c.now.Format(time.RFC3339) + `' WHERE name = 'c0003'`)
	use("c0003", "192.0.2.99", true)
	c.exec(`
		INSERT INTO credentials (name, provider, client_id, secret_ref, schedule, unused_after, source,
			registered_at, changed_at, next_check_at)
		VALUES ('renamed', 'idp', 'id-c0003', 'env:X', '@daily', '90 days', 'file', now(), now(), now())`)
	use("c0003", "192.0.2.99", true)
	if n := c.count(`SELECT count(*) FROM usage_days u JOIN credentials c ON c.id = u.credential_id WHERE c.name = 'renamed'`); n != 1 {
		t.Errorf("%d rows under the new name", n)
	}
	if n := c.count(`SELECT sum(uses)::int FROM usage_days u JOIN credentials c ON c.id = u.credential_id WHERE c.name = 'c0003'`); n != 1 {
		t.Errorf("%d uses under the old name", n)
	}
	if fs := c.findings(finding.UsedAfterRevocation); len(fs) != 2 {
		t.Errorf("findings: %+v", fs)
	}
	c.now = c.now.AddDate(0, 0, 8)
	c.judge()
	for _, f := range c.findings(finding.UsedAfterRevocation) {
		if f.State != finding.Resolved {
			t.Errorf("nobody tried for 8 days, and %s is %s", f.Subject.Credential, f.State)
		}
	}
}

// What holds of credentials by themselves is found once, and ends when it does not hold any more.
func TestStandingFindings(t *testing.T) {
	lasting.Test(t, "it lives 99 days")
	t.Parallel()
	begin := time.Now().UTC().AddDate(0, 0, -100).Truncate(24 * time.Hour)
	c := newCalendar(t, 5, begin, nil)
	c.exec(`UPDATE credentials SET owner = 'web', scopes = '{a,b}', created_on = '2024-01-01'`)
	c.exec(`UPDATE credentials SET owner = '' WHERE name = 'c0000'`)
	c.exec(`UPDATE credentials SET max_age = '365 days' WHERE name = 'c0001'`)
	c.exec(`UPDATE credentials SET canary = true WHERE name = 'c0004'`)
	gateway := c.feed(feed.Feed{Name: "gateway", Provider: "idp", Type: feed.TypePush})
	idp := c.feed(feed.Feed{Name: "idp-log", Provider: "idp", Type: feed.TypePush})
	for c.now = begin.Add(time.Hour); c.now.Before(begin.AddDate(0, 0, 99)); c.now = c.now.Add(24 * time.Hour) {
		line := func(client, kind string, scopes ...string) map[string]any {
			return map[string]any{
				"client_id":  "id-" + client,
				"at":         c.now,
				"kind":       kind,
				"scopes":     scopes,
				"source_ip":  "203.0.113.7",
				"user_agent": "job/1",
			}
		}
		c.bring(gateway, line("c0000", "request", "a", "b"), line("c0001", "request", "a", "b"), line("c0002", "request", "a"))
		c.bring(idp, line("c0000", "exchange"), line("c0003", "exchange"))
	}
	c.judge()
	c.judge()
	want := map[finding.Kind]string{
		finding.Orphaned:     "c0000",
		finding.StaleSecret:  "c0001",
		finding.UnusedScopes: "c0002",
		finding.Unpresented:  "c0003",
	}
	fs := c.findings("")
	for _, f := range fs {
		if want[f.Kind] != f.Subject.Credential || f.State != finding.Open {
			t.Errorf("%s of %s is %s", f.Kind, f.Subject.Credential, f.State)
		}
		if f.Kind == finding.UnusedScopes && fmt.Sprint(f.Evidence.UnusedScopes) != "[b]" {
			t.Errorf("unused scopes: %v", f.Evidence.UnusedScopes)
		}
	}
	if len(fs) != len(want) {
		t.Errorf("%d findings of %d", len(fs), len(want))
	}
	c.exec(`UPDATE credentials SET owner = 'web', max_age = '0', scopes = '{a}'`)
	c.bring(gateway, map[string]any{"client_id": "id-c0003", "at": c.now})
	c.judge()
	for _, f := range c.findings("") {
		if f.State != finding.Resolved || f.ResolvedWhy == "" {
			t.Errorf("%s of %s is %s: %s", f.Kind, f.Subject.Credential, f.State, f.ResolvedWhy)
		}
	}
	// What is older than the retention goes, but for what tells "long ago" from "never".
	if err := c.rounds.Usage.Forget(t.Context(), c.now, c.now.AddDate(0, 0, -30)); err != nil {
		t.Fatal(err)
	}
	if n := c.count(`SELECT count(*) FROM usage_days WHERE day < '` + c.now.AddDate(0, 0, -31).Format(time.DateOnly) + `'`); n != 0 {
		t.Errorf("%d old rows stay", n)
	}
	if n := c.count(`SELECT count(DISTINCT month) FROM usage_months`); n < 4 {
		t.Errorf("only %d months stay", n)
	}
}
