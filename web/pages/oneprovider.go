package pages

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"slices"
	"time"

	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/finding"
)

// providerPage is GET /providers/{name}.
type providerPage struct {
	Frame
	Name, Below string
	Console     string
	Statuses    []Mark
	Total       int
	Strip       []stripItem
	Day         Day
	Days        []outcomeDay
	Chart       string // of static/lines.js; "": nothing was answered
	ChartWords  string
	ChartLabel  string
	Incidents   []Need
	Limits      []ownFact
	Budget      meter // Of 0: there is none
}

// outcomeDay is what the checks of a day came to.
type outcomeDay struct {
	Day                                        Moment
	Checks, Worked, Reduced, Refused, Troubled string
	Answered, Median, P95                      string
}

// meter is how much of something is used up.
type meter struct {
	Used, Of int
	Text     string
}

// chartDays are shown of a provider.
const chartDays = 7

func (p *Pages) oneProvider(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	page := providerPage{Frame: p.Frame(w, r, name, "providers"), Name: name}
	page.Live, page.Charts = true, true
	if page.err != nil {
		p.fail(w, r, page.err)
		return
	}
	if !slices.Contains(p.providerNames(page.Frame), name) {
		p.Problem(
			w, r, http.StatusNotFound, "There is no such provider here.",
			"It may have left the configuration, and all its credentials are retired.",
		)
		return
	}
	if err := p.fillProvider(r.Context(), &page); err != nil {
		p.fail(w, r, err)
		return
	}
	p.Show(w, r, http.StatusOK, "provider", page)
}

func (p *Pages) fillProvider(ctx context.Context, page *providerPage) error {
	c := p.provider(page.Name)
	page.Console = webLink(c.ConsoleURL)
	page.Below = c.Endpoint()
	if _, is := p.Config().Providers[page.Name]; !is {
		page.Below = "It has left the configuration; credentials are still of it."
	}
	page.Total, page.Statuses = statusesOf(page.Frame, page.Name)
	quarters, err := p.Audit.Quarters(ctx, page.Name, page.Now.AddDate(0, 0, -chartDays))
	if err != nil {
		return err
	}
	page.Day = NewDay(page.Name, quarters, page.Now)
	page.Days = outcomeDays(page.Frame, quarters)
	page.fillChart(quarters)
	lags, err := p.Registry.Lags(ctx, page.Now)
	if err != nil {
		return err
	}
	paces, err := p.Registry.Paces(ctx, page.Now)
	if err != nil {
		return err
	}
	load := paces[page.Name]
	lag := stripItem{Label: "Checks", Text: "on time"}
	if lags[page.Name] >= time.Minute {
		lag.Text = span(lags[page.Name]) + " late"
	}
	if load.Booked > time.Second {
		lag.Below = "booked for " + span(load.Booked)
	}
	page.Strip = []stripItem{
		{Label: "Answered, 24 h", Text: cmp.Or(page.Day.Answered, "not asked"), Below: count(page.Day.Checks, "check")},
		{Label: "Half took at most", Text: cmp.Or(page.Day.Median, "not known"), Below: "24 h"},
		{Label: "95 of 100 at most", Text: cmp.Or(page.Day.P95, "not known"), Below: "24 h"},
		lag,
		{Label: "Asked this month", Text: number(load.Requests), Below: budgetWords(c)},
	}
	if c.Budget > 0 {
		page.Budget = meter{
			min(load.Requests, c.Budget), c.Budget, number(load.Requests) + " of " + number(c.Budget) + " token requests of this month",
		}
	}
	page.Limits = limitsOf(c)
	if p.CertificateEnds != nil {
		if end := p.CertificateEnds(page.Name); !end.IsZero() {
			page.Limits = append(page.Limits, ownFact{Label: "Its certificate", Text: certificateWords(end, p.Now())})
		}
	}
	page.Incidents, err = p.incidents(ctx, page.Frame, page.Name)
	return err
}

func budgetWords(c checker.Provider) string {
	if c.Budget > 0 {
		return "of " + number(c.Budget)
	}
	return "no budget is set"
}

// certificateWords say when a certificate ends.
func certificateWords(end, now time.Time) string {
	day := end.UTC().Format("2 Jan 2006")
	switch left := end.Sub(now); {
	case left <= 0:
		return "ended on " + day
	case left < 48*time.Hour:
		return "ends on " + day + ", in " + count(int(left.Hours()), "hour")
	default:
		return "ends on " + day + ", in " + count(int(left.Hours()/24), "day")
	}
}

