package pages

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/keyrounds/keyrounds/access"
	"github.com/keyrounds/keyrounds/report"
)

// reportsPage is GET /reports: the reports that were frozen, the newest first.
type reportsPage struct {
	Frame
	Rows   []reportRow
	Turn   turn
	Freeze string // the last month, where its report is not frozen and whoever asks may do that
	Month  string // the same in words
	Empty  *hollow
}

// reportRow is an edition of a report, or an extract of one.
type reportRow struct {
	URL, Month, Below string
	Made              Moment
	Signed            Mark
	SignedBelow       string
	Files             []fileLink
}

// fileLink is a file of a report.
type fileLink struct{ URL, Name, Word string }

func reportPath(month, owner string, edition int) string {
	q := url.Values{}
	if owner != "" {
		q.Set("owner", owner)
	}
	if edition > 1 {
		q.Set("edition", strconv.Itoa(edition))
	}
	path := "/reports/unused/" + month
	if len(q) > 0 {
		path += "?" + q.Encode()
	}
	return path
}

// monthWord is a month as people write it: October 2026.
func monthWord(month string) string {
	t, err := time.Parse("2006-01", month)
	if err != nil {
		return month
	}
	return t.Format("January 2006")
}

// filesOf are the files of an edition of a report, or of an owner's extract, which the API gives.
func filesOf(month, owner string, edition int) (all []fileLink) {
	for _, f := range report.Formats() {
		q := url.Values{"format": {string(f)}, "edition": {strconv.Itoa(edition)}}
		name := "unused-" + month
		if owner != "" {
			q.Set("owner", owner)
			name += "-" + strings.Map(func(r rune) rune {
				if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
					return r
				}
				return '-'
			}, owner)
		}
		word := map[report.Format]string{report.HTML: "HTML, to print or send", report.CSV: "CSV", report.JSON: "JSON"}[f]
		all = append(all, fileLink{"/api/v1/reports/" + month + "?" + q.Encode(), name + "." + string(f), word})
	}
	return all
}

func (p *Pages) reports(w http.ResponseWriter, r *http.Request) {
	page := reportsPage{Frame: p.Frame(w, r, "Reports", "reports")}
	a, ok := readAsked(r)
	if !ok {
		p.oddAddress(w, r)
		return
	}
	if err := p.fillReports(r.Context(), &page, a); err != nil {
		p.fail(w, r, err)
		return
	}
	p.Show(w, r, http.StatusOK, "reports", page)
}

func (p *Pages) fillReports(ctx context.Context, page *reportsPage, a asked) error {
	q := report.Files{Format: report.HTML, Owners: []string{""}, Limit: onePage + 1}
	if page.Who.Role == access.Owner {
		q.Owners = append([]string{}, page.Who.Owners...)
	}
	_ = json.Unmarshal([]byte(a.get("after")), &q.After) // what is none begins at the newest
	_, files, err := p.Reports.Page(ctx, q)
	if err != nil {
		return err
	}
	next := ""
	if len(files) > onePage {
		files = files[:onePage]
		b, err := json.Marshal(files[onePage-1].Place())
		if err != nil {
			return err
		}
		next = string(b)
	}
	for _, f := range files {
		row := reportRow{
			URL: reportPath(f.Month, f.Owner, f.Edition), Month: monthWord(f.Month), Made: page.When(f.MadeAt),
			Below:  "edition " + strconv.Itoa(f.Edition),
			Signed: Mark{"", "unknown", "Not signed off"}, Files: filesOf(f.Month, f.Owner, f.Edition),
		}
		if f.Owner != "" {
			row.Below = "extract for " + f.Owner + ", " + row.Below
		}
		if f.SignedOffAt != nil {
			row.Signed, row.SignedBelow = Mark{"ok", "resolved", "Signed off"}, short(f.SignedOffBy)+", "+page.Day(*f.SignedOffAt).Text
		}
		page.Rows = append(page.Rows, row)
	}
	page.Turn = a.turn(len(files), "report", next)
	last := report.MonthOf(page.Now, p.Config().Zone).Add(-1).String()
	made := slices.ContainsFunc(files, func(f report.File) bool { return f.Month >= last })
	if page.May("administer") && !made && a.get("after") == "" {
		page.Freeze, page.Month = last, monthWord(last)
	}
	if len(page.Rows) == 0 {
		page.Empty = &hollow{
			"n-reports", "No report was made yet.",
			"Each month says which credentials nobody used, what it rests on, and what to do about each. " +
				"It is made on the first of the next month.",
			&link{"/feeds", "Without a feed it cannot know: see the feeds."},
		}
		if page.Who.Role == access.Owner {
			page.Empty.Link = nil
		}
	}
	return nil
}

// freeze is POST /reports/unused/{month}/freeze.
func (p *Pages) freeze(w http.ResponseWriter, r *http.Request) {
	month, ok := p.monthOf(w, r)
	if !ok {
		return
	}
	if err := p.Actions.Freeze(r.Context(), visit(r).Name, month, r.PostFormValue("anyway") != ""); err != nil {
		p.refused(w, r, "/reports", err)
		return
	}
	p.done(w, r, reportPath(month.String(), "", 0), "The report of "+monthWord(month.String())+" is frozen.")
}

// amend is POST /reports/unused/{month}/amend.
func (p *Pages) amend(w http.ResponseWriter, r *http.Request) {
	month, ok := p.monthOf(w, r)
	if !ok {
		return
	}
	back, why := reportPath(month.String(), "", 0), strings.TrimSpace(r.PostFormValue("why"))
	if why == "" {
		p.notDone(w, r, back, "Say why: what is known now, and was not.")
		return
	}
	edition, err := p.Actions.Amend(r.Context(), visit(r).Name, month, why)
	if err != nil {
		p.refused(w, r, back, err)
		return
	}
	p.done(w, r, back, "Edition "+strconv.Itoa(edition)+" is frozen; those before it stay.")
}

// signOff is POST /reports/unused/{month}/sign-off.
func (p *Pages) signOff(w http.ResponseWriter, r *http.Request) {
	month, ok := p.monthOf(w, r)
	if !ok {
		return
	}
	owner, who := r.PostFormValue("owner"), visit(r)
	if who.Role == access.Owner && !slices.Contains(who.Owners, owner) {
		p.noReport(w, r)
		return
	}
	back := reportPath(month.String(), owner, 0)
	edition, err := strconv.Atoi(r.PostFormValue("edition"))
	if err != nil || edition < 1 {
		p.notDone(w, r, back, "It is not said which edition was read.")
		return
	}
	_, err = p.Actions.SignOff(r.Context(), month, report.Review{
		Owner: owner, By: who.Name, Note: r.PostFormValue("note"), WithUndecided: r.PostFormValue("undecided") != "", Edition: edition,
	})
	if err != nil {
		p.refused(w, r, back, err)
		return
	}
	p.done(w, r, back, "You signed off "+monthWord(month.String())+".")
}

// monthOf is the month of an address, and reads the form; false: it answered why not.
func (p *Pages) monthOf(w http.ResponseWriter, r *http.Request) (report.Month, bool) {
	month, err := report.ParseMonth(r.PathValue("month"))
	if err != nil {
		p.noReport(w, r)
		return month, false
	}
	return month, p.parse(w, r)
}

func (p *Pages) noReport(w http.ResponseWriter, r *http.Request) {
	p.Problem(w, r, http.StatusNotFound, "There is no such report here, or not for you.", "")
}
