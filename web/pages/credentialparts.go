package pages

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/leak"
	"github.com/keyrounds/keyrounds/notify"
	"github.com/keyrounds/keyrounds/secret"
	"github.com/keyrounds/keyrounds/usage"
	"github.com/keyrounds/keyrounds/verdict"
)

// provider is one of the configuration; the zero Provider, with its name, where it is in it no more.
func (p *Pages) provider(name string) checker.Provider {
	if p.Config != nil {
		if known, ok := p.Config().Providers[name]; ok {
			return known
		}
	}
	return checker.Provider{Name: name}
}

// outcomeMark is the mark of a check.
func outcomeMark(o checker.Outcome, s verdict.Status) Mark {
	word := strings.ReplaceAll(string(o), "_", " ")
	switch o {
	case checker.OK:
		return Mark{"ok", "healthy", word}
	case checker.ScopeReduced, checker.ScopeDenied, checker.GrantDenied:
		return Mark{"less", "degraded", word}
	case checker.Rejected:
		if s == verdict.Revoked {
			return Mark{"bad", "revoked", word}
		}
		return Mark{"sus", "suspect", word}
	}
	return Mark{"info", "low", word}
}

// expected says whether a network is one of those that use is expected from.
func expected(c credential.Credential, network string) string {
	n, err := netip.ParsePrefix(network)
	if err != nil {
		return ""
	}
	if slices.ContainsFunc(c.ExpectedNetworks, func(e netip.Prefix) bool { return e.Bits() <= n.Bits() && e.Contains(n.Addr()) }) {
		return "expected"
	}
	return "not expected"
}

func (p *Pages) fillDays(ctx context.Context, page *credentialPage, st audit.Standing) error {
	days, err := p.Audit.Days(ctx, page.C.ID, page.Now.AddDate(0, 0, -ninety), page.Now.AddDate(0, 0, 1), ninety+1)
	if err != nil {
		return err
	}
	page.Days = ninetyDays("90 days of "+page.C.Name, days, st, page.Now)
	var n, ok, rejected, uncertain int
	for _, d := range days {
		n, ok, rejected, uncertain = n+d.Checks, ok+d.OK, rejected+d.Rejected, uncertain+d.Uncertain
	}
	switch {
	case n == 0:
		page.DayWords = "counted for the first time tonight"
	default:
		page.DayWords = count(n, "check") + "; " + percent(ok, n) + " worked"
		if rejected > 0 {
			page.DayWords += ", " + number(rejected) + " " + pick(rejected, "was", "were") + " refused"
		}
		if uncertain > 0 {
			page.DayWords += ", " + number(uncertain) + " failed because of the provider or the way to it"
		}
	}
	phases, err := p.Audit.Phases(ctx, page.C.ID, page.Now.AddDate(0, 0, -7), 200)
	page.Latency = newLatency(phases)
	return err
}

// latency is a week of exchanges by phase, as static/charts.js draws it.
type latency struct {
	Data  string // JSON: seconds since 1970, then milliseconds by phase, and of 95 of 100
	Words string
	Label string
}

func newLatency(hours []audit.Phases) (l latency) {
	if len(hours) < 2 { // a line has two points
		return l
	}
	columns := make([][]float64, 6)
	var whole, worst time.Duration
	n := 0
	for _, h := range hours {
		ms := func(d time.Duration) float64 { return float64(d.Microseconds()/10) / 100 }
		rest := max(0, h.Whole-h.DNS-h.Connect-h.TLS)
		for i, v := range []float64{float64(h.At.Unix()), ms(h.DNS), ms(h.Connect), ms(h.TLS), ms(rest), ms(h.P95)} {
			columns[i] = append(columns[i], v)
		}
		whole, n, worst = whole+h.Whole*time.Duration(h.N), n+h.N, max(worst, h.P95)
	}
	b, err := json.Marshal(columns)
	if err != nil {
		return l
	}
	l.Data = string(b)
	l.Words = fmt.Sprintf("%s on average; 95 of 100 within %s", millis(whole/time.Duration(n)), millis(worst))
	l.Label = "Latency by phase in 7 days: " + l.Words
	return l
}

