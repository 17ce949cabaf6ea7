package pages

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/keyrounds/keyrounds/access"
	"github.com/keyrounds/keyrounds/api"
	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/decision"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/report"
)

// minePage is GET /mine: an owner's credentials, and the decisions that wait for him. Others choose whose they look at.
type minePage struct {
	Frame
	Sentence string
	Below    string
	Owners   []string // whose; none: it is to be chosen
	Choose   []link
	Asks     []askRow
	MoreAsks int // that are not listed
	Decides  bool
	Needs    []Need
	All      string // where all his findings are
	Cards    []mineCard
	Total    int
	Before   []decidedRow
	Reports  []reportLink
}

// askRow is a credential of which it is to be decided what becomes of it.
type askRow struct {
	Name, URL, What, Why string
	Words                []choice
	Was                  decided // what was decided before, and is over; Word "": nothing
}

// mineCard is a credential of an owner.
type mineCard struct {
	Name, URL, Purpose string
	Status             Mark
	Ticks              Ticks
	Use                Mark
	Used, Ends         Moment
	Age                string
}

type decidedRow struct {
	Name, URL string
	decided
}

// reportLink is a report that an owner has not signed off.
type reportLink struct{ URL, Word, Below string }

const mostAsks = 10

func (p *Pages) mine(w http.ResponseWriter, r *http.Request) {
	page := minePage{Frame: p.Frame(w, r, "My credentials", "mine")}
	page.Live, page.Decides = true, page.May("decide")
	ctx := r.Context()
	page.Owners = page.Who.Owners
	if page.Who.Role != access.Owner {
		page.Owners = nil
		if owner := r.URL.Query().Get("owner"); owner != "" && len(owner) <= 500 && !strings.Contains(owner, "\x00") {
			page.Owners = []string{owner}
		}
	}
	var err error
	if len(page.Owners) == 0 {
		page.Title, page.Sentence = "Whose credentials?", "Whose credentials do you want to see?"
		err = p.chooseOwner(ctx, &page)
	} else {
		err = p.fillMine(ctx, &page)
	}
	if err != nil {
		p.fail(w, r, err)
		return
	}
	p.Show(w, r, http.StatusOK, "mine", page)
}

func (p *Pages) chooseOwner(ctx context.Context, page *minePage) error {
	owners, err := p.Registry.Owners(ctx, onePage)
	for _, name := range owners {
		page.Choose = append(page.Choose, link{asked{path: "/mine"}.with("owner", name), name})
	}
	return err
}

func (p *Pages) fillMine(ctx context.Context, page *minePage) error {
	ids, err := p.Registry.OfOwners(ctx, page.Owners)
	if err != nil {
		return err
	}
	q := audit.Query{Among: ids, Limit: onePage}
	held, _, err := p.Audit.Page(ctx, q)
	if err != nil {
		return err
	}
	if page.Total, err = p.Audit.Chosen(ctx, q); err != nil {
		return err
	}
	rows, err := p.credentialRows(ctx, page.Frame, held)
	if err != nil {
		return err
	}
	for _, row := range rows {
		page.Cards = append(page.Cards, mineCard{
			row.Name, credentialPath(row.Name), row.Purpose, row.Status, row.Ticks, row.Use, row.Used, row.Ends, row.Age,
		})
	}
	if err = p.fillAsks(ctx, page, ids); err != nil {
		return err
	}
	if err = p.fillMineFindings(ctx, page, ids); err != nil {
		return err
	}
	if err = p.fillBefore(ctx, page, ids); err != nil {
		return err
	}
	if err = p.fillMineReports(ctx, page); err != nil {
		return err
	}
	status, err := api.StatusOf(ctx, p.Audit, ids)
	if err != nil {
		return err
	}
	page.Below = status.Sentence
	if page.Total == 0 {
		page.Below = "No credential names " + strings.Join(page.Owners, " or ") + " as its owner."
	}
	whom := "you"
	if page.Who.Role != access.Owner {
		whom = page.Owners[0]
	}
	switch waits := len(page.Asks) + page.MoreAsks; {
	case waits == 0 && page.Total > 0: // how they do is what matters then
		page.Sentence, page.Below = status.Sentence, "No decision waits for "+whom+"."
	case waits == 0:
		page.Sentence = "No decision waits for " + whom + "."
	default:
		page.Sentence = count(waits, "decision") + " " + pick(waits, "waits", "wait") + " for " + whom + "."
	}
	page.Title = strings.TrimSuffix(page.Sentence, ".")
	return nil
}

