package pages

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/keyrounds/keyrounds/access"
	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/finding"
)

// findingsPage is GET /findings: the inbox. Without a kind it shows findings in groups of those that are alike; of one kind, and of
// those that are over, it is a list, 50 at a time.
type findingsPage struct {
	Frame
	Below  string
	Tabs   []filterOption
	Search search
	Menus  []menu
	Groups []inboxGroup
	Turn   turn
	Empty  *hollow
	Query  string // what the address asks for, for the form
	CSV    string
	Acts   bool // something can be done about what is listed, by whoever asks
	Awake  bool // what is listed is not put aside
}

// inboxGroup is the findings of a severity, or all of a list.
type inboxGroup struct {
	Mark Mark // Word "": it has no head
	N    string
	End  string // at the right of its head
	Rows []inboxRow
}

// inboxRow is a finding, or several that are alike.
type inboxRow struct {
	Need
	Value string // of its box: the finding's id, or kind/severity of several
	First []link // of several: the first of them
	More  string // of several: how many there are beside those
	N     int    // of several: how many
}

// The parts of the inbox, as its address has them.
const (
	viewMine        = "mine"
	viewNobody      = "unassigned"
	viewSnoozed     = "snoozed"
	viewResolved    = "resolved"
	viewFalseAlarms = "false_alarms"
)

var findingsKnow = []string{"state", "kind", "severity", "provider", "owner", "credential", "q"}

func (p *Pages) findings(w http.ResponseWriter, r *http.Request) {
	page := findingsPage{Frame: p.Frame(w, r, "Findings", "findings")}
	page.Live = true
	a, ok := readAsked(r, findingsKnow...)
	if !ok {
		p.oddAddress(w, r)
		return
	}
	filter, err := p.findingFilter(r.Context(), page.Who, a.q)
	if err == nil {
		err = page.err
	}
	if err == nil {
		err = p.fillInbox(r.Context(), &page, a, filter)
	}
	if err != nil {
		p.fail(w, r, err)
		return
	}
	p.Show(w, r, http.StatusOK, "findings", page)
}

// findingFilter is what the store is asked for, for whoever asks: an owner has those of his credentials.
func (p *Pages) findingFilter(ctx context.Context, who access.Visit, q url.Values) (f audit.Filter, err error) {
	f = audit.Filter{
		Kind: finding.Kind(q.Get("kind")), Severity: finding.Severity(q.Get("severity")), Provider: q.Get("provider"),
		Credential: q.Get("credential"), Search: q.Get("q"), Limit: onePage + 1,
	}
	switch state := q.Get("state"); state {
	case "":
		f.Awake = true
	case viewMine:
		f.With, f.Awake = names(who), true
	case viewNobody:
		f.Nobody = true
	case viewFalseAlarms:
		f.FalseAlarms, f.Newest = true, true
	default:
		f.State = finding.State(state)
		f.Newest = state == viewResolved
	}
	if f.Credential != "" {
		f.Awake = false
	}
	f.Among, err = p.among(ctx, who, q.Get("owner"))
	return f, err
}

// names are those by which somebody is named where something is assigned to him.
func names(who access.Visit) []string { return []string{who.Name, short(who.Name), who.Shown} }

// among are the credentials of an owner ("": of any) that somebody may see; nil: all.
func (p *Pages) among(ctx context.Context, who access.Visit, owner string) ([]int64, error) {
	switch {
	case owner == "" && who.Role != access.Owner:
		return nil, nil
	case owner == "":
		return p.Registry.OfOwners(ctx, who.Owners)
	case !who.Sees(owner):
		return []int64{}, nil
	}
	return p.Registry.OfOwners(ctx, []string{owner})
}

// moreInARow findings of a kind and a severity are one row of the inbox.
const moreInARow = 3

func (p *Pages) fillInbox(ctx context.Context, page *findingsPage, a asked, filter audit.Filter) error {
	among, err := p.among(ctx, page.Who, "")
	if err != nil {
		return err
	}
	v, err := p.Audit.Views(ctx, among, names(page.Who))
	if err != nil {
		return err
	}
	page.Query, page.Search = a.q.Encode(), a.search("Credential or provider")
	page.CSV = asked{"/findings.csv", a.q}.with("", "")
	page.Tabs = inboxTabs(a, v)
	page.Below = inboxWords(v)
	state := a.get("state")
	page.Acts = page.May("respond") && state != viewResolved && state != viewFalseAlarms
	page.Awake = state != viewSnoozed
	if page.Menus, err = p.inboxMenus(ctx, page.Frame, a); err != nil {
		return err
	}
	if filter.Kind != "" || filter.Credential != "" || filter.Newest {
		err = p.inboxList(ctx, page, a, filter)
	} else {
		err = p.inboxGroups(ctx, page, a, filter)
	}
	if len(page.Groups) == 0 {
		page.Empty = inboxHollow(a)
	}
	return err
}

