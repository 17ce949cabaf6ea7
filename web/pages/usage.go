package pages

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"

	"github.com/keyrounds/keyrounds/api"
	"github.com/keyrounds/keyrounds/registry"
	"github.com/keyrounds/keyrounds/usage"
)

// usagePage is GET /usage: who uses what, by the credentials' names, 50 at a time; and its parts, who was refused and who is not
// registered.
type usagePage struct {
	Frame
	Heading, Below string
	Tabs           []filterOption
	Search         *search
	Menus          []menu
	Uses           []usageRow
	Attempts       []attemptRow
	Strangers      []strangerRow
	Turn           turn
	Empty          *hollow
}

// usageRow is how a credential is used.
type usageRow struct {
	Name, URL, Below string
	Use              Mark
	Why              string
	Last             Moment
	From             string
	Uses, Attempts   string
	Rhythm, Quiet    string
	Watched          string
}

// attemptRow is who presented a credential and was refused.
type attemptRow struct {
	Name, URL      string
	Network, Agent string
	Failures       string
	First, Last    Moment
}

// strangerRow is a client that feeds show and nobody registered.
type strangerRow struct {
	ClientID, Provider, From string
	Events                   string
	Last                     Moment
	Created                  string
	Register                 string // "": whoever asks may not
}

func usageTabs(here string) []filterOption {
	return []filterOption{
		{"/usage", "Credentials", here == "/usage"},
		{"/usage/attempts", "Refused attempts", here == "/usage/attempts"},
		{"/usage/unregistered", "Not registered", here == "/usage/unregistered"},
	}
}

// usageFrame begins a page of usage; false: it answered that the address asks for what no list has.
func (p *Pages) usageFrame(w http.ResponseWriter, r *http.Request, title string, known ...string) (page usagePage, a asked, ok bool) {
	page = usagePage{Frame: p.Frame(w, r, title, "usage"), Heading: title, Tabs: usageTabs(r.URL.Path)}
	page.Live = true
	if a, ok = readAsked(r, known...); !ok {
		p.oddAddress(w, r)
	}
	return page, a, ok
}

// showUsage ends one.
func (p *Pages) showUsage(w http.ResponseWriter, r *http.Request, page usagePage, err error) {
	if err = cmp.Or(err, page.err); err != nil {
		p.fail(w, r, err)
		return
	}
	p.Show(w, r, http.StatusOK, "usage", page)
}

func (p *Pages) usage(w http.ResponseWriter, r *http.Request) {
	page, a, ok := p.usageFrame(w, r, "Usage by others", "q", "provider", "owner")
	if !ok {
		return
	}
	page.Below = "Who uses which credential, as the feeds show it. The checks of keyrounds are taken out."
	p.showUsage(w, r, page, p.fillUsage(r.Context(), &page, a))
}

func (p *Pages) fillUsage(ctx context.Context, page *usagePage, a asked) (err error) {
	s := a.search("A part of the name")
	page.Search = &s
	if page.Menus, err = p.placeMenus(ctx, page.Frame, a, nil); err != nil {
		return err
	}
	q := api.UsageQuery{Choice: registry.Choice{Provider: a.get("provider"), Search: a.get("q"), After: a.get("after"), Limit: onePage}}
	if owner := a.get("owner"); owner != "" {
		q.Owners = []string{owner}
	}
	next, err := api.EachUsage(ctx, p.Registry, p.Usage, page.Now, q, func(u api.UsageJSON) {
		page.Uses = append(page.Uses, usageRowOf(page.Frame, u))
	})
	page.Turn = a.turn(len(page.Uses), "credential", next)
	if len(page.Uses) == 0 {
		page.Empty = &hollow{"n-usage", "No credential is like that.", "Take a filter away, or", &link{a.path, "see all of them."}}
		if !a.any() {
			page.Empty = &hollow{
				"n-usage", "No credential is registered yet.", "Once one is, a feed shows who uses it.", &link{"/feeds", "Feeds"},
			}
		}
	}
	return err
}

