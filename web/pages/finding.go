package pages

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/keyrounds/keyrounds/access"
	"github.com/keyrounds/keyrounds/action"
	"github.com/keyrounds/keyrounds/api"
	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/notify"
	"github.com/keyrounds/keyrounds/verdict"
)

// findingPage is GET /findings/{id}, which messages lead to: also when it is over.
type findingPage struct {
	Frame
	ID           int64
	Heading      string
	Effect       string
	Over         string // how it ended; "": it has not
	Mark         Mark
	Strip        []stripItem
	Acts         bool // something can be done about it, by whoever asks
	Acknowledged bool
	Snoozed      bool
	Steps        []string
	Console      string
	Guide        string
	Evidence     []notify.Fact
	Places       []placeRow
	Uses         []useRow
	Deaths       []deathRow
	Judged       *judged // nil: nobody asked
	Judgeable    string  // why it cannot be judged again; "": it can
	Story        []storyLine
	MoreStory    int
	Comments     bool
	Facts        []ownFact
	Credential   string
}

// stripItem is a fact that people compare first.
type stripItem struct {
	Label, Text, Below string
	Mark               Mark // instead of Text
	At                 Moment
	URL                string // that Text leads to
}

// placeRow is where something of a secret was seen.
type placeRow struct {
	What, How, Place, Below, Still string
	At                             Moment
	Public                         bool
}

// useRow is what one network did with a credential.
type useRow struct {
	Network, Agent string
	Uses, Failures string
	Known          bool
	Last           Moment
}

// deathRow is the proof that a secret works no more.
type deathRow struct {
	At                                 Moment
	Which, Answer, Control, Token, Log string
}

// judged is what it comes to if what a finding rests on is judged again.
type judged struct {
	Sentence string
	Steps    []judgedStep
	Left     int // steps before those
}

type judgedStep struct {
	At                              Moment
	Credential, Outcome, HTTP, Rule string
	Then, Again                     Mark
	Differs                         bool
	Opened                          string
}

// storyLine is what happened to a finding, or who was told of it.
type storyLine struct {
	Class, Icon string
	Who, What   string
	Below       string
	At          Moment

	at time.Time
}

func (p *Pages) finding(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err == nil {
		err = p.maySee(r, id)
	} else {
		err = finding.ErrNotFound
	}
	var f finding.Finding
	if err == nil {
		f, err = p.Audit.Finding(r.Context(), id)
	}
	if err == nil {
		f, err = p.About(r.Context(), f)
	}
	if errors.Is(err, finding.ErrNotFound) {
		p.noFinding(w, r)
		return
	}
	if err != nil {
		p.fail(w, r, err)
		return
	}
	page := findingPage{Frame: p.Frame(w, r, f.Headline(), "findings")}
	page.Live = true
	p.fillFinding(&page, f)
	if err = page.err; err == nil {
		err = p.fillFindingStory(r.Context(), &page, f)
	}
	if err == nil && r.URL.Query().Get("judge") != "" && page.Judgeable == "" {
		page.Judged, err = p.judgeAgain(r.Context(), page.Frame, f)
	}
	if err != nil {
		p.fail(w, r, err)
		return
	}
	p.Show(w, r, http.StatusOK, "finding", page)
}

// local writes the times of a text in the reader's zone.
func (f Frame) local(text string) string {
	return notify.Localize(text, func(t time.Time) string { return t.In(f.zone()).Format(notify.TimeLayout) })
}