func limitsOf(c checker.Provider) []ownFact {
	facts := []ownFact{
		{Label: "Preset", Text: cmp.Or(c.Preset, "none")},
		{Label: "Sign-in", Text: c.Way()},
		{Label: "At once", Text: count(c.Concurrency, "check")},
		{Label: "Rate", Text: fmt.Sprintf("%v a second", float64(c.Rate))},
		{Label: "Refusals it bears", Text: c.Lockout.String()},
	}
	if c.MinInterval > 0 {
		facts = append(facts, ownFact{Label: "At most every", Text: credential.FormatDuration(c.MinInterval)})
	}
	if c.Passive {
		facts = append(facts, ownFact{Label: "Passive", Text: "it is never asked: its feeds alone tell"})
	}
	return facts
}

// incidentKinds are the kinds of findings about a provider as a whole.
var incidentKinds = []finding.Kind{finding.ProviderIncident, finding.ProviderDown, finding.Unverifiable, finding.FallingBehind}

const mostIncidents = 10

// incidents are the last findings about a provider as a whole, the newest first, also those that are over.
func (p *Pages) incidents(ctx context.Context, f Frame, name string) (needs []Need, err error) {
	var all []finding.Finding
	for _, kind := range incidentKinds {
		found, err := p.Audit.Findings(ctx, audit.Filter{Kind: kind, Provider: name, Resolved: true, Newest: true, Limit: mostIncidents})
		if err != nil {
			return nil, err
		}
		all = append(all, slices.DeleteFunc(found, func(fi finding.Finding) bool { return fi.Subject.Credential != "" })...)
	}
	slices.SortFunc(all, func(a, b finding.Finding) int { return b.OpenedAt.Compare(a.OpenedAt) })
	for _, fi := range all[:min(len(all), mostIncidents)] {
		needs = append(needs, inboxRowOf(f, fi).Need)
	}
	return needs, nil
}

// outcomeDays are the days of quarters, by the reader's clock, the newest first.
func outcomeDays(f Frame, quarters []audit.Quarter) (days []outcomeDay) {
	type sum struct {
		at time.Time
		audit.Quarter
	}
	var sums []sum
	for _, q := range quarters {
		local := q.At.In(f.zone())
		at := time.Date(local.Year(), local.Month(), local.Day(), 0, 0, 0, 0, f.zone())
		if n := len(sums); n == 0 || !sums[n-1].at.Equal(at) {
			sums = append(sums, sum{at, audit.Quarter{Latency: audit.Latencies{}}})
		}
		s := &sums[len(sums)-1]
		s.Checks, s.OK, s.Reduced = s.Checks+q.Checks, s.OK+q.OK, s.Reduced+q.Reduced
		s.Doubted, s.Refused, s.Troubled = s.Doubted+q.Doubted, s.Refused+q.Refused, s.Troubled+q.Troubled
		s.Latency.Add(q.Latency)
	}
	for _, s := range slices.Backward(sums) {
		days = append(days, outcomeDay{
			f.dayOf(s.at), number(s.Checks), number(s.OK), number(s.Reduced), number(s.Doubted + s.Refused), number(s.Troubled),
			percent(s.Checks-s.Troubled, s.Checks), millis(s.Latency.Percentile(0.5)), millis(s.Latency.Percentile(0.95)),
		})
	}
	return days
}

// dayOf is a day of this year or the last, for the part "when".
func (f Frame) dayOf(t time.Time) Moment {
	m := f.Day(t)
	m.Text = t.In(f.zone()).Format("2 Jan")
	return m
}

// fillChart makes the data of static/lines.js: hours, and the median and 95 of 100 of each in milliseconds. An hour without an answer
// is a gap.
func (page *providerPage) fillChart(quarters []audit.Quarter) {
	const hours = chartDays * 24
	first := page.Now.Truncate(time.Hour).Add(-(hours - 1) * time.Hour)
	by := make([]audit.Latencies, hours)
	all := audit.Latencies{}
	for _, q := range quarters {
		if i := int(q.At.Sub(first) / time.Hour); i >= 0 && i < hours && !q.At.Before(first) {
			if by[i] == nil {
				by[i] = audit.Latencies{}
			}
			by[i].Add(q.Latency)
			all.Add(q.Latency)
		}
	}
	if len(all) == 0 {
		return
	}
	at, half, most := make([]int64, hours), make([]*float64, hours), make([]*float64, hours)
	for i := range hours {
		at[i] = first.Add(time.Duration(i) * time.Hour).Unix()
		half[i], most[i] = milliseconds(by[i].Percentile(0.5)), milliseconds(by[i].Percentile(0.95))
	}
	b, err := json.Marshal([]any{at, half, most})
	if err != nil {
		return // numbers can always be written
	}
	page.Chart = string(b)
	page.ChartWords = "half at most " + millis(all.Percentile(0.5)) + ", 95 of 100 at most " + millis(all.Percentile(0.95))
	page.ChartLabel = fmt.Sprintf("Latency of %s by hour, %d days: %s", page.Name, chartDays, page.ChartWords)
}

func milliseconds(d time.Duration) *float64 {
	if d <= 0 {
		return nil
	}
	ms := math.Round(float64(d)/float64(time.Millisecond)*100) / 100
	return &ms
}
