package pages

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/keyrounds/keyrounds/access"
	"github.com/keyrounds/keyrounds/decision"
	"github.com/keyrounds/keyrounds/report"
)

// reportPage is GET /reports/unused/{month}: a frozen report to read, decide by and sign off, 50 credentials at a time.
type reportPage struct {
	Frame
	Month, MonthWord string
	Owner            string
	Edition          int
	Heading, Below   string
	Files            []fileLink
	Editions         []link
	Extracts         []link
	Strip            []stripItem
	Rows             []decideRow
	Turn             turn
	Decides, Signs   bool
	AllDecided       int // of those that ask, by now
	Asking           int
	Feeds            []feedLine
	Months           []monthBar
	MonthsLabel      string
	Overtaken        []string
	Frozen           []ownFact
	SignedOff        string // by whom, when; "": nobody did
	Mends            bool
	TooLarge         bool
}

// decideRow is a credential of a report.
type decideRow struct {
	Name, URL, Below string
	Use              Mark
	UseBelow         string
	Proposed, Why    string
	Now              decided // Word "": nothing is decided
	Asks             bool    // what becomes of it can be decided
	Words            []choice
}

type feedLine struct{ Name, Text string }

// monthBar is a month of the trend, as its bars are drawn.
type monthBar struct {
	X                        int
	Used, Not, Never, Unused bar
	Month                    string
}

type bar struct{ Y, H int }

// largestReport is read on a page, in bytes of its JSON; a larger one is downloaded.
const largestReport = 32 << 20

func (p *Pages) report(w http.ResponseWriter, r *http.Request) {
	month, err := report.ParseMonth(r.PathValue("month"))
	a, ok := readAsked(r, "owner", "edition")
	who := visit(r)
	if owner := a.get("owner"); err != nil || !ok || who.Role == access.Owner && !slices.Contains(who.Owners, owner) {
		if err == nil && ok && a.get("owner") == "" && len(who.Owners) > 0 {
			http.Redirect(w, r, reportPath(month.String(), who.Owners[0], 0), http.StatusSeeOther)
			return
		}
		p.noReport(w, r)
		return
	}
	page := reportPage{
		Frame: p.Frame(w, r, "Report of "+monthWord(month.String()), "reports"),
		Month: month.String(), MonthWord: monthWord(month.String()),
		Owner: a.get("owner"),
	}
	page.Decides, page.Signs, page.Mends = page.May("decide"), page.May("decide"), page.May("administer")
	ctx := r.Context()
	_, files, err := p.Reports.Page(ctx, report.Files{Month: page.Month, Owners: []string{page.Owner}, Format: report.JSON})
	if err != nil {
		p.fail(w, r, err)
		return
	}
	file, ok := editionOf(files, int(a.number("edition")))
	if !ok {
		p.noReport(w, r)
		return
	}
	if err := p.fillReport(ctx, &page, a, file, files); err != nil {
		p.fail(w, r, err)
		return
	}
	p.Show(w, r, http.StatusOK, "report", page)
}

// editionOf is the file of an edition; of 0, of the newest.
func editionOf(files []report.File, edition int) (newest report.File, ok bool) {
	for _, f := range files {
		if f.Edition == edition || edition == 0 && f.Edition > newest.Edition {
			newest, ok = f, true
		}
	}
	return newest, ok
}