// fillStrip fills in what people compare first.
func (page *credentialPage) fillStrip(st audit.Standing, of checker.Kind) {
	c, f := page.C, page.Frame
	next := stripFact{Label: "Next check", At: f.When(c.NextCheck), Below: c.NextWhy}
	switch {
	case page.Retired:
		next = stripFact{Label: "Retired", At: f.When(c.Retired)}
	case !c.NextCheck.After(f.Now):
		next.At, next.Text = Moment{}, "now"
	}
	if next.Below == "" && !st.LastCheck.IsZero() && !page.Retired {
		next.Below = "last " + distance(f.Now, st.LastCheck)
	}
	last := stripFact{Label: "Last token", At: f.When(st.LastSuccess)}
	if of == checker.APIKey {
		last.Label = "Last worked"
	}
	switch {
	case st.LastSuccess.IsZero():
		last.Text = "never"
	case st.Outcome == checker.OK: // else the time is that of another answer
		last.Below = millis(st.Latency)
	}
	use := stripFact{Label: "Next expected use", At: f.When(page.Use.Rhythm.Next), Below: page.Use.Rhythm.String()}
	if page.Use.Rhythm.Next.IsZero() {
		use = stripFact{Label: "Use by others", Text: page.UseMark.Word}
		if !page.Use.LastUse.IsZero() {
			use.Below = "last " + distance(f.Now, page.Use.LastUse)
		}
	}
	if !page.Use.Rhythm.Next.IsZero() && page.Use.Rhythm.Next.Before(f.Now) {
		use.Label = "Use was expected"
	}
	since := usage.SecretSince(c)
	sec := stripFact{Label: "Secret", Text: "age not known"}
	if !since.IsZero() {
		sec.Text = age(f.Now.Sub(since)) + " old"
		sec.Below = "since " + f.Day(since).Text
		if c.MaxAge > 0 {
			sec.Below, sec.Due = "allowed: "+age(c.MaxAge), f.Now.Sub(since) > c.MaxAge
		}
	}
	if end := c.End(st.Ends); !end.IsZero() {
		sec.Below, sec.Due = "ends "+f.Day(end.At).Text, end.At.Sub(f.Now) < 30*24*time.Hour
	}
	owner := stripFact{Label: "Owner", Text: "nobody", Below: labelsOf(c)}
	if c.Owner != "" {
		owner.Text = c.Owner
	}
	page.Strip = []stripFact{next, last, use, sec, owner}
}

