package pages

import (
	"context"
	"html/template"
	"net/http"
	"net/url"
	"time"

	"github.com/keyrounds/keyrounds/access"
	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/verdict"
)

// Frame is what stands around every page. Structs of pages embed it.
type Frame struct {
	Title   string // of the browser's tab, and of a page that has no better h1
	Current string // the place in the navigation that is lit: overview, findings, …
	Bare    bool   // without navigation: where nobody is signed in
	Live    bool   // it is refreshed as things change
	Dot     string // the favicon's: ok, less, sus, bad; "": no state
	Who     access.Visit
	SignsIn bool
	Theme   string // light, dark; "": as the system has it
	NoKeys  bool   // single keys are switched off
	Charts  bool   // it loads what draws charts
	Path    string // of the page itself, with what is asked
	Done    Done
	Version string
	Now     time.Time
	Zone    *time.Location // the reader's, as his browser has said; else UTC
	Nav     Nav

	err error // why Nav is not whole
}

// Nav is what the navigation counts.
type Nav struct {
	Waiting   int // findings
	Bad       bool
	LastCheck time.Time
	Counts    map[verdict.Status]int // of all credentials that are not retired

	providers  map[string]map[verdict.Status]int // the same by provider
	severities []audit.Count                     // of the findings that are not resolved
}

// Frame makes the frame of a page for whoever asks. What it counts and cannot read is left out: the page itself will say so.
func (p *Pages) Frame(w http.ResponseWriter, r *http.Request, title, current string) Frame {
	f := Frame{
		Title: title, Current: current, Who: visit(r), SignsIn: p.SignsIn(), Theme: themeOf(r), NoKeys: cookie(r, keysCookie) == "off",
		Path: r.URL.RequestURI(), Done: takeDone(w, r), Version: p.Version, Now: p.Now(), Zone: zoneOf(r),
	}
	if r.Method != http.MethodGet {
		f.Path = r.URL.Path
	}
	f.Bare = f.Who.Name == ""
	if f.Bare || f.Who.Temporary || f.Who.Role == access.Owner || p.Audit == nil {
		return f
	}
	f.Nav, f.err = p.nav(r.Context())
	f.Dot = dot(f.Nav)
	return f
}

// Counts of a large fleet are read once in so many seconds, for all readers together: they are the only thing on a page that takes
// longer the more credentials there are.
const (
	largeFleet = 2000
	countsLast = 5 * time.Second
)

func (p *Pages) nav(ctx context.Context) (Nav, error) {
	if n := p.counted.Load(); n != nil && p.Now().Sub(n.at) < countsLast && !p.Now().Before(n.at) {
		return n.Nav, nil
	}
	n, err := p.count(ctx)
	all := 0
	for _, k := range n.Counts {
		all += k
	}
	if err == nil && all >= largeFleet {
		p.counted.Store(&counted{n, p.Now()})
	}
	return n, err
}

type counted struct {
	Nav
	at time.Time
}

func (p *Pages) count(ctx context.Context) (n Nav, err error) {
	if n.providers, err = p.Audit.StatusCounts(ctx); err != nil {
		return n, err
	}
	n.Counts = map[verdict.Status]int{}
	for _, statuses := range n.providers {
		for status, k := range statuses {
			n.Counts[status] += k
		}
	}
	if n.severities, err = p.Audit.Counts(ctx); err != nil {
		return n, err
	}
	n.Waiting, n.Bad = audit.Waiting(n.severities), worst(n.severities) == finding.Critical
	n.LastCheck, err = p.Audit.LastCheck(ctx)
	return n, err
}

// dot is the favicon's: what is worst.
func dot(n Nav) string {
	switch {
	case n.Counts[verdict.Revoked] > 0 || n.Bad:
		return "bad"
	case n.Counts[verdict.Suspect] > 0:
		return "sus"
	case n.Waiting > 0 || n.Counts[verdict.Degraded]+n.Counts[verdict.Pending]+n.Counts[verdict.Unknown] > 0:
		return "less"
	case len(n.Counts) == 0:
		return ""
	}
	return "ok"
}

// worst is the highest severity of the findings that nobody looks after; "": there are none.
func worst(counts []audit.Count) (s finding.Severity) {
	for _, c := range counts {
		if c.State == finding.Open && (s == "" || c.Severity == finding.Critical) {
			s = c.Severity
		}
	}
	return s
}

// Clock is what the time is, for the reader.
func (f Frame) Clock() string { return f.Now.In(f.zone()).Format("15:04:05 MST") }

// May is whether whoever asks may do something.
func (f Frame) May(deed string) bool { return f.Who.May(access.Deed(deed)) }

// Icon is the favicon, a picture in its own address: a ring with a dot of the worst state's colour.
func (f Frame) Icon() template.URL {
	colour := map[string]string{"ok": "#3f9268", "less": "#bb7a0a", "sus": "#d2611a", "bad": "#cc2f3c"}[f.Dot]
	if colour == "" {
		colour = "#708090"
	}
	const before, after = `<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'><path d='M21 6.3A11 11 0 1 0 27 16' fill='none' ` +
		`stroke='#708090' stroke-width='4' stroke-linecap='round'/><circle cx='25' cy='8' r='6' fill='`, `'/></svg>`
	return template.URL("data:image/svg+xml," + url.PathEscape(before+colour+after)) // all of it is ours
}
