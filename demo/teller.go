package demo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/keyrounds/keyrounds/action"
	"github.com/keyrounds/keyrounds/api"
	"github.com/keyrounds/keyrounds/app"
	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/decision"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/report"
	"github.com/keyrounds/keyrounds/secret"
	"github.com/keyrounds/keyrounds/sim"
	"github.com/keyrounds/keyrounds/usage"
	"github.com/keyrounds/keyrounds/verdict"
)

// maxShown bounds a line of a message, in characters.
const maxShown = 2000

// teller prints what happens in the demo: what the story does to the provider, what keyrounds makes
// of it, and what Slack shows.
type teller struct {
	Options
	out   io.Writer
	app   *app.App
	stage *stage
	began time.Time

	mu              sync.Mutex
	posted, updated int
	was             map[string]verdict.Status
	turns           int
	dir             string
	heard           map[string]bool // what a scene waits for, and whether it was told
}

func newTeller(o Options, a *app.App, s *stage) *teller {
	t := &teller{Options: o, out: o.Out, app: a, stage: s, began: time.Now(), was: map[string]verdict.Status{}, heard: map[string]bool{}}
	s.slack.Told = t.slack
	return t
}

func (t *teller) introduce(dir, link, password string) {
	fmt.Fprintf(t.out, `
keyrounds demo. Real: this daemon, its Postgres, its checks over HTTP, its messages.
Simulated: the provider (a SmartRecruiters on loopback) and Slack; times are seconds instead of minutes.

  pages            http://%[1]s/enter/%[5]s
                   (signs you in once, as ann, an admin; later: name ann, password %[6]s)
  metrics          http://%[1]s/metrics   (with the token in %[4]s/scrape-token; rules and dashboards: deploy/, docs/operations.md)
  Slack            %[2]s/   (messages, threads, buttons that work)
  provider's admin %[3]s/admin   (revoke, restore, cut a scope, break it yourself)
  beside it, try   keyrounds --config %[4]s/config.yaml credentials list
                   … credentials show ats-sync, … findings show 1, … usage list, … usage show offer-letters
                   … leaks status, … leaks list, … usage unregistered, … silence list, … report unused, … report decisions
  feed             %[4]s/gateway.json (thirteen months of a gateway's log, growing)
  log              %[4]s/keyrounds.log

`, t.app.Addr(), t.stage.slackURL, t.stage.providerURL, dir, link, password)
	t.dir = dir
}

// keep has bob decide to keep a credential, as with `keyrounds report decide`.
func (t *teller) keep(name, why string) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	d, err := t.app.Actions.Decide(ctx, "user bob", name, action.Choice{Choice: decision.Keep, Why: why})
	if err != nil {
		t.line("31", "decision", "it could not be made: "+err.Error())
		return
	}
	t.line("35", "decision", name+": "+d.Words())
}

// report makes last month's report, as the daemon does at the beginning of a month.
func (t *teller) report() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	month := report.MonthOf(time.Now(), t.app.Config().Zone).Add(-1)
	_, err := t.app.Reports.Freeze(ctx, month, report.Order{}, time.Now())
	page, readErr := t.app.Reports.Read(ctx, month, "", 0, report.HTML, time.Now())
	path := filepath.Join(t.dir, "unused-credentials-"+month.String()+".html")
	if err = errors.Join(err, readErr, os.WriteFile(path, page, 0o644)); err != nil {
		t.line("31", "report", "it could not be made: "+err.Error())
		return
	}
	t.line("35", "report", "unused credentials of "+month.String()+": file://"+path)
}

// usage tells what the feed shows of the credentials.
func (t *teller) usage(ctx context.Context) {
	cs, err := t.app.Registry.List(ctx, false)
	if err != nil {
		return
	}
	all, err := api.Usages(ctx, t.app.Usage, cs, time.Now())
	if err != nil {
		return
	}
	names := map[string][]string{}
	for _, u := range all {
		if u.Provider == fleetProvider {
			continue
		}
		names[u.Usage] = append(names[u.Usage], u.Credential)
	}
	fmt.Fprintln(t.out, "What the gateway's log says of their use:")
	for _, state := range []usage.State{usage.Used, usage.Unused, usage.NeverUsed, usage.NotKnown} {
		fmt.Fprintf(t.out, "  %-10s %s\n", strings.ReplaceAll(string(state), "_", " "), strings.Join(names[string(state)], ", "))
	}
	if feeds, err := t.app.Usage.Feeds(ctx); err == nil {
		for _, f := range feeds {
			if text := f.Counts.OwnText(); text != "" {
				fmt.Fprintf(t.out, "  feed %s: %s\n", f.Feed, text)
			}
		}
	}
}

