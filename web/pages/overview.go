package pages

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/verdict"
)

// overviewPage is GET /: whether anything is wrong, and what to do.
type overviewPage struct {
	Frame
	Sentence      string // verdict.Sentence: as keyrounds status and Slack say it
	Below         string
	None          bool // no credential is registered
	Statuses      []statusChip
	Needs         []Need
	Open          int // findings that are neither resolved nor put aside
	Providers     []providerRow
	MoreProviders int // that are not shown
	side
}

// statusChip leads to the credentials of a status.
type statusChip struct {
	URL  string
	Mark Mark
}

// chipOrder is the worst first.
var chipOrder = []verdict.Status{
	verdict.Revoked, verdict.Suspect, verdict.Degraded, verdict.Pending, verdict.Unknown, verdict.Healthy,
}

func (p *Pages) overview(w http.ResponseWriter, r *http.Request) {
	page := overviewPage{Frame: p.Frame(w, r, "", "overview")}
	if page.err != nil {
		p.fail(w, r, page.err)
		return
	}
	page.Live = true
	page.Sentence = verdict.Sentence(page.Nav.Counts, page.Nav.Waiting)
	page.Title = strings.TrimSuffix(page.Sentence, ".")
	page.None = len(page.Nav.Counts) == 0
	for _, s := range chipOrder {
		if n := page.Nav.Counts[s]; n > 0 {
			page.Statuses = append(page.Statuses, statusChip{"/credentials?status=" + string(s), statusMark(s).Of(number(n) + " " +
				string(s))})
		}
	}
	ctx := r.Context()
	err := p.fillNeeds(ctx, &page)
	if err == nil {
		page.Providers, page.MoreProviders, err = p.providerRows(ctx, page.Frame)
	}
	if err == nil {
		page.side, err = p.side(ctx, page.Frame)
	}
	if err != nil {
		p.fail(w, r, err)
		return
	}
	p.Show(w, r, http.StatusOK, "overview", page)
}

// fillNeeds fills in what needs somebody, and what is said of that below the sentence.
func (p *Pages) fillNeeds(ctx context.Context, page *overviewPage) (err error) {
	critical, unseen := 0, 0
	for _, c := range page.Nav.awake() {
		page.Open += c.N
		if c.Severity == finding.Critical {
			critical += c.N
			if c.State == finding.Open {
				unseen += c.N
			}
		}
	}
	if critical > 0 {
		page.Below = fmt.Sprintf("%s %s open, and ", count(critical, "critical finding"), pick(critical, "is", "are"))
		switch {
		case unseen == 0:
			page.Below += pick(critical, "somebody has it.", "somebody has each of them.")
		case unseen == critical:
			page.Below += pick(critical, "nobody has looked at it yet.", "nobody has looked at them yet.")
		default:
			page.Below += fmt.Sprintf("nobody has looked at %s of them yet.", number(unseen))
		}
	}
	page.Needs, err = p.needs(ctx, page.Frame)
	return err
}

func pick(n int, one, several string) string {
	if n == 1 {
		return one
	}
	return several
}

// openOf counts the findings of some kinds that are not resolved.
func openOf(counts []audit.Count, kinds ...finding.Kind) (n int) {
	for _, c := range counts {
		if slices.Contains(kinds, c.Kind) {
			n += c.N
		}
	}
	return n
}
