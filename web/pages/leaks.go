package pages

import (
	"context"
	"fmt"
	"net/http"
	"strconv"

	"github.com/keyrounds/keyrounds/leak"
)

// leaksPage is GET /leaks: where secrets were seen, 50 at a time; and its parts, what is searched, and which secrets are proven dead.
type leaksPage struct {
	Frame
	Heading, Below string
	Tabs           []filterOption
	Places         []leakPlace
	Sources        []sourceRow
	Secrets        []questionedRow
	Turn           turn
	Empty          *hollow
}

// leakPlace is a piece of evidence about a credential.
type leakPlace struct {
	Name, URL string
	Sure      string
	placeRow
}

// sourceRow is what is searched, and what was not.
type sourceRow struct {
	Name, Path        string
	Mark              Mark
	Below             string
	Scanned, Next     Moment
	Took, Read, Found string
	Left              string // "": nothing was left out
}

// questionedRow is a secret that got out or was replaced.
type questionedRow struct {
	Name, URL, Which string
	Mark             Mark
	Below            string
	At               Moment
	Next             Moment
	Death            *deathRow
}

func leakTabs(here string) []filterOption {
	return []filterOption{
		{"/leaks", "Places", here == "/leaks"},
		{"/leaks/proofs", "Old secrets and proofs", here == "/leaks/proofs"},
		{"/leaks/sources", "What is searched", here == "/leaks/sources"},
	}
}

// leakPart answers with a part of the leaks, which fill fills in.
func (p *Pages) leakPart(w http.ResponseWriter, r *http.Request, title, below string, fill func(context.Context, *leaksPage, asked) error) {
	page := leaksPage{Frame: p.Frame(w, r, title, "leaks"), Heading: title, Below: below, Tabs: leakTabs(r.URL.Path)}
	page.Live = true
	a, ok := readAsked(r)
	if !ok {
		p.oddAddress(w, r)
		return
	}
	if err := fill(r.Context(), &page, a); err != nil {
		p.fail(w, r, err)
		return
	}
	p.Show(w, r, http.StatusOK, "leaks", page)
}

func (p *Pages) leaks(w http.ResponseWriter, r *http.Request) {
	p.leakPart(w, r, "Leaks", "Where something of a registered secret was seen. No text around a secret is kept.", p.fillPlaces)
}

func (p *Pages) leakProofs(w http.ResponseWriter, r *http.Request) {
	p.leakPart(
		w, r, "Old secrets and proofs", "A secret that got out or was replaced is tried again and again until it is proven dead.",
		p.fillProofs,
	)
}

func (p *Pages) leakSources(w http.ResponseWriter, r *http.Request) {
	p.leakPart(
		w, r, "What is searched", "Where keyrounds looks for the registered secrets, and what it could not read there.", p.fillSources,
	)
}

// sureness is how strong a kind of evidence is, in words.
var sureness = map[leak.EvidenceKind]string{
	leak.BySecret: "the secret itself", leak.BySignal: "a signal says so", leak.ByPart: "a part of it",
	leak.ByUse:      "used as only a thief would",
	leak.ByReplaced: "somebody else replaced it", leak.ByClientID: "the client id, no secret",
}

func (p *Pages) fillPlaces(ctx context.Context, page *leaksPage, a asked) error {
	_, all, err := p.Leaks.Page(ctx, leak.Pieces{After: a.number("after"), Limit: onePage + 1})
	if err != nil {
		return err
	}
	next := ""
	if len(all) > onePage {
		all = all[:onePage]
		next = strconv.FormatInt(all[onePage-1].ID, 10)
	}
	names, err := p.namesOf(ctx, len(all), func(i int) int64 { return all[i].CredentialID })
	if err != nil {
		return err
	}
	for _, piece := range all {
		name := names[piece.CredentialID]
		page.Places = append(page.Places, leakPlace{name, credentialPath(name), sureness[piece.Kind], placeOf(page.Frame, piece.Sighting)})
	}
	page.Turn = a.turn(len(all), "place", next)
	if len(all) == 0 {
		page.Empty = &hollow{
			"resolved", "No registered secret was seen anywhere.", "It is known as far as something is searched, or reports what it finds.",
			&link{"/leaks/sources", "What is searched"},
		}
	}
	return nil
}

// namesOf are the names of credentials, by id.
func (p *Pages) namesOf(ctx context.Context, n int, id func(int) int64) (map[int64]string, error) {
	ids, names := make([]int64, n), map[int64]string{}
	for i := range ids {
		ids[i] = id(i)
	}
	named, err := p.Registry.These(ctx, ids)
	for id, c := range named {
		names[id] = c.Name
	}
	return names, err
}

