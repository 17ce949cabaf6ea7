package pages

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/keyrounds/keyrounds/access"
	"github.com/keyrounds/keyrounds/action"
	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/finding"
)

// actPage is GET and POST /findings/act: what else is to be said when something is done about findings.
type actPage struct {
	Frame
	Do, Heading, Below string
	Rows               []Need
	More               int // that are not listed
	IDs                []string
	List, Back         string
	Times              []choice
	Text, Field        string // what was typed, and what is wrong with it
	Wrong              string
	Button             string
}

const (
	mostActs    = 1000 // findings that something is done about at once
	actsListed  = 12
	mostUndoing = 1200 // bytes of ids that a form which takes something back sends
)

// bulkFindings is POST /findings/bulk: what the bar below the inbox does to the findings that are selected.
func (p *Pages) bulkFindings(w http.ResponseWriter, r *http.Request) {
	if !p.parse(w, r) {
		return
	}
	do := r.PostFormValue("do")
	switch do {
	case action.Acknowledge, action.Unacknowledge, action.Unsnooze:
		p.actOn(w, r, action.Response{Do: do})
	case action.Assign, action.Snooze, action.FalseAlarm:
		q := url.Values{"do": {do}, "id": r.PostForm["id"], "list": {r.PostFormValue("list")}, "back": {LocalPath(r.PostFormValue("back"))}}
		http.Redirect(w, r, "/findings/act?"+q.Encode(), http.StatusSeeOther)
	default:
		p.done(w, r, r.PostFormValue("back"), "Nothing was done.")
	}
}

// actOn does something about the findings that a form names, and says so.
func (p *Pages) actOn(w http.ResponseWriter, r *http.Request, do action.Response) {
	back := r.PostFormValue("back")
	ids, more, err := p.chosenIn(r.Context(), visit(r).Who, r.PostForm)
	if err == nil && len(ids) == 0 {
		p.done(w, r, back, "Nothing was selected.")
		return
	}
	var (
		done []finding.Finding
		left []action.Left
	)
	if err == nil {
		done, left, err = p.Actions.RespondAll(r.Context(), visit(r).Name, ids, do)
	}
	if errors.Is(err, action.ErrNotSo) {
		p.done(w, r, back, "That is not so any more: nothing was done.")
		return
	}
	if err != nil {
		p.refused(w, r, back, err)
		return
	}
	d := Done{Text: doneWords(do, done)}
	if len(left) > 0 {
		d.Text += " " + count(len(left), "finding") + " " + pick(len(left), "is", "are") + " over already."
	}
	if more > 0 {
		d.Text += " " + number(more) + " more are like that: do it again for them."
	}
	undo := map[string]string{action.Acknowledge: action.Unacknowledge, action.Snooze: action.Unsnooze}[do.Do]
	if list := idList(done); undo != "" && len(list) > 0 && len(list) <= mostUndoing {
		d.Undo, d.Form = "/findings/bulk", map[string]string{"do": undo, "id": list}
	}
	p.doneBut(w, r, back, d)
}

func idList(fs []finding.Finding) string {
	var ids []string
	for _, f := range fs {
		ids = append(ids, strconv.FormatInt(f.ID, 10))
	}
	return strings.Join(ids, ",")
}

// doneWords say what was done about findings.
func doneWords(do action.Response, done []finding.Finding) string {
	what := count(len(done), "finding")
	switch len(done) {
	case 0:
		return "Nothing was done."
	case 1:
		what = done[0].Headline()
	}
	switch do.Do {
	case action.Acknowledge:
		return "You look after " + pick(len(done), "it: "+what, what) + "."
	case action.Unacknowledge:
		return "Nobody looks after " + pick(len(done), "it now: "+what, "them now: "+what) + "."
	case action.Snooze:
		return "Put aside: " + what + "."
	case action.Unsnooze:
		return "Taken up again: " + what + "."
	case action.FalseAlarm:
		return "Noted as " + pick(len(done), "a false alarm: ", "false alarms: ") + what + "."
	case action.Assign:
		if do.Text == "" {
			return "Assigned to nobody: " + what + "."
		}
		return "Assigned to " + do.Text + ": " + what + "."
	}
	return "Done: " + what + "."
}