func (p *Pages) fillReport(ctx context.Context, page *reportPage, a asked, file report.File, files []report.File) error {
	page.Edition, page.Files = file.Edition, filesOf(file.Month, file.Owner, file.Edition)
	for _, f := range files {
		if len(files) > 1 {
			page.Editions = append(page.Editions, link{reportPath(f.Month, f.Owner, f.Edition), "edition " + strconv.Itoa(f.Edition)})
		}
	}
	page.Frozen = []ownFact{
		{Label: "Made", At: page.Day(file.MadeAt)},
		{Label: "Edition", Text: strconv.Itoa(file.Edition)},
		{Label: "SHA-256", Text: file.SHA256},
	}
	if file.SignedOffAt != nil {
		page.SignedOff = "Signed off by " + short(file.SignedOffBy) + " on " + page.Day(*file.SignedOffAt).Text
		if n := file.SignedOffUndecided; n > 0 {
			page.SignedOff += " with " + number(n) + " undecided"
		}
		if file.SignedOffNote != "" {
			page.SignedOff += ": " + file.SignedOffNote
		}
		page.SignedOff = strings.TrimSuffix(page.SignedOff, ".") + "."
	}
	if err := p.fillExtracts(ctx, page); err != nil {
		return err
	}
	page.Heading = page.Title
	if page.TooLarge = file.Bytes > largestReport; page.TooLarge {
		return nil
	}
	month, err := report.ParseMonth(file.Month)
	if err != nil {
		return err
	}
	content, ok, err := p.Reports.Stored(ctx, month, file.Owner, file.Edition, report.JSON)
	if err != nil || !ok {
		return cmp.Or(err, fmt.Errorf("the report of %s is gone", file.Month))
	}
	var rep report.Report
	if err := json.Unmarshal(content, &rep); err != nil {
		return fmt.Errorf("the report of %s: %w", file.Month, err)
	}
	page.Heading = rep.Headline()
	page.Below = "As of " + rep.AsOf.In(page.zone()).Format("2 Jan 2006 15:04 MST") +
		". A credential is unused when nobody but keyrounds used it for as long as it may rest, and its feeds watched all that time."
	page.Strip = reportStrip(rep)
	page.Frozen = append(page.Frozen, ownFact{Label: "By", Text: rep.MadeBy})
	for _, o := range rep.Overtaken {
		page.Overtaken = append(page.Overtaken, o.Words())
	}
	for _, f := range rep.Feeds {
		text := "it shows credentials of others as well, so nothing is counted here"
		if f.Uses != nil && f.Own != nil && f.Bad != nil && page.Who.Role != access.Owner {
			text = fmt.Sprintf("%s by others, %s of our own taken out, %s unreadable",
				count(int(*f.Uses), "use"), count(int(*f.Own), "check"), number(int(*f.Bad)))
		}
		page.Feeds = append(page.Feeds, feedLine{f.Feed, text})
	}
	page.fillMonths(rep)
	return p.fillDecideRows(ctx, page, a, rep)
}

// mostExtracts are linked.
const mostExtracts = 30

func (p *Pages) fillExtracts(ctx context.Context, page *reportPage) error {
	if page.Owner != "" || page.Who.Role == access.Owner {
		return nil
	}
	_, files, err := p.Reports.Page(
		ctx, report.Files{Month: page.Month, Format: report.HTML, Edition: page.Edition, Limit: mostExtracts + 1},
	)
	for _, f := range files {
		if f.Owner != "" {
			page.Extracts = append(page.Extracts, link{reportPath(f.Month, f.Owner, f.Edition), f.Owner})
		}
	}
	return err
}

func reportStrip(rep report.Report) []stripItem {
	item := func(label string, m Mark, now, before int) stripItem {
		it := stripItem{Label: label, Below: "as the month before"}
		if m.Icon == "" {
			it.Text = number(now)
		} else {
			it.Mark = m.Of(number(now))
		}
		if d := now - before; d > 0 {
			it.Below = number(d) + " more"
		} else if d < 0 {
			it.Below = number(-d) + " fewer"
		}
		return it
	}
	s, b := rep.Summary, rep.Before
	return []stripItem{
		item("Registered", Mark{}, s.Registered, b.Registered), item("Used", usageMark("used"), s.Used, b.Used),
		item("Unused", usageMark("unused"), s.Unused, b.Unused), item("Never used", usageMark("never_used"), s.NeverUsed, b.NeverUsed),
		item("Not known", usageMark("not_known"), s.NotKnown, b.NotKnown),
	}
}

// asksFor is whether a recommendation asks what becomes of a credential.
func asksFor(r report.Recommendation) bool {
	return r == report.Revoke || r == report.Rotate || r == report.DropScopes || r == report.FindCaller || r == report.Retire
}