func inboxHollow(a asked) *hollow {
	filtered := asked{a.path, url.Values{"state": a.q["state"]}}.with("state", a.get("state")) != a.with("", "")
	switch {
	case filtered:
		return &hollow{"search", "No finding is like that.", "Take a filter away, or", &link{a.path, "see all of them."}}
	case a.get("state") == viewMine:
		return &hollow{
			"person", "You look after none.", "What you acknowledge, or is assigned to you, stands here.", &link{a.path, "All open ones"},
		}
	case a.get("state") != "":
		return &hollow{"n-findings", "There is none here.", "", &link{a.path, "All open ones"}}
	}
	return &hollow{
		"resolved", "Nothing is open.",
		"When a credential stops working, gets out, or is not used, it stands here, and whoever is to know is told.", nil,
	}
}

func inboxTabs(a asked, v audit.Views) []filterOption {
	tab := func(state, word string, n int) filterOption {
		if n > 0 {
			word += " " + number(n)
		}
		return filterOption{a.with("state", state), word, a.get("state") == state}
	}
	return []filterOption{
		tab("", "Open", v.Awake), tab(viewMine, "Mine", v.Mine), tab(viewNobody, "Nobody's", v.Nobody),
		tab(viewSnoozed, "Put aside", v.Snoozed),
		tab(viewResolved, "Resolved", 0), tab(viewFalseAlarms, "False alarms", 0),
	}
}

func inboxWords(v audit.Views) string {
	if v.Awake == 0 {
		return ""
	}
	text := count(v.Awake, "finding") + " " + pick(v.Awake, "is", "are") + " open"
	switch v.Nobody {
	case 0:
		return text + pick(v.Awake, ", and somebody has it.", ", and somebody has each of them.")
	case v.Awake:
		return text + pick(v.Awake, ", and nobody has it.", ", and nobody has any of them.")
	}
	return text + ". Nobody has " + number(v.Nobody) + " of them."
}

func (p *Pages) inboxMenus(ctx context.Context, f Frame, a asked) ([]menu, error) {
	var kinds []choice
	for _, k := range finding.Kinds() {
		kinds = append(kinds, choice{string(k), kindWord(k)})
	}
	severity := a.menu("severity", "Severity", choice{"critical", "Critical"}, choice{"warning", "Warning"}, choice{"info", "Low"})
	all := []menu{a.menu("kind", "Kind", kinds...), severity}
	if a.get("credential") != "" {
		all = append(all, a.menu("credential", "Credential"))
	}
	if f.Who.Role == access.Owner {
		return all, nil
	}
	return p.placeMenus(ctx, f, a, all)
}

// placeMenus adds the menus of providers and owners.
func (p *Pages) placeMenus(ctx context.Context, f Frame, a asked, all []menu) ([]menu, error) {
	providers := sortedProviders(f)
	owners, err := p.Registry.Owners(ctx, mostOptions)
	if err != nil {
		return nil, err
	}
	return append(
		all, a.menu("provider", "Provider", choices(providers[:min(len(providers), mostOptions)])...),
		a.menu("owner", "Owner", choices(owners)...).free("Another owner", "text"),
	), nil
}

func choices(names []string) (all []choice) {
	for _, name := range names {
		all = append(all, choice{name, name})
	}
	return all
}

func kindWord(k finding.Kind) string { return strings.ReplaceAll(string(k), "_", " ") }

// inboxGroups fills in the inbox by severity, and what is alike in one row.
func (p *Pages) inboxGroups(ctx context.Context, page *findingsPage, a asked, filter audit.Filter) error {
	groups, err := p.Audit.Groups(ctx, filter, moreInARow)
	if err != nil {
		return err
	}
	var ids []int64
	for _, g := range groups {
		ids = append(ids, g.Newest...)
	}
	found, err := p.findingsOf(ctx, ids)
	if err != nil {
		return err
	}
	for _, g := range groups {
		if last := len(page.Groups) - 1; last < 0 || page.Groups[last].Mark != severityMark(g.Severity) {
			page.Groups = append(page.Groups, inboxGroup{Mark: severityMark(g.Severity)})
		}
		in := &page.Groups[len(page.Groups)-1]
		n, _ := strconv.Atoi(strings.ReplaceAll(in.N, ",", ""))
		in.N = number(n + g.N)
		if g.Severity == finding.Info && page.Awake && a.get("state") == "" {
			in.End = "goes into the digest"
		}
		var rows []inboxRow
		var of []finding.Finding
		for _, id := range g.Newest {
			if f, ok := found[id]; ok {
				rows, of = append(rows, inboxRowOf(page.Frame, f)), append(of, f)
			}
		}
		if g.N > moreInARow && len(of) > 0 {
			rows = []inboxRow{alikeRow(page.Frame, a, g, of)}
		}
		in.Rows = append(in.Rows, rows...)
	}
	return nil
}

