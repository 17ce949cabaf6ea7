package app_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyrounds/keyrounds/app"
	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/config"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/postgres/pgtest"
	"github.com/keyrounds/keyrounds/sim"
	"github.com/keyrounds/keyrounds/test/lasting"
)

// counter is two daemons on one database, with a provider and a Slack whose buttons work.
type counter struct {
	*office
	idp   *sim.Provider
	apps  []*app.App
	log   *buffer
	parse func(allow string) *config.Config
}

type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func newCounter(t *testing.T) *counter {
	t.Helper()
	c := &counter{
		office: &office{
			T:     t,
			slack: &sim.Slack{Token: "xoxb-c4n4ry", AppToken: "xapp-c4n4ry", Groups: map[string][]string{"S01": {"U02", "U03"}}},
		},
		log: &buffer{},
	}
	c.idp = sim.NewProvider(sim.Client{ID: "a", Secret: "s3cretvalue"}, sim.Client{ID: "b", Secret: "s3cretvalue"})
	idp, slack := httptest.NewServer(c.idp), httptest.NewServer(c.slack)
	t.Cleanup(idp.Close)
	t.Cleanup(slack.Close)
	dir, database := t.TempDir(), pgtest.Section(t)
	for name, text := range map[string]string{"app": c.slack.AppToken, "slack": c.slack.Token, "secret": "s3cretvalue"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c.parse = func(allow string) *config.Config {
		cfg, err := config.Parse("keyrounds.yaml", fmt.Appendf(nil, `
data_dir: %[1]s
database: %[2]s
listen: 127.0.0.1:0
external_url: https://keyrounds.example
providers: {idp: {token_url: "%[3]s/identity/oauth/token", allow_private_networks: true, rate: 100/s, min_interval: 1s}}
verdict: {confirm: [200ms, 400ms], again: [1s, 2s], refusals_per_hour: 0}
defaults: {schedule: "@every 2s"}
notifications: {group_wait: 0s}
credentials:
  - {name: a, provider: idp, client_id: a, secret: "file:%[1]s/secret", owner: "web <!channel>"}
  - {name: b, provider: idp, client_id: b, secret: "file:%[1]s/secret", owner: hr}
slack: {token: "file:%[1]s/slack", app_token: "file:%[1]s/app", allow: [%[5]s], channel: "#x", api_url: "%[4]s/"}
`, dir, database, idp.URL, slack.URL, allow))
		if err != nil {
			t.Fatal(err)
		}
		return cfg
	}
	for range 2 {
		a, err := app.Open(
			t.Context(),
			app.Options{
				Config:  c.parse("U01, S01"),
				Version: "test",
				Log:     slog.New(slog.NewJSONHandler(c.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
				Daemon:  true,
				Tick:    200 * time.Millisecond,
			},
		)
		if err == nil {
			err = a.Start(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(a.Stop)
		c.apps = append(c.apps, a)
	}
	c.app = c.apps[0]
	c.await("both are connected", func() bool { return c.slack.Connections() == 2 })
	c.await("all work", func() bool {
		list, err := c.app.Audit.Standings(t.Context(), false)
		return err == nil && len(list) == 2 && list[0].Status == "healthy" && list[1].Status == "healthy"
	})
	return c
}

func (c *counter) press(p sim.Press) {
	c.Helper()
	if err := c.slack.Press(p); err != nil {
		c.Fatal(err)
	}
}

// message waits for the only message to hold a text.
func (c *counter) message(part string) sim.SlackMessage {
	c.Helper()
	var m sim.SlackMessage
	c.await("the message says "+part, func() bool {
		ms := c.slack.Messages()
		if len(ms) > 1 {
			c.Fatalf("%d messages", len(ms))
		}
		if len(ms) == 1 {
			m = ms[0]
		}
		return len(ms) == 1 && strings.Contains(m.Text+strings.Join(m.Lines(), "\n"), part)
	})
	return m
}

func (c *counter) told(part string) {
	c.Helper()
	c.await("somebody is told "+part, func() bool {
		return slices.ContainsFunc(c.slack.Said(), func(s string) bool { return strings.Contains(s, part) })
	})
}

func (c *counter) only() finding.Finding {
	c.Helper()
	fs, err := c.app.Audit.Findings(c.Context(), audit.Filter{Resolved: true})
	if err != nil || len(fs) != 1 {
		c.Fatalf("%+v, error %v", fs, err)
	}
	return fs[0]
}

// What is pressed is done once and by the first, whichever replica gets it and however often it is sent; who
// pressed is in the message and in the record; only who is allowed may act
// (docs/promises.md#a-press-is-done-once-and-by-who-may).
func TestButtons(t *testing.T) {
	lasting.Test(t, "it runs a whole daemon for long")
	t.Parallel()
	c := newCounter(t)
	c.idp.Revoke("a")
	m := c.message("is refused")
	if !strings.Contains(string(m.Blocks), "https://keyrounds.example/findings/1") {
		t.Errorf("no link in %s", m.Blocks)
	}

	c.press(sim.Press{User: "U99", Name: "mallory", Message: m, Action: "acknowledge"})
	c.told("You may not do this here")
	if f := c.only(); f.State != finding.Open {
		t.Errorf("somebody else acted: %+v", f)
	}
	c.press(sim.Press{User: "U01", Name: "ann <!channel>", Message: m, Action: "acknowledge", Twice: true})
	m = c.message("Acknowledged by ann")
	if text := strings.Join(m.Lines(), "\n"); strings.Contains(text, "<!channel") {
		t.Errorf("somebody is mentioned: %s", text)
	}
	c.press(sim.Press{User: "U02", Name: "bob", Message: m, Action: "acknowledge"}) // by a user group
	c.told("ann &lt;!channel&gt; (slack U01) looks after it already.")

	c.press(sim.Press{User: "U01", Name: "ann", Message: m, Action: "snooze", Option: "1d"})
	m = c.message("Snoozed until")
	if f := c.only(); time.Until(f.SnoozedUntil).Round(time.Hour) != 24*time.Hour {
		t.Errorf("snoozed until %s", f.SnoozedUntil)
	}

	c.slack.Drop() // and the apps connect again
	c.await("both are connected again", func() bool { return c.slack.Connections() == 2 })
	c.press(sim.Press{User: "U01", Name: "ann", Message: m, Action: "check"})
	c.await("the check is in the thread", func() bool {
		return slices.ContainsFunc(c.slack.Messages()[0].Replies, func(r sim.SlackMessage) bool {
			return strings.HasPrefix(r.Text, "Checked by ann (slack U01): a: rejected, so it is revoked")
		})
	})

	c.press(sim.Press{User: "U03", Name: "cleo", Message: m, Action: "false_alarm"})
	c.await("the form is open", func() bool { return c.slack.Views() == 1 })
	if err := c.slack.Submit("U03", "cleo", "we tried something <!here>"); err != nil {
		t.Fatal(err)
	}
	m = c.message("a false alarm, says cleo (slack U03): we tried something")
	if f := c.only(); f.State != finding.Acknowledged || f.FalseAlarmWhy != "we tried something <!here>" {
		t.Errorf("%+v", f)
	}
	if p, err := c.app.Audit.Precisions(t.Context()); err != nil || fmt.Sprint(p) != "[{idp revoked 1 1}]" {
		t.Errorf("precision %v, error %v", p, err)
	}

	c.idp.Restore("a")
	c.message("RESOLVED")
	c.press(sim.Press{User: "U01", Name: "ann", Message: m, Action: "acknowledge"}) // the button of before
	c.told("It is resolved already.")
	c.press(sim.Press{User: "U01", Name: "ann", Message: m, Action: "acknowledge", Value: "7-7; DROP TABLE findings"})
	c.told("not about a finding of this keyrounds")

	// There is no address that a forged press could be sent to (docs/promises.md#a-press-cannot-be-forged-over-http).
	for _, path := range []string{"/", "/slack/actions", "/slack/events", "/api/v1/findings"} {
		resp, err := http.Post("http://"+c.app.Addr()+path, "application/json", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusNotFound && resp.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("POST %s is %d", path, resp.StatusCode)
		}
	}

	var who []string
	rows, err := c.app.Pool.Query(t.Context(), `SELECT DISTINCT actor || ' ' || action FROM record WHERE actor LIKE '%slack%' ORDER BY 1`)
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		who = append(who, s)
	}
	want := "[ann (slack U01) check.asked ann (slack U01) finding.snoozed " +
		"ann <!channel> (slack U01) finding.acknowledged cleo (slack U03) finding.acknowledged]"
	if got := fmt.Sprint(who); got != want {
		t.Errorf("the record says %s", got)
	}
	if log := c.log.String(); strings.Contains(log, "c4n4ry") || strings.Contains(log, "DATA RACE") {
		t.Errorf("the log:\n%s", log)
	}
}

// /keyrounds answers those who are allowed, and says what it can do.
func TestCommand(t *testing.T) {
	lasting.Test(t, "it runs a whole daemon for long")
	t.Parallel()
	c := newCounter(t)
	for _, k := range []struct{ user, text, want string }{
		{"U99", "status", "You may not do this here"},
		{"U01", "status", "Both credentials work"},
		{"U02", "unused", "0 of 2 credentials are not used. Of 2 it is not known"},
		{"U01", "check b", "Checking b …"},
		{"U01", "check <!channel>", "Checking &lt;!channel&gt; …"},
		{"U01", "check", "`/keyrounds check NAME`"},
		{"U01", "", "`/keyrounds status`"},
		{"U01", "silence b 2h it is moved tonight", "Silence 1: nobody is told of credential b until"},
		{"U01", "silence nobody 2h why", "No credential \"nobody\" is registered."},
		{"U01", "silence b soon why", "`/keyrounds silence NAME 2h WHY`"},
		{"U01", "silences", "1: credential b until"},
		{"U99", "unsilence 1", "You may not do this here"},
		{"U01", "unsilence 1", "Silence 1 of credential b is over."},
		{"U01", "silences", "Nothing is silenced."},
	} {
		got, err := c.slack.Command(k.user, "ann", k.text)
		if err != nil || !strings.Contains(got, k.want) || strings.Contains(got, "<!") {
			t.Errorf("%s: %q, error %v", k.text, got, err)
		}
	}
	c.told("b: ok, so it is healthy.")
	c.told(`No credential "`)
	// A reload changes who may act, at once.
	for _, a := range c.apps {
		if err := a.Reload(t.Context(), c.parse(`"*"`)); err != nil {
			t.Fatal(err)
		}
	}
	c.await("everybody is answered", func() bool {
		got, err := c.slack.Command("U99", "mallory", "status")
		return err == nil && strings.Contains(got, "Both credentials work")
	})
}