// chosenIn are the findings that a form names, as ids or as kind/severity of a list, that whoever asks may see; and how many more the
// list has.
func (p *Pages) chosenIn(ctx context.Context, who access.Who, form url.Values) (ids []int64, more int, err error) {
	list, err := url.ParseQuery(form.Get("list"))
	if err != nil || len(form["id"]) > mostActs {
		return nil, 0, nil //nolint:nilerr // such a form was not made here, and names nothing
	}
	visitor := access.Visit{Who: who}
	for _, value := range form["id"] {
		if kind, severity, group := strings.Cut(value, "/"); group {
			q := url.Values{}
			for key, values := range list {
				q[key] = values
			}
			q.Set("kind", kind)
			q.Set("severity", severity)
			some, beyond, err := p.chosenOf(ctx, visitor, q)
			if err != nil {
				return nil, 0, err
			}
			ids, more = append(ids, some...), more+beyond
			continue
		}
		for text := range strings.SplitSeq(value, ",") {
			if id, err := strconv.ParseInt(text, 10, 64); err == nil {
				ids = append(ids, id)
			}
		}
	}
	if len(ids) == 0 {
		return nil, 0, nil
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	f := audit.Filter{IDs: ids[:min(len(ids), mostActs)], Resolved: true, Limit: mostActs}
	if f.Among, err = p.among(ctx, visitor, ""); err != nil {
		return nil, 0, err
	}
	seen, err := p.Audit.Findings(ctx, f)
	theirs := []int64{}
	for _, fi := range seen {
		theirs = append(theirs, fi.ID)
	}
	return theirs, more + max(0, len(ids)-mostActs), err
}

// chosenOf are the findings of one row of the inbox, and how many there are beyond those.
func (p *Pages) chosenOf(ctx context.Context, who access.Visit, q url.Values) (ids []int64, more int, err error) {
	f, err := p.findingFilter(ctx, who, q)
	if err != nil {
		return nil, 0, err
	}
	f.Limit = mostActs
	all, err := p.Audit.Findings(ctx, f)
	if err != nil {
		return nil, 0, err
	}
	for _, fi := range all {
		ids = append(ids, fi.ID)
	}
	total, err := p.Audit.Found(ctx, f)
	return ids, max(0, total-len(ids)), err
}

// snoozeTimes are for how long something can be put aside.
var snoozeTimes = []choice{{"4h", "4 hours"}, {"1d", "1 day"}, {"3d", "3 days"}, {"7d", "1 week"}, {"30d", "30 days"}}

func (p *Pages) askAct(w http.ResponseWriter, r *http.Request) {
	p.showAct(w, r, http.StatusOK, r.URL.Query(), "", "")
}

// showAct shows what is to be said. typed is what was said already, and wrong what is the matter with that.
func (p *Pages) showAct(w http.ResponseWriter, r *http.Request, status int, q url.Values, typed, wrong string) {
	ids, more, err := p.chosenIn(r.Context(), visit(r).Who, q)
	if err != nil {
		p.fail(w, r, err)
		return
	}
	page := actPage{
		Frame: p.Frame(w, r, "", "findings"), Do: q.Get("do"), IDs: q["id"], List: q.Get("list"), Back: LocalPath(q.Get("back")),
		Times: snoozeTimes, Text: typed, Wrong: wrong,
	}
	found, err := p.findingsOf(r.Context(), ids[:min(len(ids), actsListed)])
	if err != nil {
		p.fail(w, r, err)
		return
	}
	for _, id := range ids {
		if f, ok := found[id]; ok {
			page.Rows = append(page.Rows, NeedOf(page.Frame, f))
		}
	}
	page.More = len(ids) + more - len(page.Rows)
	it := count(len(ids)+more, "finding")
	switch page.Do {
	case action.Assign:
		page.Heading, page.Button, page.Field = "Who is to look after "+it+"?", "Assign", "to"
		page.Below = "It stands at the finding, and in the record. Nobody is told by it."
		if typed == "" && wrong == "" {
			page.Text = page.Who.Shown
		}
	case action.Snooze:
		page.Heading, page.Button, page.Field = "Put "+it+" aside until when?", "Put aside", "for"
		page.Below = "Nobody is reminded until then. Then what still holds is open again, and is told."
	case action.FalseAlarm:
		page.Heading = "Why " + pick(len(ids)+more, "is it a false alarm?", "are they false alarms?")
		page.Button, page.Field = "False alarm", "why"
		page.Below = "What happened once is over with that; what still holds is quiet until it does not hold any more."
	default:
		p.Problem(w, r, http.StatusNotFound, "Nobody knows how to do that.", "")
		return
	}
	if len(page.Rows) == 0 {
		p.notDone(w, r, page.Back, "No finding was selected.")
		return
	}
	page.Title = page.Heading
	p.Show(w, r, status, "act", page)
}

// act is POST /findings/act.
func (p *Pages) act(w http.ResponseWriter, r *http.Request) {
	if !p.parse(w, r) {
		return
	}
	do := action.Response{Do: r.PostFormValue("do")}
	switch do.Do {
	case action.Assign:
		do.Text = strings.TrimSpace(r.PostFormValue("to"))
	case action.Snooze:
		long, err := credential.ParseDuration(r.PostFormValue("for"))
		if err != nil || long <= 0 || long > 366*24*time.Hour {
			p.showAct(w, r, http.StatusUnprocessableEntity, r.PostForm, "", "Choose until when.")
			return
		}
		do.Until = p.Now().Add(long)
	case action.FalseAlarm:
		if do.Text = strings.TrimSpace(r.PostFormValue("why")); do.Text == "" {
			p.showAct(w, r, http.StatusUnprocessableEntity, r.PostForm, "", "Say why, for those who wonder.")
			return
		}
	default:
		p.done(w, r, r.PostFormValue("back"), "Nothing was done.")
		return
	}
	p.actOn(w, r, do)
}