func usageRowOf(f Frame, u api.UsageJSON) usageRow {
	row := usageRow{
		Name: u.Credential, URL: credentialPath(u.Credential), Below: u.Provider, Use: usageMark(u.Usage), Why: u.CoverageReason,
		From: cmp.Or(u.LastUsedBy, u.LastUsedFrom), Uses: number(int(u.Uses)), Attempts: number(int(u.Attempts)), Rhythm: u.Rhythm,
		Quiet: u.QuietHours, Watched: u.Coverage,
	}
	if u.Owner != "" {
		row.Below += " · " + u.Owner
	}
	if u.LastUsedAt != nil {
		row.Last = f.When(*u.LastUsedAt)
	}
	if u.LastUsedBy != "" && u.LastUsedFrom != "" {
		row.From = u.LastUsedBy + " from " + u.LastUsedFrom
	}
	return row
}

// attemptsSince is how far back attempts are listed, in days.
const attemptsSince = 90

func (p *Pages) attempts(w http.ResponseWriter, r *http.Request) {
	page, a, ok := p.usageFrame(w, r, "Refused attempts")
	if !ok {
		return
	}
	page.Below = "Somebody else presented one of the credentials in the last 90 days and was refused. That is no use, and never nobody."
	p.showUsage(w, r, page, p.fillAttempts(r.Context(), &page, a))
}

func (p *Pages) fillAttempts(ctx context.Context, page *usagePage, a asked) error {
	q := usage.Attempts{Since: page.Now.AddDate(0, 0, -attemptsSince), Limit: onePage + 1}
	_ = json.Unmarshal([]byte(a.get("after")), &q.After) // what is none begins at the last
	_, all, err := p.Usage.Refused(ctx, q)
	if err != nil {
		return err
	}
	next := ""
	if len(all) > onePage {
		all = all[:onePage]
		b, err := json.Marshal(all[onePage-1].AttemptPlace)
		if err != nil {
			return err
		}
		next = string(b)
	}
	ids := make([]int64, len(all))
	for i, at := range all {
		ids[i] = at.CredentialID
	}
	named, err := p.Registry.These(ctx, ids)
	for _, at := range all {
		name := named[at.CredentialID].Name
		page.Attempts = append(page.Attempts, attemptRow{
			name, credentialPath(name), at.Network, at.UserAgent, number(int(at.Failures)), page.When(at.FirstAt), page.When(at.LastAt),
		})
	}
	page.Turn = a.turn(len(all), "caller", next)
	if len(all) == 0 {
		page.Empty = &hollow{
			"resolved", "Nobody else was refused in 90 days.", "It is known as far as the feeds show refusals.", &link{"/feeds", "Feeds"},
		}
	}
	return err
}

func (p *Pages) unregistered(w http.ResponseWriter, r *http.Request) {
	page, a, ok := p.usageFrame(w, r, "In use, and not registered")
	if !ok {
		return
	}
	page.Below = "Client ids that feeds show and nobody registered here: keyrounds cannot say whether they work, or got out."
	p.showUsage(w, r, page, p.fillStrangers(r.Context(), &page, a))
}

func (p *Pages) fillStrangers(ctx context.Context, page *usagePage, a asked) error {
	from, n := int(min(a.number("after"), 1_000_000)), 0
	err := p.Unregistered(ctx, func(u usage.Unregistered) bool {
		if n++; n > from && n <= from+onePage {
			page.Strangers = append(page.Strangers, strangerOf(page.Frame, u))
		}
		return n <= from+onePage
	})
	next := ""
	if n > from+onePage {
		next = strconv.Itoa(from + onePage)
	}
	page.Turn = a.turn(len(page.Strangers), "client", next)
	if len(page.Strangers) == 0 {
		page.Empty = &hollow{
			"resolved", "Nobody uses what is not registered.", "It is known as far as the feeds show clients.", &link{"/feeds", "Feeds"},
		}
	}
	return err
}

func strangerOf(f Frame, u usage.Unregistered) strangerRow {
	row := strangerRow{ClientID: u.ClientID, Provider: u.Provider, Events: number(int(u.Events)), Last: f.When(u.LastAt)}
	if u.Address.IsValid() {
		row.From = u.Address.String()
	}
	if u.CreatedBy != "" || !u.CreatedAt.IsZero() {
		row.Created = "created " + f.Day(u.CreatedAt).Text
		if u.CreatedBy != "" {
			row.Created += " by " + u.CreatedBy
		}
	}
	if f.May("administer") && u.ClientID != "" {
		row.Register = "/credentials/-/new?" + url.Values{"provider": {u.Provider}, "client_id": {u.ClientID}}.Encode()
	}
	return row
}
