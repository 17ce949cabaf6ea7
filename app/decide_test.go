package app_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keyrounds/keyrounds/decision"
	"github.com/keyrounds/keyrounds/report"
	"github.com/keyrounds/keyrounds/sim"
	"github.com/keyrounds/keyrounds/test/lasting"
)

// A button of the report's message decides what becomes of a credential, once it is said why, by name of who pressed; everybody
// sees it in the thread. Only who is allowed may.
func TestDecidingOnSlack(t *testing.T) {
	lasting.Test(t, "it runs a whole daemon for long")
	t.Parallel()
	c := newCounter(t)
	if _, err := c.app.Pool.Exec(t.Context(), `UPDATE credentials SET created_on = '2025-01-01', max_age = '1 day'`); err != nil {
		t.Fatal(err)
	}
	month := report.MonthOf(time.Now(), c.app.Config().Zone).Add(-1)
	if err := c.app.Actions.Freeze(t.Context(), "user ann", month, true); err != nil {
		t.Fatal(err)
	}
	m := c.message("2 undecided, 0 decided.")
	for _, part := range []string{"decide_rotate", "decide_keep", "decide_revoke", `"a 90"`, `"b 30"`} {
		if !strings.Contains(string(m.Blocks), part) {
			t.Errorf("no %s in %s", part, m.Blocks)
		}
	}
	c.press(sim.Press{User: "U99", Name: "mallory", Message: m, Action: "decide_keep"})
	c.told("You may not do this here")
	for _, forged := range []string{"a 0", "a 9000", "a soon"} {
		c.press(sim.Press{User: "U01", Name: "ann", Message: m, Action: "decide_keep", Value: forged})
	}
	c.press(sim.Press{User: "U01", Name: "ann <!channel>", Message: m, Action: "decide_keep", Value: "b 90"})
	c.await("the form is open", func() bool { return c.slack.Views() == 1 })
	if err := c.slack.Submit("U99", "mallory", "let me"); err != nil {
		t.Fatal(err)
	}
	if _, list, err := c.app.Decisions.Page(t.Context(), time.Now(), decision.Filter{}); err != nil || len(list) != 0 {
		t.Fatalf("somebody else decided: %+v, error %v", list, err)
	}
	if err := c.slack.Submit("U01", "ann <!channel>", "it runs at the end of each year"); err != nil {
		t.Fatal(err)
	}
	until := decision.Day(time.Now()).AddDate(0, 0, 90)
	said := "b: kept until " + until.Format("2 Jan 2006") + " by ann &lt;!channel&gt; (slack U01): it runs at the end of each year"
	c.await("it is in the thread", func() bool {
		return slices.ContainsFunc(c.slack.Messages()[0].Replies, func(r sim.SlackMessage) bool { return r.Text == said })
	})
	_, list, err := c.app.Decisions.Page(t.Context(), time.Now(), decision.Filter{})
	if err != nil || len(list) != 1 || list[0].By != "ann <!channel> (slack U01)" || !list[0].Until.Equal(until) {
		t.Errorf("%+v, error %v", list, err)
	}
	c.press(sim.Press{User: "U01", Name: "ann", Message: m, Action: "decide_revoke", Value: "nobody 30"})
	c.await("the form is open again", func() bool { return c.slack.Views() == 2 })
	if err := c.slack.Submit("U01", "ann", "x"); err != nil {
		t.Fatal(err)
	}
	c.told(`No credential "nobody" is registered.`)
	if log := c.log.String(); strings.Contains(log, "c4n4ry") || strings.Contains(log, "panic") {
		t.Errorf("the log:\n%s", log)
	}
	var n int
	err = c.app.Pool.QueryRow(t.Context(), `SELECT count(*) FROM record WHERE action = 'decision.made'`).Scan(&n)
	if err != nil || n != 1 {
		t.Errorf("%d decisions in the record, error %v", n, err)
	}
	if _, err := c.app.Actions.Amend(t.Context(), "user ann", month, "b is decided"); err != nil {
		t.Fatal(err)
	}
	c.await("the next edition says what is decided", func() bool {
		ms := c.slack.Messages()
		if len(ms) < 2 {
			return false
		}
		text, decided := strings.Join(ms[1].Lines(), "\n"), "• DECIDED: b,"+strings.TrimPrefix(said, "b:")
		return strings.Contains(text, "1 undecided, 1 decided.") &&
			strings.Contains(text, decided) &&
			strings.Contains(string(ms[1].Blocks), `"a 90"`) && !strings.Contains(string(ms[1].Blocks), `"b 90"`)
	})
}
