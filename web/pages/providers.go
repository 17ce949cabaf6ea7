package pages

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// providersPage is GET /providers: each with its last 24 hours, 50 at a time.
type providersPage struct {
	Frame
	Heading string
	Search  search
	Rows    []providerLine
	Turn    turn
	Empty   *hollow
}

// providerLine is a provider in the list.
type providerLine struct {
	providerRow
	URL   string
	Below string
	Lag   string // "": nothing is late
}

func (p *Pages) providers(w http.ResponseWriter, r *http.Request) {
	page := providersPage{Frame: p.Frame(w, r, "Providers", "providers")}
	page.Live = true
	a, ok := readAsked(r, "q")
	if !ok {
		p.oddAddress(w, r)
		return
	}
	err := page.err
	if err == nil {
		err = p.fillProviders(r.Context(), &page, a)
	}
	if err != nil {
		p.fail(w, r, err)
		return
	}
	p.Show(w, r, http.StatusOK, "providers", page)
}

// providerNames are the providers of the configuration and of credentials, by name.
func (p *Pages) providerNames(f Frame) []string {
	names := map[string]bool{}
	for name := range f.Nav.providers {
		names[name] = true
	}
	for name := range p.Config().Providers {
		names[name] = true
	}
	return slices.Sorted(maps.Keys(names))
}

func (p *Pages) fillProviders(ctx context.Context, page *providersPage, a asked) error {
	all := p.providerNames(page.Frame)
	page.Heading, page.Search = count(len(all), "provider"), a.search("A part of the name")
	names := slices.DeleteFunc(all, func(name string) bool {
		return name <= a.get("after") || !strings.Contains(strings.ToLower(name), strings.ToLower(a.get("q")))
	})
	next := ""
	if len(names) > onePage {
		names = names[:onePage]
		next = names[onePage-1]
	}
	lags, err := p.Registry.Lags(ctx, page.Now)
	if err != nil {
		return err
	}
	for _, name := range names {
		quarters, err := p.Audit.Quarters(ctx, name, page.Now.Add(-24*time.Hour))
		if err != nil {
			return err
		}
		row := providerLine{providerRow: providerRow{Name: name, Day: NewDay(name, quarters, page.Now)}, URL: providerPath(name)}
		row.Total, row.Statuses = statusesOf(page.Frame, name)
		row.Below = count(row.Total, "credential")
		if c := p.provider(name); c.Passive {
			row.Below += ", never asked: its feeds alone tell"
		}
		if lag := lags[name]; lag >= time.Minute {
			row.Lag = span(lag)
		}
		page.Rows = append(page.Rows, row)
	}
	page.Turn = a.turn(len(page.Rows), "provider", next)
	if len(page.Rows) == 0 {
		page.Empty = &hollow{
			"n-providers", "No provider is here yet.",
			"A provider is an authorization server: name it in the configuration file, by a preset where there is one.",
			&link{"/credentials", "Credentials"},
		}
		if a.get("q") != "" {
			page.Empty = &hollow{
				"search", "No provider is called like that.", "Take the words away, or", &link{"/providers", "see all of them."},
			}
		}
	}
	return nil
}

func providerPath(name string) string { return "/providers/" + url.PathEscape(name) }

// statusesOf are how many credentials of a provider have which status, the worst first, and how many there are.
func statusesOf(f Frame, name string) (total int, marks []Mark) {
	for _, s := range chipOrder {
		if n := f.Nav.providers[name][s]; n > 0 {
			total += n
			marks = append(marks, statusMark(s).Of(number(n)+" "+string(s)))
		}
	}
	return total, marks
}