// fillDecideRows fills in the credentials of a page, those to be decided first, with what is decided by now.
func (p *Pages) fillDecideRows(ctx context.Context, page *reportPage, a asked, rep report.Report) error {
	all := slices.Clone(rep.Credentials)
	slices.SortStableFunc(all, func(x, y report.Row) int {
		return cmp.Compare(rankOf(x), rankOf(y))
	})
	var asking []string
	for _, row := range all {
		if row.Undecided || row.Decision != nil {
			asking = append(asking, row.Credential)
		}
	}
	decided, err := p.decisionsOf(ctx, page.Frame, asking)
	if err != nil {
		return err
	}
	page.Asking = len(asking)
	for _, name := range asking {
		if d, ok := decided[name]; ok && !d.Over {
			page.AllDecided++
		}
	}
	from := int(min(a.number("after"), int64(len(all))))
	rows := all[from:min(len(all), from+onePage)]
	for _, row := range rows {
		page.Rows = append(page.Rows, p.decideRow(page.Frame, row, decided))
	}
	next := ""
	if from+len(rows) < len(all) {
		next = strconv.Itoa(from + len(rows))
	}
	page.Turn = a.turn(len(rows), "credential", next)
	page.Turn.Text += " of " + number(len(all))
	return nil
}

func rankOf(r report.Row) int {
	switch {
	case r.Undecided:
		return 0
	case r.Decision != nil:
		return 1
	case asksFor(r.Recommendation):
		return 2
	}
	return 3
}

// mostAsked credentials of a report are asked about at once.
const mostAsked = 5000

// decisionsOf is what is decided by now of credentials, by name.
func (p *Pages) decisionsOf(ctx context.Context, f Frame, names []string) (map[string]decided, error) {
	by := map[string]decided{}
	creds, err := p.Registry.Named(ctx, names[:min(len(names), mostAsked)])
	if err != nil {
		return nil, err
	}
	ids, named := make([]int64, len(creds)), map[int64]string{}
	for i, c := range creds {
		ids[i], named[c.ID] = c.ID, c.Name
	}
	all, err := p.Decisions.Of(ctx, p.Usage.Pool, f.Now, ids)
	for id, d := range all {
		by[named[id]] = decidedOf(f, d)
	}
	return by, err
}

func (p *Pages) decideRow(f Frame, row report.Row, by map[string]decided) decideRow {
	d := decideRow{
		Name: row.Credential, URL: credentialPath(row.Credential), Below: row.Description,
		Use: usageMark(row.Usage), UseBelow: row.Coverage,
		Proposed: capital(row.Recommendation.Words()), Why: row.Why, Now: by[row.Credential],
		Asks: row.Undecided || row.Decision != nil || asksFor(row.Recommendation),
	}
	if row.Owner != "" {
		d.Below = strings.TrimPrefix(d.Below+" · "+row.Owner, " · ")
	}
	for _, w := range decisionWords {
		if w.Value != string(decision.DropScopes) || len(row.UnusedScopes) > 0 {
			d.Words = append(d.Words, w)
		}
	}
	if row.LastUsedAt != nil {
		d.UseBelow = "last " + f.When(*row.LastUsedAt).Text
		if from := cmp.Or(row.LastUsedBy, row.LastUsedFrom); from != "" {
			d.UseBelow += " by " + from
		}
	} else if row.CoverageReason != "" {
		d.UseBelow = row.CoverageReason
	}
	return d
}

// The picture of twelve months.
const (
	barStep, barWide, barTall = 22, 15, 112
)

func (page *reportPage) fillMonths(rep report.Report) {
	most := 1
	for _, m := range rep.Trend {
		most = max(most, m.Used+m.NotKnown+m.NeverUsed+m.Unused)
	}
	for i, m := range rep.Trend {
		y := barTall
		part := func(n int) bar {
			h := n * barTall / most
			if n > 0 && h < 2 {
				h = 2
			}
			y -= h
			return bar{y, h}
		}
		b := monthBar{X: i * barStep}
		b.Used, b.Not, b.Never, b.Unused = part(m.Used), part(m.NotKnown), part(m.NeverUsed), part(m.Unused)
		if word := monthWord(m.Month); len(word) > 3 && (len(rep.Trend)-i)%2 == 1 {
			b.Month = word[:3]
		}
		page.Months = append(page.Months, b)
	}
	if n := len(rep.Trend); n > 0 {
		m := rep.Trend[n-1]
		page.MonthsLabel = fmt.Sprintf(
			"Credentials of %d months; in %s %d used, %d not known, %d never used, %d unused", n, monthWord(m.Month), m.Used, m.NotKnown,
			m.NeverUsed, m.Unused,
		)
	}
}
