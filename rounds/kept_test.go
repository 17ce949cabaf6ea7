package rounds

import (
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/decision"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/usage"
	"github.com/keyrounds/keyrounds/usage/feed"
)

// What somebody keeps is not told as unused, also where that is found only then; when its day has come it is told again, with who
// kept it. To decide that it is to be revoked ends no finding (docs/promises.md#what-is-kept-comes-back).
func TestWhatIsKeptComesBack(t *testing.T) {
	t.Parallel()
	begin := time.Now().UTC().AddDate(0, 0, -121).Truncate(24 * time.Hour)
	c := newCalendar(t, 2, begin, nil)
	c.rounds.Decisions = decision.NewStore(c.pool)
	decide := func(name string, choice decision.Choice, until time.Time) {
		t.Helper()
		err := pgx.BeginFunc(t.Context(), c.pool, func(tx pgx.Tx) error {
			return c.rounds.Decisions.Set(t.Context(), tx, c.credential(name).ID, decision.Decision{
				Credential: name, Choice: choice, Until: until, Why: "seasonal", By: "user ann", At: c.now,
			})
		})
		if err != nil {
			t.Fatal(err)
		}
		c.judge()
	}
	open := func() string {
		t.Helper()
		var names []string
		for _, f := range c.findings(finding.NeverUsed) {
			if f.State == finding.Open {
				names = append(names, f.Subject.Credential)
			}
		}
		return strings.Join(names, " ")
	}
	f := c.feed(feed.Feed{Name: "gateway", Provider: "idp", Type: feed.TypePush})
	for day := range 125 {
		c.now = begin.AddDate(0, 0, day).Add(time.Hour)
		c.bring(f, map[string]any{"client_id": "other", "at": c.now, "source_ip": "203.0.113.7"})
	}
	until := decision.Day(c.now).AddDate(0, 0, 30)
	decide("c0000", decision.Keep, until) // before it was ever found
	if got := open(); got != "c0001" {
		t.Fatalf("one of them is kept, and open are %q (%s)", got, c.answer("c0000").Reason)
	}
	decide("c0001", decision.Revoke, until)
	if got := open(); got != "c0001" {
		t.Errorf("it is to be revoked, and open are %q", got)
	}
	decide("c0001", decision.Keep, until)
	if got := open(); got != "" {
		t.Errorf("both are kept, and open are %q", got)
	}
	if fs := c.findings(finding.NeverUsed); len(fs) != 1 || fs[0].ResolvedWhy != "user ann keeps it until "+until.Format("2 Jan 2006") {
		t.Errorf("findings: %+v", fs)
	}
	if a := c.answer("c0001"); a.State != usage.NeverUsed {
		t.Errorf("the answer is %s", a.State)
	}
	for day := 125; c.now.Before(until); day++ {
		c.now = begin.AddDate(0, 0, day).Add(time.Hour)
		c.bring(f, map[string]any{"client_id": "other", "at": c.now, "source_ip": "203.0.113.7"})
	}
	c.judge()
	fs := c.findings(finding.NeverUsed)
	again, why := 0, "; user ann kept it until "+until.Format("2 Jan 2006")+", which is over"
	for _, f := range fs {
		if f.State == finding.Open && strings.Contains(f.Evidence.Message, why) {
			again++
		}
	}
	if again != 2 {
		t.Errorf("%d of 2 came back: %+v", again, fs)
	}
}