// fillAsks fills in the credentials that nobody uses and of which nothing is decided.
func (p *Pages) fillAsks(ctx context.Context, page *minePage, ids []int64) error {
	var all []finding.Finding
	for _, kind := range []finding.Kind{finding.NeverUsed, finding.Unused} {
		filter := audit.Filter{Kind: kind, Among: ids, State: finding.Open, Limit: onePage}
		found, err := p.Audit.Findings(ctx, filter)
		if err != nil {
			return err
		}
		n, err := p.Audit.Found(ctx, filter)
		if err != nil {
			return err
		}
		all, page.MoreAsks = append(all, found...), page.MoreAsks+n-len(found)
	}
	all, err := p.aboutAll(ctx, all)
	if err != nil {
		return err
	}
	of := make([]int64, len(all))
	for i, f := range all {
		of[i] = f.Subject.CredentialID
	}
	was, err := p.Decisions.Of(ctx, p.Usage.Pool, page.Now, of)
	if err != nil {
		return err
	}
	for _, f := range all {
		d, is := was[f.Subject.CredentialID]
		if is && !d.Over {
			continue
		}
		if len(page.Asks) == mostAsks {
			page.MoreAsks++
			continue
		}
		row := askRow{Name: f.Subject.Name(), URL: credentialPath(f.Subject.Credential), What: "was never used", Words: decisionWords[:3]}
		if f.Kind == finding.Unused {
			row.What = "is not used"
			if !f.Evidence.LastUsed.IsZero() {
				row.What = "was last used " + page.When(f.Evidence.LastUsed).Text
			}
		}
		if f.About.Description != "" {
			row.Why = "Used for: " + strings.TrimSuffix(f.About.Description, ".") + ". "
		}
		if f.Evidence.Coverage != "" {
			row.Why += "Watched: " + f.Evidence.Coverage + ". "
		}
		row.Why += "If you revoke it, nothing that keyrounds can see will stop."
		if is {
			row.Was = decidedOf(page.Frame, d)
		}
		page.Asks = append(page.Asks, row)
	}
	return nil
}

// fillMineFindings fills in what is open of an owner's credentials, but that they are not used.
func (p *Pages) fillMineFindings(ctx context.Context, page *minePage, ids []int64) error {
	found, err := p.Audit.Findings(ctx, audit.Filter{Among: ids, Awake: true, Limit: onePage})
	if err != nil {
		return err
	}
	found = slices.DeleteFunc(found, func(f finding.Finding) bool { return f.Kind == finding.NeverUsed || f.Kind == finding.Unused })
	if found, err = p.aboutAll(ctx, found); err != nil {
		return err
	}
	page.All = "/findings"
	if page.Who.Role != access.Owner {
		page.All = asked{path: "/findings"}.with("owner", page.Owners[0])
	}
	for _, f := range found[:min(len(found), mostNeeds)] {
		page.Needs = append(page.Needs, NeedOf(page.Frame, f))
	}
	return nil
}

const mostBefore = 20 // decisions

func (p *Pages) fillBefore(ctx context.Context, page *minePage, ids []int64) error {
	_, list, err := p.Decisions.Page(ctx, page.Now, decision.Filter{Among: ids, Limit: mostBefore})
	for _, d := range list {
		page.Before = append(page.Before, decidedRow{d.Credential, credentialPath(d.Credential), decidedOf(page.Frame, d)})
	}
	return err
}

// fillMineReports fills in the newest report of an owner, where it is not signed off.
func (p *Pages) fillMineReports(ctx context.Context, page *minePage) error {
	_, files, err := p.Reports.Page(ctx, report.Files{Owners: page.Owners, Format: report.HTML, Limit: len(page.Owners)})
	for _, f := range files {
		if f.SignedOffAt == nil && f.Month == files[0].Month {
			page.Reports = append(page.Reports, reportLink{
				reportPath(f.Month, f.Owner, 0), "Report of " + monthWord(f.Month), fmt.Sprintf("of %s, not signed off yet", f.Owner),
			})
		}
	}
	return err
}
