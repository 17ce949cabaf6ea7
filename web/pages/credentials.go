package pages

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/keyrounds/keyrounds/api"
	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/usage"
	"github.com/keyrounds/keyrounds/verdict"
)

// credentialsPage is GET /credentials: a list, 50 at a time, of those that the address asks for.
type credentialsPage struct {
	Frame
	Sentence string
	Asked    credentialList
	Chips    []filterChip
	Picks    []filterPick
	Rows     []credentialRow
	Pager    Pager
	CSV      string
	Nothing  bool // no credential is registered at all
}

// filterChip is a status to choose.
type filterChip struct {
	URL  string
	Mark Mark
	N    string
	Here bool
}

// filterPick is a menu of what to choose.
type filterPick struct {
	Name, Word, Chosen string // Chosen "": nothing is
	Options            []filterOption
	Free               string // the name of a field for what is not listed; "": there is none
	Value              string // of that field
}

type filterOption struct {
	URL, Word string
	Here      bool
}

// credentialRow is a credential in the list.
type credentialRow struct {
	Name, Purpose, Provider, Owner string
	Status                         Mark
	Since                          string // for how long
	Ticks                          Ticks
	Checked                        Moment
	Latency                        string
	Use                            Mark
	Used                           Moment
	UseBelow                       string
	Ends                           Moment
	EndsSoon                       bool
	Age                            string
}

// onePage is the rows of a list.
const onePage = 50

func (p *Pages) credentials(w http.ResponseWriter, r *http.Request) {
	page := credentialsPage{Frame: p.Frame(w, r, "Credentials", "credentials")}
	if page.err != nil {
		p.fail(w, r, page.err)
		return
	}
	page.Live = true
	list, err := readList(r.URL.Query())
	if err != nil {
		p.Problem(w, r, http.StatusBadRequest, "This address asks for what no list has.", "Begin again at /credentials.")
		return
	}
	page.Asked = list
	ctx := r.Context()
	q, err := p.query(ctx, list)
	if err != nil {
		p.fail(w, r, err)
		return
	}
	held, next, err := p.Audit.Page(ctx, q)
	if err == nil {
		page.Rows, err = p.credentialRows(ctx, page.Frame, held)
	}
	total := 0
	if err == nil {
		total, err = p.total(ctx, page.Frame, list, q)
	}
	if err == nil {
		page.Picks, err = p.picks(ctx, page.Frame, list)
	}
	if err != nil {
		p.fail(w, r, err)
		return
	}
	page.Chips = chips(page.Frame, list)
	page.Pager = Pager{Shown: len(page.Rows), Total: total, Thing: "credential"}
	if list.After != "" {
		page.Pager.First = list.with("after", "")
	}
	if next != (audit.Cursor{}) {
		page.Pager.Next = list.with("after", next.String())
	}
	page.CSV = strings.Replace(list.with("after", ""), "/credentials", "/credentials.csv", 1)
	page.Sentence = verdict.Sentence(page.Nav.Counts, page.Nav.Waiting)
	page.Nothing = len(page.Nav.Counts) == 0 && total == 0
	p.Show(w, r, http.StatusOK, "credentials", page)
}

// total is how many there are on all pages. Where only statuses and providers are asked for, nobody has to count.
func (p *Pages) total(ctx context.Context, f Frame, l credentialList, q audit.Query) (n int, err error) {
	if !l.counted() || q.Status == verdict.Retired {
		return p.Audit.Chosen(ctx, q)
	}
	for provider, statuses := range f.Nav.providers {
		for status, k := range statuses {
			if (l.Provider == "" || provider == l.Provider) && (l.Status == "" || string(status) == l.Status) {
				n += k
			}
		}
	}
	return n, nil
}

// credentialRows are the rows of what is held, in its order.
func (p *Pages) credentialRows(ctx context.Context, f Frame, held []audit.Standing) (rows []credentialRow, err error) {
	ids := make([]int64, len(held))
	for i, st := range held {
		ids[i] = st.CredentialID
	}
	registered, err := p.Registry.EvenRetired(ctx, ids)
	if err != nil {
		return nil, err
	}
	days, err := p.Audit.DaysOf(ctx, ids, f.Now.AddDate(0, 0, -ninety))
	if err != nil {
		return nil, err
	}
	var creds []credential.Credential
	for _, id := range ids {
		if c, ok := registered[id]; ok && c.Retired.IsZero() {
			creds = append(creds, c)
		}
	}
	uses := map[string]api.UsageJSON{}
	if len(creds) > 0 {
		all, err := api.Usages(ctx, p.Usage, creds, f.Now)
		if err != nil {
			return nil, err
		}
		for _, u := range all {
			uses[u.Credential] = u
		}
	}
	for _, st := range held {
		rows = append(rows, rowOf(f, st, registered[st.CredentialID], days[st.CredentialID], uses))
	}
	return rows, nil
}

func rowOf(f Frame, st audit.Standing, c credential.Credential, days []audit.Span, uses map[string]api.UsageJSON) credentialRow {
	row := credentialRow{
		Name: st.Credential, Purpose: c.Description, Provider: st.Provider, Owner: c.Owner, Status: statusMark(st.Status),
		Since: "for " + span(f.Now.Sub(st.Since)), Checked: f.When(st.LastCheck), Latency: millis(st.Latency),
		Ticks: ninetyDays("90 days", days, st, f.Now),
	}
	if u, ok := uses[c.Name]; ok {
		row.Use = usageMark(u.Usage)
		if u.LastUsedAt != nil {
			row.Used = f.When(*u.LastUsedAt)
		}
		row.UseBelow = u.Rhythm
		if u.Attempts > 0 {
			row.UseBelow = number(int(u.Attempts)) + " refused " + pick(int(u.Attempts), "attempt", "attempts")
		}
	}
	if end := c.End(st.Ends); !end.IsZero() {
		row.Ends, row.EndsSoon = f.Day(end.At), end.At.Sub(f.Now) < 30*24*time.Hour
	} else if since := usage.SecretSince(c); !since.IsZero() {
		row.Age = age(f.Now.Sub(since)) + " old"
	}
	return row
}

