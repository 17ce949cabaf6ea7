package pages

import (
	"cmp"
	"context"
	"net/http"
	"strconv"
	"strings"

	"github.com/keyrounds/keyrounds/config"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/notify"
)

// settingsPage is GET /settings: who is told, what is silenced, and the configuration as it was read.
type settingsPage struct {
	Frame
	Receivers []receiverRow
	Kinds     []choice
	Silences  []silenceRow
	Ended     []silenceRow
	MoreEnded bool
	Providers []string
	Times     []choice
	Config    []configPart // none: whoever asks may not see it
	Warnings  []string
}

// receiverRow is a way to people.
type receiverRow struct {
	Name, Channel string
	Mark          Mark
	Below         string
	At            Moment
	Test          bool // a sample can be sent, by whoever asks
}

type silenceRow struct {
	ID                 int64
	What, Why, By, End string
	Until, Made        Moment
}

// configPart is a part of the configuration as it was read.
type configPart struct {
	Name  string
	Facts []ownFact
}

const mostSilences = 20

func (p *Pages) settings(w http.ResponseWriter, r *http.Request) {
	page := settingsPage{Frame: p.Frame(w, r, "Settings", "settings"), Times: silenceTimes}
	page.Live = true
	if err := p.fillSettings(r.Context(), &page); err != nil {
		p.fail(w, r, err)
		return
	}
	p.Show(w, r, http.StatusOK, "settings", page)
}

func (p *Pages) fillSettings(ctx context.Context, page *settingsPage) error {
	for _, k := range finding.Kinds() {
		page.Kinds = append(page.Kinds, choice{string(k), kindWord(k)})
	}
	lanes, err := p.Notifier.Lanes(ctx)
	if err != nil {
		return err
	}
	tested := map[string]bool{}
	for _, l := range lanes {
		row := receiverRow{Name: l.Receiver, Channel: l.Channel, Mark: Mark{"ok", "healthy", "Works"}, Below: "nothing waits"}
		if l.Waiting > 0 {
			row.Below = count(l.Waiting, "message") + " " + pick(l.Waiting, "waits, since", "wait, the oldest since")
			row.At = page.When(l.Oldest)
		}
		if !l.FailingSince.IsZero() {
			row.Mark = Mark{"less", "warning", "Fails"}
			row.Below, row.At = count(l.Waiting, "message")+" wait; it fails since", page.When(l.FailingSince)
		}
		row.Test, tested[l.Receiver] = page.May("administer") && !tested[l.Receiver], true
		page.Receivers = append(page.Receivers, row)
	}
	holding, err := p.Notifier.Silences(ctx, false)
	if err != nil {
		return err
	}
	for _, s := range holding[:min(len(holding), onePage)] {
		page.Silences = append(page.Silences, silenceRowOf(page.Frame, s))
	}
	_, all, err := p.Notifier.PageOfSilences(ctx, notify.SilencePage{All: true, Limit: mostSilences + len(holding)})
	if err != nil {
		return err
	}
	for _, s := range all {
		if !s.Holds(page.Now) && len(page.Ended) < mostSilences {
			page.Ended = append(page.Ended, silenceRowOf(page.Frame, s))
		}
	}
	page.Providers = sortedProviders(page.Frame)
	page.Providers = page.Providers[:min(len(page.Providers), onePage)]
	if page.May("administer") {
		page.Config = configParts(p.Config())
		for _, w := range p.Config().Warnings {
			page.Warnings = append(page.Warnings, w.InShort())
		}
	}
	return nil
}

func silenceRowOf(f Frame, s notify.Silence) silenceRow {
	row := silenceRow{ID: s.ID, What: s.What(), Why: s.Why, By: short(s.MadeBy), Until: f.When(s.Until), Made: f.When(s.MadeAt)}
	if s.EndedAt != nil {
		row.End, row.Until = "ended by "+short(s.EndedBy), f.When(*s.EndedAt)
	}
	return row
}

// silenceTimes are for how long something can be silenced.
var silenceTimes = []choice{{"1h", "1 hour"}, {"4h", "4 hours"}, {"1d", "1 day"}, {"7d", "1 week"}, {"30d", "30 days"}, {"90d", "90 days"}}

// addSilence is POST /silences.
func (p *Pages) addSilence(w http.ResponseWriter, r *http.Request) {
	if !p.parse(w, r) {
		return
	}
	const back = "/settings#silences"
	s := notify.Silence{
		Credential: strings.TrimSpace(r.PostFormValue("credential")), Provider: r.PostFormValue("provider"),
		Why: strings.TrimSpace(r.PostFormValue("why")),
	}
	long, err := credential.ParseDuration(r.PostFormValue("for"))
	switch {
	case err != nil || long <= 0:
		p.notDone(w, r, back, "Choose for how long.")
		return
	case s.Credential == "" && s.Provider == "":
		p.notDone(w, r, back, "Name a credential, or choose a provider.")
		return
	}
	s.Until = p.Now().Add(long)
	made, err := p.Actions.Silence(r.Context(), visit(r).Name, s)
	if err != nil {
		p.refused(w, r, back, err)
		return
	}
	p.doneBut(w, r, back, Done{
		Text: "Nobody is told of " + made.What() + " until " + s.Until.In(zoneOf(r)).Format(notify.TimeLayout) + ".",
		Undo: "/silences/" + strconv.FormatInt(made.ID, 10) + "/end",
	})
}

