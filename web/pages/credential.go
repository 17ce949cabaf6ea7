package pages

import (
	"context"
	"net/http"
	"time"

	"github.com/keyrounds/keyrounds/access"
	"github.com/keyrounds/keyrounds/api"
	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/decision"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/notify"
	"github.com/keyrounds/keyrounds/usage"
	"github.com/keyrounds/keyrounds/verdict"
)

// credentialPage is GET /credentials/{name}: all that is known of one.
type credentialPage struct {
	Frame
	C                          credential.Credential
	Provider                   string
	Status                     Mark
	Retired                    bool
	InFile                     bool // it is changed in the configuration file
	Why                        why
	Strip                      []stripFact
	Days                       Ticks
	DayWords                   string
	Latency                    latency
	Scopes                     api.ScopesJSON
	Users                      []userRow
	Use                        usage.Answer
	UseMark                    Mark
	Checks                     []checkRow
	Told                       []Happening
	Secret                     []detail
	Known                      []notify.Fact
	Findings                   []Need
	Decision                   *decision.Decision
	DecidedMoment, UntilMoment Moment
	leaks
	Deliveries []deliveryRow
}

// why is the reason of the page's state; Text "": there is none to give.
type why struct {
	Mark        Mark
	Title, Text string
	Next        string // what to do first
}

// stripFact is one of the few that people compare first.
type stripFact struct {
	Label, Text string
	At          Moment // instead of Text
	Below       string
	Due         bool
}

// detail is a label with a text, which may be code, or a time.
type detail struct {
	Label, Text, Code string
	At                Moment
}

// checkRow is one of the last checks.
type checkRow struct {
	At               Moment
	Mark             Mark
	Message, Latency string
	HTTP             int
	Same             bool // what came is what came in the row above
}

// userRow is who uses the credential.
type userRow struct {
	usage.Source
	Last     Moment
	Expected string
}

// deliveryRow is a message about it.
type deliveryRow struct {
	notify.Delivery
	When Moment
}

func (p *Pages) credential(w http.ResponseWriter, r *http.Request) {
	c, ok := p.named(w, r)
	if !ok {
		return
	}
	page := credentialPage{Frame: p.Frame(w, r, c.Name, "credentials"), C: c, Provider: c.Provider}
	if page.Who.Role == access.Owner {
		page.Current = "mine"
	}
	page.Live, page.Charts = true, true
	page.InFile, page.Retired = c.Source == credential.FromFile, !c.Retired.IsZero()
	if err := p.fillCredential(r.Context(), &page); err != nil {
		p.fail(w, r, err)
		return
	}
	p.Show(w, r, http.StatusOK, "credential", page)
}

// fillCredential reads all parts of the page.
func (p *Pages) fillCredential(ctx context.Context, page *credentialPage) error {
	st, _, err := p.Audit.StandingOf(ctx, page.C.ID)
	if err != nil {
		return err
	}
	page.Status = statusMark(st.Status)
	if page.Retired {
		page.Status = statusMark(verdict.Retired)
	}
	page.Title = page.C.Name + ": " + page.Status.Word
	found, err := p.Audit.Findings(ctx, audit.Filter{Credential: page.C.Name, Among: []int64{page.C.ID}, Limit: 20})
	if err != nil {
		return err
	}
	for i := range found {
		if found[i], err = p.About(ctx, found[i]); err != nil {
			return err
		}
		page.Findings = append(page.Findings, NeedOf(page.Frame, found[i]))
	}
	page.Why, page.Known = whyOf(page.Frame, st, found)
	for _, part := range []func() error{
		func() error { return p.fillUse(ctx, page) },
		func() error { return p.fillDays(ctx, page, st) },
		func() error { return p.fillChecks(ctx, page) },
		func() error { return p.fillScopes(ctx, page) },
		func() error { return p.fillLeaks(ctx, page) },
		func() error { return p.fillStory(ctx, page, found) },
	} {
		if err := part(); err != nil {
			return err
		}
	}
	page.fillStrip(st, p.provider(page.C.Provider).Kind)
	page.fillSecret(st)
	return nil
}

// whyOf says why a credential has its status, and what that rests on.
func whyOf(f Frame, st audit.Standing, found []finding.Finding) (w why, known []notify.Fact) {
	w.Mark = statusMark(st.Status)
	for _, fi := range found {
		if fi.Severity == finding.Info {
			continue
		}
		words := notify.Describe(fi)
		if known == nil {
			for _, fact := range notify.Evidence(fi) {
				fact.Text = notify.Localize(fact.Text, func(t time.Time) string { return t.In(f.zone()).Format("2 Jan 15:04:05 MST") })
				known = append(known, fact)
			}
		}
		if w.Next == "" && len(words.Steps) > 0 {
			w.Next = words.Steps[0]
		}
	}
	w.Title = w.Mark.Word + " for " + span(f.Now.Sub(st.Since))
	switch st.Status {
	case verdict.Healthy, verdict.Retired:
		return why{}, known
	case verdict.Pending:
		w.Title = "It never worked yet"
		if st.LastCheck.IsZero() {
			w.Text, w.Next = "Its first check comes within a minute.", ""
			return w, known
		}
	}
	w.Text = sentence(st.Message)
	return w, known
}

func (p *Pages) fillUse(ctx context.Context, page *credentialPage) error {
	book, err := p.Usage.Open(ctx, p.Usage.Pool, []credential.Credential{page.C})
	if err != nil {
		return err
	}
	page.Use = book.Assess(page.C, page.Now)
	page.UseMark, page.Use.Reason = usageMark(string(page.Use.State)), sentence(page.Use.Reason)
	sources, err := p.Usage.Sources(ctx, page.C.ID, page.Now.AddDate(0, 0, -ninety), 20)
	for _, s := range sources {
		row := userRow{Source: s, Last: page.When(s.LastAt)}
		if len(page.C.ExpectedNetworks) > 0 {
			row.Expected = expected(page.C, s.Network)
		}
		page.Users = append(page.Users, row)
	}
	return err
}

func (p *Pages) fillChecks(ctx context.Context, page *credentialPage) error {
	checks, err := p.Audit.History(ctx, page.C.ID, 8)
	said := "" // in the row above
	for _, c := range checks {
		row := checkRow{
			At: page.When(c.At), Mark: outcomeMark(c.Outcome, c.Status), Message: sentence(c.Message), HTTP: c.HTTPStatus,
			Latency: millis(time.Duration(c.LatencyMS * float64(time.Millisecond))),
		}
		if row.Message == said {
			row.Message, row.Same = "", true
		} else {
			said = row.Message
		}
		page.Checks = append(page.Checks, row)
	}
	return err
}

func (p *Pages) fillScopes(ctx context.Context, page *credentialPage) error {
	last, err := p.Audit.Scopes(ctx, page.C.ID)
	if err != nil {
		return err
	}
	drift, err := p.Audit.ScopeDrift(ctx, page.C.ID, 10)
	if err != nil {
		return err
	}
	book, err := p.Usage.Open(ctx, p.Usage.Pool, []credential.Credential{page.C})
	if err != nil {
		return err
	}
	used := func(scope string) string { return book.ScopeUse(page.C, scope, page.Now) }
	page.Scopes = api.NewScopesJSON(page.C, p.provider(page.C.Provider), last, drift, used)
	return nil
}