// findingsOf are findings by their ids, with what is registered of their credentials.
func (p *Pages) findingsOf(ctx context.Context, ids []int64) (map[int64]finding.Finding, error) {
	by := map[int64]finding.Finding{}
	if len(ids) == 0 {
		return by, nil
	}
	all, err := p.Audit.Findings(ctx, audit.Filter{IDs: ids, Resolved: true, Limit: len(ids)})
	if err != nil {
		return nil, err
	}
	if all, err = p.aboutAll(ctx, all); err != nil {
		return nil, err
	}
	for _, f := range all {
		by[f.ID] = f
	}
	return by, nil
}

// aboutAll fills in what lists say of the credentials of findings.
func (p *Pages) aboutAll(ctx context.Context, all []finding.Finding) ([]finding.Finding, error) {
	var ids []int64
	for _, f := range all {
		if f.Subject.CredentialID != 0 {
			ids = append(ids, f.Subject.CredentialID)
		}
	}
	registered := map[int64]credential.Credential{}
	if len(ids) > 0 {
		var err error
		if registered, err = p.Registry.EvenRetired(ctx, ids); err != nil {
			return nil, err
		}
	}
	for i, f := range all {
		if c, ok := registered[f.Subject.CredentialID]; ok {
			all[i].About = finding.About{
				Owner: c.Owner, Description: c.Description, Scopes: c.Scopes, Labels: c.Labels,
				Key: p.provider(c.Provider).Kind == checker.APIKey,
			}
		}
	}
	return all, nil
}

// inboxList fills in one page of a list.
func (p *Pages) inboxList(ctx context.Context, page *findingsPage, a asked, filter audit.Filter) error {
	filter.After = a.number("after")
	all, err := p.Audit.Findings(ctx, filter)
	if err != nil {
		return err
	}
	next := ""
	if len(all) > onePage {
		all = all[:onePage]
		next = strconv.FormatInt(all[onePage-1].ID, 10)
	}
	if all, err = p.aboutAll(ctx, all); err != nil {
		return err
	}
	group := inboxGroup{}
	for _, f := range all {
		group.Rows = append(group.Rows, inboxRowOf(page.Frame, f))
	}
	if len(group.Rows) > 0 {
		page.Groups = []inboxGroup{group}
	}
	page.Turn = a.turn(len(all), "finding", next)
	return nil
}

// inboxRowOf is the row of one finding.
func inboxRowOf(f Frame, fi finding.Finding) inboxRow {
	row := inboxRow{Need: NeedOf(f, fi), Value: strconv.FormatInt(fi.ID, 10)}
	row.ID = "finding-" + row.Value
	if row.Effect == "" {
		row.Effect = f.local(sentence(fi.Evidence.Message))
	}
	if fi.FalseAlarmBy != "" {
		row.Effect = "False alarm, says " + short(fi.FalseAlarmBy)
		if fi.FalseAlarmWhy != "" {
			row.Effect += ": " + fi.FalseAlarmWhy
		}
	}
	if fi.State == finding.Resolved {
		row.Mark, row.Value, row.Has = Mark{"ok", "resolved", "Resolved"}, "", ""
		row.Began, row.At, row.Quiet = "resolved", f.When(fi.ResolvedAt), "lasted "+finding.Span(fi.ResolvedAt.Sub(fi.Began()))
		if row.Effect = fi.ResolvedWhy; fi.Withdrawn {
			row.Effect = "Withdrawn: " + fi.ResolvedWhy
		}
	}
	return row
}

// alikeRow is one row for several findings of a kind and a severity.
func alikeRow(f Frame, a asked, g audit.Group, of []finding.Finding) inboxRow {
	row := inboxRow{Need: alike(f, g.N, of[0]), Value: string(g.Kind) + "/" + string(g.Severity)}
	to := asked{a.path, url.Values{}}
	for key, values := range a.q {
		to.q[key] = values
	}
	to.q.Set("severity", string(g.Severity))
	row.URL, row.Quiet = to.with("kind", string(g.Kind)), "the list says who has them"
	for _, fi := range of {
		row.First = append(row.First, link{fmt.Sprintf("/findings/%d", fi.ID), fi.Subject.Name()})
	}
	row.More, row.N = number(g.N-len(of))+" more", g.N
	return row
}