func (p *Pages) fillFinding(page *findingPage, f finding.Finding) {
	words := notify.Describe(f)
	page.ID, page.Heading, page.Effect, page.Credential = f.ID, f.Headline(), words.Effect, f.Subject.Credential
	page.Mark, page.Guide, page.Console = severityMark(f.Severity), words.Guide, webLink(f.About.Console)
	page.Acknowledged, page.Snoozed = f.State == finding.Acknowledged, f.State == finding.Snoozed
	page.Comments = page.May("respond")
	page.Acts = page.Comments && f.State != finding.Resolved
	page.Judgeable = api.WhyNotJudged(f)
	if f.State == finding.Resolved {
		page.Mark, page.Acts = Mark{"ok", "resolved", "Resolved"}, false
		page.Over = "It is over since "
		if f.Withdrawn {
			page.Over = "It was withdrawn at "
		}
		page.Over += f.ResolvedAt.In(page.zone()).Format(notify.TimeLayout) + ": " + cmp.Or(f.ResolvedWhy, "it holds no more") + "."
	}
	for _, s := range words.Steps {
		page.Steps = append(page.Steps, page.local(s))
	}
	for _, e := range notify.Evidence(f) {
		if e.Label != "Used for" && e.Label != "Labels" {
			page.Evidence = append(page.Evidence, notify.Fact{Label: e.Label, Text: page.local(e.Text)})
		}
	}
	page.Strip = findingStrip(page.Frame, f)
	page.fillSeen(f)
	entry := f.Kind.Of()
	page.Facts = []ownFact{{Label: "Kind", Text: kindWord(f.Kind)}, {Label: "Means", Text: entry.Means}}
	for _, fact := range []ownFact{
		{Label: "Used for", Text: f.About.Description}, {Label: "Owner", Text: words.Owner}, {Label: "Provider", Text: f.Subject.Provider},
	} {
		if fact.Text != "" {
			page.Facts = append(page.Facts, fact)
		}
	}
	page.Facts = append(page.Facts, ownFact{Label: "Command", Text: fmt.Sprintf("keyrounds findings show %d", f.ID)})
}

// webLink is an address that a person may follow; "": it is none.
func webLink(text string) string {
	if u, err := url.Parse(text); err != nil || u.Scheme != "https" && u.Scheme != "http" {
		return ""
	}
	return text
}

func findingStrip(f Frame, fi finding.Finding) (items []stripItem) {
	state := stripItem{Label: "State", Mark: severityMark(fi.Severity), Below: string(fi.State)}
	if fi.State == finding.Resolved {
		state.Mark, state.Below = Mark{"ok", "resolved", "Resolved"}, "was "+strings.ToLower(severityMark(fi.Severity).Word)
	}
	items = append(items, state)
	if fi.State == finding.Resolved {
		items = append(items, stripItem{
			Label: "Lasted", Text: finding.Span(fi.ResolvedAt.Sub(fi.Began())), Below: "began " + f.At(fi.Began()).Text,
		})
	} else {
		items = append(items, stripItem{Label: "Opened", At: f.When(fi.OpenedAt), Below: "began " + f.At(fi.Began()).Text})
	}
	has := stripItem{Label: "Who has it", Text: "nobody yet"}
	switch {
	case fi.FalseAlarmBy != "":
		has.Label, has.Text, has.Below = "False alarm", "says "+short(fi.FalseAlarmBy), fi.FalseAlarmWhy
	case fi.State == finding.Snoozed:
		has.Label, has.Text = "Put aside", "until "+f.At(fi.SnoozedUntil).Text
	case fi.AssignedTo != "":
		has.Text, has.Below = short(fi.AssignedTo), "assigned"
		if fi.State == finding.Acknowledged {
			has.Below = "assigned; acknowledged by " + short(fi.AcknowledgedBy)
		}
	case fi.State == finding.Acknowledged:
		has.Text, has.Below = short(fi.AcknowledgedBy), "since "+f.At(fi.AcknowledgedAt).Text
	case fi.State == finding.Resolved:
		has.Text = "nobody has to"
	}
	items = append(items, has)
	switch {
	case fi.Subject.Credential != "":
		items = append(items, stripItem{
			Label: "Credential", Text: fi.Subject.Credential, URL: credentialPath(fi.Subject.Credential),
			Below: cmp.Or(fi.About.Owner, "nobody owns it"),
		})
	case fi.Subject.Provider != "":
		item := stripItem{Label: "Provider", Text: fi.Subject.Provider}
		if f.Who.Role != access.Owner {
			item.URL = "/providers/" + url.PathEscape(fi.Subject.Provider)
		}
		items = append(items, item)
	default:
		items = append(items, stripItem{Label: "About", Text: "keyrounds itself"})
	}
	return items
}

const mostEvidence = 30 // rows of a table