// endSilence is POST /silences/{id}/end.
func (p *Pages) endSilence(w http.ResponseWriter, r *http.Request) {
	if !p.parse(w, r) {
		return
	}
	const back = "/settings#silences"
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		p.notDone(w, r, back, "There is no such silence.")
		return
	}
	s, err := p.Actions.EndSilence(r.Context(), visit(r).Name, id)
	if err != nil {
		p.refused(w, r, back, err)
		return
	}
	p.done(w, r, back, "The silence of "+s.What()+" is over: what it held back is told within a minute.")
}

// testReceiver is POST /receivers/{name}/test: it sends a sample, whose title says TEST.
func (p *Pages) testReceiver(w http.ResponseWriter, r *http.Request) {
	if !p.parse(w, r) {
		return
	}
	const back = "/settings#receivers"
	name, kind := r.PathValue("name"), cmp.Or(finding.Kind(r.PostFormValue("kind")), finding.Revoked)
	lanes, err := p.Notifier.Lanes(r.Context())
	if err != nil {
		p.fail(w, r, err)
		return
	}
	if !hasLane(lanes, name) || !knownKind(kind) {
		p.notDone(w, r, back, "There is no such receiver, or no such sample.")
		return
	}
	err = p.Audit.Note(r.Context(), visit(r).Name, "receiver.tested", "receiver/"+name, map[string]any{"kind": kind})
	if err != nil {
		p.fail(w, r, err)
		return
	}
	sent, _, err := p.Notifier.Test(r.Context(), kind, name)
	if err != nil || len(sent) == 0 {
		p.Log.Warn("a receiver did not take a sample", "receiver", name, "error", err)
		p.notDone(w, r, back, name+" did not take the sample. The log of the daemon says why.")
		return
	}
	text := name + " has the sample"
	if sent[0].Where != "" {
		text += ", in " + sent[0].Where
	}
	p.done(w, r, back, text+".")
}

func hasLane(lanes []notify.LaneState, name string) bool {
	for _, l := range lanes {
		if l.Receiver == name {
			return true
		}
	}
	return false
}

func knownKind(k finding.Kind) bool {
	for _, known := range finding.Kinds() {
		if known == k {
			return true
		}
	}
	return false
}

// configParts say what the configuration came to, as far as it holds no secret: references are named, addresses of receivers left out.
func configParts(c *config.Config) []configPart {
	given := func(s string) string { return cmp.Or(s, "not set") }
	database := "private, in the data directory"
	if !c.Database.Ref.IsZero() {
		database = c.Database.Ref.String()
	} else if c.Database.Literal != "" {
		database = "given in the file"
	}
	var proxies, feeds, sources []string
	for _, t := range c.TrustedProxies {
		proxies = append(proxies, t.String())
	}
	for _, f := range c.Feeds {
		feeds = append(feeds, f.Name)
	}
	for _, s := range c.Leaks.Sources {
		sources = append(sources, s.Name)
	}
	people := "nobody signs in"
	if c.Access.People {
		people = "with a password here"
	}
	for _, i := range c.Access.Issuers {
		people += ", or by " + cmp.Or(i.Title, i.Name)
	}
	list := func(names []string) string { return given(strings.Join(names, ", ")) }
	return []configPart{
		{"Where it runs", []ownFact{
			{Label: "Data directory", Text: c.DataDir},
			{Label: "Database", Text: database},
			{Label: "Listens on", Text: c.Listen},
			{Label: "People reach it at", Text: given(c.ExternalURL)},
			{Label: "Other names", Text: list(c.Hosts)},
			{Label: "Trusted proxies", Text: list(proxies)},
			{Label: "People sign in", Text: people},
			{Label: "Log", Text: c.LogLevel.String()},
			{Label: "Zone of schedules", Text: c.Zone.String()},
		}},
		{"What it does", []ownFact{
			{Label: "Checks", Text: given(c.Defaults.Schedule)},
			{Label: "Unused after", Text: credential.FormatDuration(c.Defaults.UnusedAfter)},
			{Label: "Monthly report", Text: given(c.Reports.Unused)},
			{Label: "Digest", Text: given(c.Digest)},
			{Label: "Checks are kept", Text: keptWords(c.Keep)},
			{Label: "Feeds", Text: list(feeds)},
			{Label: "Leaks are sought in", Text: list(sources)},
			{Label: "Receivers", Text: list(c.ReceiverNames())},
		}},
	}
}

func keptWords(months int) string {
	if months <= 0 {
		return "for ever"
	}
	return "for " + count(months, "month")
}