func labelsOf(c credential.Credential) string {
	var all []string
	for name, value := range c.Labels {
		all = append(all, name+"="+value)
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// fillSecret fills in how the credential is registered. The secret is not in it.
func (page *credentialPage) fillSecret(st audit.Standing) {
	c, f := page.C, page.Frame
	add := func(d detail) {
		if d.Text != "" || d.Code != "" || d.At.ISO != "" {
			page.Secret = append(page.Secret, d)
		}
	}
	kept := detail{Label: "Kept", Text: "sealed in the database"}
	if c.Secret.ReachesHost() {
		kept = detail{Label: "Kept", Code: c.Secret.String()}
		if c.Secret.Scheme() == secret.SchemeExec { // a command may hold anything
			kept = detail{Label: "Kept", Text: "read by a command"}
		}
	}
	add(kept)
	if end := c.End(st.Ends); !end.IsZero() {
		add(detail{Label: "Ends", At: f.Day(end.At), Text: end.By.Words()})
	}
	add(detail{Label: "Client id", Code: c.Subject})
	add(detail{Label: "Key id", Code: c.KeyID})
	add(detail{Label: "Schedule", Code: c.Schedule})
	add(detail{Label: "Unused after", Text: credential.FormatDuration(c.UnusedAfter)})
	var networks []string
	for _, n := range c.ExpectedNetworks {
		networks = append(networks, n.String())
	}
	add(detail{Label: "Expected from", Code: strings.Join(networks, ", ")})
	if c.Canary {
		add(detail{Label: "Canary", Text: "nobody may ever use it"})
	}
	add(detail{Label: "Registered", At: f.Day(c.Registered), Text: map[bool]string{
		true: "in the configuration file", false: "by a command or the pages",
	}[page.InFile]})
}

// leaks is what is known of its secrets that got out.
type leaks struct {
	Sightings []sightingRow
	Secrets   []secretRow
}

type sightingRow struct {
	finding.Sighting
	Moment Moment
}

type secretRow struct {
	Which string
	State string
	Mark  Mark
	Proof *proof
}

// proof is that a secret works no more.
type proof struct {
	At                     Moment
	Which, Answer, Control string
	Token, Log             string
}

func (p *Pages) fillLeaks(ctx context.Context, page *credentialPage) error {
	if p.Leaks == nil {
		return nil
	}
	found, err := p.Leaks.Evidence(ctx, page.C.ID, 10)
	if err != nil {
		return err
	}
	for _, e := range found {
		page.Sightings = append(page.Sightings, sightingRow{e.Sighting, page.When(e.Seen)})
	}
	secrets, err := p.Leaks.Secrets(ctx, page.C.ID)
	if err != nil {
		return err
	}
	deaths, err := p.Leaks.Deaths(ctx, page.C.ID)
	for _, s := range secrets {
		if row, ok := secretRowOf(page.Frame, s, deaths); ok {
			page.Secrets = append(page.Secrets, row)
		}
	}
	return err
}

// secretRowOf tells of a secret that got out or was replaced; false: it is neither.
func secretRowOf(f Frame, s leak.SecretRow, deaths map[int64]finding.Death) (row secretRow, ok bool) {
	if !s.Leaked && s.Replaced.IsZero() {
		return row, false
	}
	row = secretRow{Which: "The present secret", Mark: Mark{"sus", "suspect", "Not tried yet"}}
	if !s.Replaced.IsZero() {
		row.Which = "The secret that was replaced " + f.When(s.Replaced).Text
	}
	if s.Leaked {
		row.State = "It got out. "
	}
	switch {
	case !s.Dead.IsZero():
		row.Mark = Mark{"ok", "resolved", "Proven dead"}
	case s.GivenUp():
		row.Mark = Mark{"", "unknown", "Never worked"}
	case s.Works != nil && *s.Works:
		row.Mark = Mark{"bad", "critical", "Still works"}
		row.State += "Seen " + f.When(s.WorksAt).Text + "."
	case s.Works != nil:
		row.Mark = Mark{"less", "warning", "Refused, not proven yet"}
	}
	if d, is := deaths[s.ID]; is {
		row.Proof = &proof{
			At: f.When(d.At), Which: d.Which(), Control: d.Control, Token: d.Token,
			Answer: fmt.Sprintf("refused %s: HTTP %d %s", finding.Plural(len(d.Refused), "time"), d.Status, d.ErrorCode),
		}
		if !d.LogAt.IsZero() {
			row.Proof.Log = strings.TrimSpace("revoked " + f.At(d.LogAt).Text + " " + d.LogBy + " (feed " + d.LogFeed + ")")
		}
	}
	return row, true
}

// fillStory fills in what happened, who was told of it, and what was decided.
func (p *Pages) fillStory(ctx context.Context, page *credentialPage, found []finding.Finding) error {
	entries, err := p.Audit.Log(ctx, audit.Record{Subject: finding.Subject{Credential: page.C.Name}.Key(), Limit: 15})
	if err != nil {
		return err
	}
	for _, e := range entries {
		if page.May("administer") || isForAll(e.Action) {
			page.Told = append(page.Told, HappeningOf(page.Frame, e))
		}
	}
	if p.Decisions != nil {
		decided, err := p.Decisions.Of(ctx, p.Usage.Pool, page.Now, []int64{page.C.ID})
		if err != nil {
			return err
		}
		if d, ok := decided[page.C.ID]; ok {
			page.Decision, page.DecidedMoment, page.UntilMoment = &d, page.When(d.At), page.Day(d.Until)
		}
	}
	if p.Notifier == nil || len(found) == 0 {
		return nil
	}
	q := notify.DeliveryPage{Limit: 6}
	for _, fi := range found {
		q.Findings = append(q.Findings, fi.ID)
	}
	_, list, err := p.Notifier.PageOfDeliveries(ctx, q)
	for _, d := range list {
		page.Deliveries = append(page.Deliveries, deliveryRow{d, page.When(d.At)})
	}
	return err
}