func (p *Pages) fillProofs(ctx context.Context, page *leaksPage, a asked) error {
	_, all, err := p.Leaks.InQuestion(ctx, leak.Pieces{After: a.number("after"), Limit: onePage + 1}, false)
	if err != nil {
		return err
	}
	next := ""
	if len(all) > onePage {
		all = all[:onePage]
		next = strconv.FormatInt(all[onePage-1].ID, 10)
	}
	names, err := p.namesOf(ctx, len(all), func(i int) int64 { return all[i].CredentialID })
	if err != nil {
		return err
	}
	for _, q := range all {
		page.Secrets = append(page.Secrets, questionedOf(page.Frame, names[q.CredentialID], q))
	}
	page.Turn = a.turn(len(all), "secret", next)
	if len(all) == 0 {
		page.Empty = &hollow{
			"resolved", "No secret got out, and none was replaced.",
			"When one is, it stands here until it is proven that it works no more.", nil,
		}
	}
	return nil
}

func questionedOf(f Frame, name string, q leak.Questioned) questionedRow {
	row := questionedRow{
		Name: name, URL: credentialPath(name), Which: "replaced " + f.Day(q.Replaced).Text,
		Mark: Mark{"", "unknown", "Not tried yet"}, At: f.When(q.WorksAt),
		Next: f.When(q.NextTry),
	}
	if q.Replaced.IsZero() {
		row.Which = "the present one"
	}
	if q.Leaked {
		row.Which += ", got out"
	}
	switch {
	case !q.Dead.IsZero():
		row.Mark, row.At, row.Next = Mark{"ok", "resolved", "Proven dead"}, f.When(q.Dead), Moment{}
	case q.GivenUp():
		row.Mark = Mark{"", "unknown", "Never worked"}
	case q.Works != nil && *q.Works && q.Replaced.IsZero() && !q.Leaked:
		row.Mark = Mark{"ok", "healthy", "Works, as it should"}
	case q.Works != nil && *q.Works:
		row.Mark = Mark{"bad", "critical", "Still works"}
	case len(q.Refused) > 0:
		row.Mark, row.Below = Mark{"sus", "suspect", "Refused, not proven"}, count(len(q.Refused), "time")
	}
	if q.Dead.IsZero() && !q.Replaced.IsZero() && !q.Kept && !q.GivenUp() {
		row.Below = "keyrounds does not have it, so it cannot be tried"
	}
	if q.Proof != nil {
		d := deathOf(f, *q.Proof)
		row.Death = &d
	}
	return row
}

func (p *Pages) fillSources(ctx context.Context, page *leaksPage, a asked) error {
	all, err := p.Sources(ctx)
	if err != nil {
		return err
	}
	from := int(min(a.number("after"), int64(len(all))))
	for _, s := range all[from:min(len(all), from+onePage)] {
		row := sourceRow{
			Name: s.Name, Path: s.Path, Mark: Mark{"ok", "healthy", "Searched"}, Scanned: page.When(s.Scanned), Next: page.When(s.Next),
			Found: number(s.Found), Read: bytesWord(s.Bytes),
		}
		if s.Took > 0 {
			row.Took = millis(s.Took)
		}
		if s.Skipped > 0 {
			row.Left = number(s.Skipped) + " files or parts were not searched"
			row.Mark = Mark{"less", "degraded", "In part"}
		}
		switch {
		case s.Error != "":
			row.Mark, row.Below = Mark{"less", "warning", "Fails"}, s.Error
		case s.Scanned.IsZero():
			row.Mark = Mark{"", "pending", "Not yet"}
		}
		page.Sources = append(page.Sources, row)
	}
	next := ""
	if from+len(page.Sources) < len(all) {
		next = strconv.Itoa(from + onePage)
	}
	page.Turn = a.turn(len(page.Sources), "source", next)
	if len(all) == 0 {
		page.Empty = &hollow{
			"search", "Nothing is searched.",
			"Name directories and repositories in the configuration file (leaks: sources:), or have another scanner report what " +
				"it finds; then a secret that got out is found here first.",
			nil,
		}
	}
	return nil
}

// bytesWord is a size as people say it.
func bytesWord(n int64) string {
	const unit = 1000
	f, units := float64(n), []string{"B", "kB", "MB", "GB", "TB"}
	for len(units) > 1 && f >= unit {
		f, units = f/unit, units[1:]
	}
	if f >= 10 || units[0] == "B" {
		return fmt.Sprintf("%.0f %s", f, units[0])
	}
	return fmt.Sprintf("%.1f %s", f, units[0])
}