// watch prints each change of status.
func (t *teller) watch(ctx context.Context) {
	standings, err := t.app.Audit.Standings(ctx, false)
	if err != nil {
		return // it has not begun yet, or ends
	}
	fresh := 0
	for _, st := range standings {
		if st.Provider == fleetProvider {
			continue
		}
		was, known := t.was[st.Credential]
		t.was[st.Credential] = st.Status
		switch {
		case !known:
			fresh++
		case was != st.Status:
			t.turns++
			t.line(
				colour[st.Status],
				"status",
				fmt.Sprintf("%s: %s → %s (%s)", st.Credential, was, st.Status, cmp.Or(st.Message, "not checked yet")),
			)
		}
	}
	if fresh > 0 {
		verb := "are"
		if fresh == 1 {
			verb = "is"
		}
		t.line("0", "status", finding.Plural(fresh, "credential")+" "+verb+" registered")
	}
}

var colour = map[verdict.Status]string{verdict.Healthy: "32", verdict.Suspect: "33", verdict.Degraded: "33", verdict.Revoked: "31;1"}

func (t *teller) slack(m sim.SlackMessage) {
	if m.Thread != "" {
		t.line(
			"35",
			"slack",
			"reply in the thread of a message: "+secret.Scrubber{}.Clean(
				strings.ReplaceAll(html.UnescapeString(sim.Read(m.Text)), "\n", "; "),
				maxShown,
			),
		)
		return
	}
	t.mu.Lock()
	verb := "posted"
	if m.Updates > 0 {
		verb = "updated in place"
		t.updated++
	} else {
		t.posted++
	}
	t.mu.Unlock()
	var b strings.Builder
	for _, f := range m.Files {
		verb = fmt.Sprintf("got the file %s (%d KiB) in its thread", f.Name, len(f.Content)>>10)
	}
	for _, l := range m.Lines() {
		fmt.Fprintf(&b, "\n         │ %s", secret.Scrubber{}.Clean(html.UnescapeString(sim.Read(strings.ReplaceAll(l, "*", ""))), maxShown))
	}
	t.line("35", "slack", "message "+verb+" in #"+strings.TrimPrefix(m.Channel, "C")+":"+b.String())
}

func (t *teller) line(code, who, text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for what := range t.heard {
		if strings.Contains(text, what) {
			t.heard[what] = true
		}
	}
	fmt.Fprintf(t.out, "[%4.0fs] %s %s\n", time.Since(t.began).Seconds(), t.Paint(code, fmt.Sprintf("%-6s", who)), text)
}

func (t *teller) summarize() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	standings, err := t.app.Audit.Standings(ctx, false)
	if err != nil {
		return
	}
	findings, err := t.app.Audit.Findings(ctx, audit.Filter{Resolved: true})
	if err != nil {
		return
	}
	exchanges := 0
	for _, r := range t.stage.provider.Journal() {
		if strings.HasSuffix(r.Path, "/token") {
			exchanges++
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintf(
		t.out,
		"\nIn %.0f s: %d credentials, %d exchanges, %d changes of status, %d findings, %d Slack messages posted and %d updates of them.\n",
		time.Since(t.began).Seconds(),
		len(standings),
		exchanges,
		t.turns,
		len(findings),
		t.posted,
		t.updated,
	)
	slices.SortFunc(findings, func(a, b finding.Finding) int { return cmp.Compare(a.ID, b.ID) })
	for _, f := range findings {
		state := string(f.State)
		if f.ResolvedWhy != "" {
			state += ": " + f.ResolvedWhy
		}
		fmt.Fprintf(t.out, "  finding %d  %-18s %-16s %s\n", f.ID, f.Kind, f.Subject.Name(), state)
	}
	healthy := 0
	for _, st := range standings {
		if st.Status == verdict.Healthy {
			healthy++
		}
	}
	t.proofs(ctx)
	fmt.Fprintf(t.out, "At the end %d of %d credentials are healthy.\n", healthy, len(standings))
	t.usage(ctx)
}