// fillSeen fills in what a finding has as tables: places, uses, proofs.
func (page *findingPage) fillSeen(f finding.Finding) {
	for _, u := range f.Evidence.Uses {
		page.Uses = append(page.Uses, useRow{
			cmp.Or(u.Address, u.Network), u.UserAgent, number(int(u.Uses)), number(int(u.Failures)), u.Known, page.When(u.Last),
		})
	}
	l := f.Evidence.Leak
	if l == nil {
		return
	}
	for _, s := range l.Sightings[:min(len(l.Sightings), mostEvidence)] {
		page.Places = append(page.Places, placeOf(page.Frame, s))
	}
	for _, d := range l.Deaths {
		page.Deaths = append(page.Deaths, deathOf(page.Frame, d))
	}
}

func placeOf(f Frame, s finding.Sighting) placeRow {
	row := placeRow{
		What: strings.ReplaceAll(s.What, "_", " "), How: s.How, Place: cmp.Or(s.Path, s.Source), At: f.When(cmp.Or(s.At, s.Seen)),
		Public: s.Public,
	}
	if s.Line > 0 && s.Path != "" {
		row.Place += ":" + strconv.Itoa(s.Line)
	}
	if s.Path != "" {
		row.Below = s.Source
	}
	if s.Commit != "" {
		row.Below = strings.TrimPrefix(row.Below+", commit "+s.Commit[:min(len(s.Commit), 12)], ", ")
	}
	if s.Encoding != "" {
		row.How += ", " + s.Encoding
	}
	if s.InHead != nil {
		row.Still = "no, only in history"
		if *s.InHead {
			row.Still = "yes, still there"
		}
	}
	return row
}

func deathOf(f Frame, d finding.Death) deathRow {
	row := deathRow{At: f.When(d.At), Which: d.Which(), Control: d.Control, Token: d.Token}
	row.Answer = fmt.Sprintf("refused %d times: %s", len(d.Refused), cmp.Or(d.ErrorCode, d.Reason, d.Outcome))
	if d.Status > 0 {
		row.Answer += fmt.Sprintf(", HTTP %d", d.Status)
	}
	if !d.LogAt.IsZero() {
		row.Log = "revoked " + f.At(d.LogAt).Text + " by " + cmp.Or(d.LogBy, "somebody") + ", says " + d.LogFeed
	}
	return row
}

// mostStory lines of what happened are shown, the newest first.
const mostStory = 40

// fillFindingStory fills in what happened to a finding, and who was told of it where.
func (p *Pages) fillFindingStory(ctx context.Context, page *findingPage, f finding.Finding) error {
	total, entries, err := p.Audit.Timeline(ctx, f, 0, 500)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Action, "notification.") {
			continue // the messages below say that, as they stand
		}
		page.Story = append(page.Story, storyLineOf(page.Frame, f, e))
	}
	if p.Notifier != nil {
		_, told, err := p.Notifier.PageOfDeliveries(ctx, notify.DeliveryPage{Findings: []int64{f.ID}, Limit: mostStory})
		if err != nil {
			return err
		}
		for _, d := range told {
			page.Story = append(page.Story, toldLine(page.Frame, d))
		}
	}
	slices.SortStableFunc(page.Story, func(a, b storyLine) int { return b.at.Compare(a.at) })
	if left := len(page.Story) - mostStory; left > 0 {
		page.Story, page.MoreStory = page.Story[:mostStory], left
	}
	page.MoreStory += max(0, total-len(entries))
	return nil
}

// storyWords say what happened to a finding, after who did it.
var storyWords = map[string]string{
	"finding.opened": "Found", "finding.changed": "More is known", "finding.reopened": "Open again", "finding.resolved": "Over",
	"finding.withdrawn": "Withdrawn", "finding.acknowledged": "acknowledged it", "finding.snoozed": "put it aside",
	"finding.assigned": "assigned it", "finding.commented": "commented",
}