const ninety = 90 // days

// ninetyDays are the days of a credential until today, of which nothing is rolled up yet.
func ninetyDays(what string, days []audit.Span, st audit.Standing, now time.Time) Ticks {
	ticks := make([]Tick, ninety)
	first := now.UTC().Truncate(24*time.Hour).AddDate(0, 0, 1-ninety)
	for _, d := range days {
		if i := int(d.At.Sub(first) / (24 * time.Hour)); i >= 0 && i < ninety {
			ticks[i] = dayTick(d)
		}
	}
	if !st.LastCheck.Before(first.AddDate(0, 0, ninety-1)) {
		today := map[verdict.Status]Tick{
			verdict.Healthy: Worked, verdict.Degraded: Reduced, verdict.Suspect: Doubted, verdict.Revoked: Refused,
		}[st.Status]
		ticks[ninety-1] = max(ticks[ninety-1], today)
	}
	return NewTicks("d90", what, "days", ticks)
}

// dayTick is the worst of a day.
func dayTick(d audit.Span) Tick {
	switch {
	case d.Rejected > 0 && verdict.Status(d.Status) == verdict.Suspect:
		return Doubted
	case d.Rejected > 0:
		return Refused
	case d.Checks > d.OK+d.Rejected+d.Uncertain:
		return Reduced
	case d.Uncertain > 0:
		return Elsewhere
	case d.Checks > 0:
		return Worked
	}
	return NotChecked
}

// chips are the statuses, with how many have each of the provider that is asked for; what else is asked for nobody has counted.
func chips(f Frame, l credentialList) []filterChip {
	all, counts := 0, map[verdict.Status]int{}
	for provider, statuses := range f.Nav.providers {
		for status, n := range statuses {
			if l.Provider == "" || l.Provider == provider {
				all, counts[status] = all+n, counts[status]+n
			}
		}
	}
	counted := l.counted()
	chip := func(s verdict.Status, m Mark, n int) filterChip {
		c := filterChip{URL: l.with("status", string(s)), Mark: m, Here: l.Status == string(s)}
		if counted && s != verdict.Retired {
			c.N = number(n)
		}
		return c
	}
	list := []filterChip{chip("", Mark{Word: "All"}, all)}
	for _, s := range chipOrder {
		if n := counts[s]; n > 0 || l.Status == string(s) {
			list = append(list, chip(s, statusMark(s), n))
		}
	}
	return append(list, chip(verdict.Retired, statusMark(verdict.Retired), 0))
}

const mostOptions = 40

// picks are the menus beside the search.
func (p *Pages) picks(ctx context.Context, f Frame, l credentialList) ([]filterPick, error) {
	option := func(key, value, chosen, word string) filterOption {
		return filterOption{l.with(key, value), word, value == chosen}
	}
	provider := filterPick{Name: "provider", Word: "Provider", Chosen: l.Provider}
	for _, name := range sortedProviders(f) {
		if len(provider.Options) < mostOptions {
			provider.Options = append(provider.Options, option("provider", name, l.Provider, name))
		}
	}
	owners, err := p.Registry.Owners(ctx, mostOptions)
	if err != nil {
		return nil, err
	}
	owner := filterPick{Name: "owner", Word: "Owner", Chosen: l.Owner, Free: "owner", Value: l.Owner}
	for _, name := range owners {
		owner.Options = append(owner.Options, option("owner", name, l.Owner, name))
	}
	label := filterPick{Name: "label", Word: "Label", Chosen: l.Label, Free: "label", Value: l.Label}
	chosen := map[string]string{"unused": "unused, undecided", "never_used": "never used, undecided"}[l.Usage]
	use := filterPick{Name: "usage", Word: "Usage", Chosen: chosen}
	use.Options = []filterOption{
		option("usage", "unused", l.Usage, "Unused for too long, nothing decided"),
		option("usage", "never_used", l.Usage, "Never used, nothing decided"),
	}
	ends := filterPick{Name: "ends", Word: "Secret", Chosen: map[string]string{"soon": "ends soon", "old": "too old"}[l.Ends]}
	ends.Options = []filterOption{option("ends", "soon", l.Ends, "Ends soon"), option("ends", "old", l.Ends, "Older than allowed")}
	sort := filterPick{Name: "sort", Word: "Sort", Chosen: "worst first"}
	if l.Sort == "name" {
		sort.Chosen = "name"
	}
	sort.Options = []filterOption{option("sort", "", l.Sort, "Worst first"), option("sort", "name", l.Sort, "Name")}
	all := []filterPick{provider, owner, label, use, ends, sort}
	for i, pick := range all[:5] {
		if pick.Chosen != "" {
			all[i].Options = append(pick.Options, filterOption{URL: l.with(pick.Name, ""), Word: "Any"})
		}
	}
	return all, nil
}

// Kept is where a form of the list keeps what else is asked for.
func (l credentialList) Kept() url.Values {
	kept := l.values()
	kept.Del("q")
	kept.Del("after")
	return kept
}