func storyLineOf(f Frame, fi finding.Finding, e audit.Entry) storyLine {
	h := HappeningOf(f, e)
	line := storyLine{h.Class, h.Icon, h.Who, h.What, f.local(h.Below), h.At, e.At}
	if words, ok := storyWords[e.Action]; ok {
		line.What = words
	}
	var detail struct {
		FalseAlarm string `json:"false_alarm"`
	}
	_ = json.Unmarshal(e.Detail, &detail) // of some entries it has other things
	opened := e.Action == "finding.opened" || e.Action == "finding.reopened"
	switch {
	case e.Action == "finding.changed" && h.Who != "":
		line.What = "brought more evidence"
	case opened && h.Who != "":
		line.What, line.Class, line.Icon = "gave it back", "", "person"
	case opened:
		m := severityMark(fi.Severity)
		line.Class, line.Icon = m.Class, m.Icon
	case detail.FalseAlarm != "" && h.Who != "":
		line.What, line.Below = "said that it is a false alarm", detail.FalseAlarm
	}
	return line
}

// toldLine is a message as it stands with its receiver.
func toldLine(f Frame, d notify.Delivery) storyLine {
	where := d.Receiver
	if d.Channel != "" {
		where += " " + d.Channel
	}
	line := storyLine{Icon: "bell", Who: where, at: d.At, At: f.When(d.At)}
	switch d.State {
	case "sent":
		line.What, line.at = "was told", d.Posted
		if d.Posted.IsZero() {
			line.at = d.At
		}
		line.At = f.When(line.at)
		if d.Updated.After(d.Posted.Add(time.Second)) {
			line.Below = "brought up to date " + f.At(d.Updated).Text
		}
	case "given_up":
		line.Class, line.What, line.Below = "less", "was not told: given up", d.Error
	case "failing":
		line.Class, line.What, line.Below = "less", fmt.Sprintf("does not take it, tried %d times", d.Tries), d.Error
	default:
		line.What, line.Below = "is told later", d.Waits
		line.at = f.Now
		line.At = f.When(d.At)
	}
	return line
}

// mostSteps of what is judged again are shown, the last.
const mostSteps = 30

func (p *Pages) judgeAgain(ctx context.Context, f Frame, fi finding.Finding) (*judged, error) {
	story, err := p.Audit.Story(ctx, fi)
	if err != nil {
		return nil, err
	}
	if len(story.Results) == 0 {
		return &judged{Sentence: "The results that it rests on are no longer stored."}, nil
	}
	steps, again := api.JudgeAgain(fi, story, p.Config().Policy)
	j := &judged{Sentence: "Judged again by the rules in force now, it is opened as well."}
	if !again {
		j.Sentence = "Judged again by the rules in force now, it is not opened: the rules changed since, " +
			"or its evidence is no longer whole."
	}
	if j.Left = max(0, len(steps)-mostSteps); j.Left > 0 {
		steps = steps[j.Left:]
	}
	for _, s := range steps {
		step := judgedStep{
			At: f.At(s.At), Credential: s.Credential, Outcome: strings.ReplaceAll(s.Outcome, "_", " "), Rule: s.Rule,
			Then: statusMark(verdict.Status(s.Then)), Again: statusMark(verdict.Status(s.Replayed)), Differs: s.Then != s.Replayed,
			Opened: strings.ReplaceAll(strings.Join(s.Findings, ", "), "_", " "),
		}
		if s.Reason != "" {
			step.Outcome += ", " + strings.ReplaceAll(s.Reason, "_", " ")
		}
		if s.HTTPStatus > 0 {
			step.HTTP = strconv.Itoa(s.HTTPStatus)
		}
		if s.ErrorCode != "" {
			step.HTTP = strings.TrimSpace(step.HTTP + " " + s.ErrorCode)
		}
		j.Steps = append(j.Steps, step)
	}
	return j, nil
}

// comment is POST /findings/{id}/comment.
func (p *Pages) comment(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil || !p.parse(w, r) || p.maySee(r, id) != nil {
		p.noFinding(w, r)
		return
	}
	back := fmt.Sprintf("/findings/%d", id)
	_, err = p.Actions.Respond(r.Context(), visit(r).Name, id, action.Response{Do: action.Comment, Text: r.PostFormValue("comment")})
	if err != nil {
		p.refused(w, r, back, err)
		return
	}
	p.done(w, r, back+"#story", "Your comment is in its story.")
}
