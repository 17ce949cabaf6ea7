package pages

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/keyrounds/keyrounds/finding"
)

// asked is what the address of a list asks for: all of it is in the URL.
type asked struct {
	path string
	q    url.Values
}

// readAsked takes from an address what a list knows of; of a text that no list has it answers false.
func readAsked(r *http.Request, known ...string) (a asked, ok bool) {
	a = asked{r.URL.Path, url.Values{}}
	for key, values := range r.URL.Query() {
		if !slices.Contains(known, key) && key != "after" || len(values) != 1 || values[0] == "" {
			continue
		}
		value := strings.TrimSpace(values[0])
		if may, listed := mayBe[key]; len(value) > 500 || listed && !may(value) {
			return a, false
		}
		a.q.Set(key, value)
	}
	return a, true
}

// mayBe says what the values of some filters may be: one that is none would show all, or nothing, and not say why.
var mayBe = map[string]func(string) bool{
	"kind":     func(v string) bool { return slices.Contains(finding.Kinds(), finding.Kind(v)) },
	"severity": func(v string) bool { return slices.Contains(severities, finding.Severity(v)) },
	"state":    func(v string) bool { return slices.Contains(views, v) },
	"since":    isDay,
	"until":    isDay,
}

var (
	severities = []finding.Severity{finding.Critical, finding.Warning, finding.Info}
	views      = []string{
		viewMine, viewNobody, viewSnoozed, viewResolved, viewFalseAlarms, string(finding.Open), string(finding.Acknowledged),
	}
)

func isDay(text string) bool {
	_, err := time.Parse(time.DateOnly, text)
	return err == nil
}

func (a asked) get(key string) string { return a.q.Get(key) }

// number is a value that is a number; 0 where it is none.
func (a asked) number(key string) int64 {
	n, err := strconv.ParseInt(a.q.Get(key), 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// day is a value that is a day, in a zone; the zero Time where it is none.
func (a asked) day(key string, zone *time.Location) time.Time {
	t, err := time.ParseInLocation(time.DateOnly, a.q.Get(key), zone)
	if err != nil {
		return time.Time{}
	}
	return t
}

// with is the address with another value of one thing, from the first page on; "" takes it away.
func (a asked) with(key, value string) string {
	q := url.Values{}
	for k, values := range a.q {
		if k != "after" && k != key {
			q[k] = values
		}
	}
	if value != "" {
		q.Set(key, value)
	}
	if len(q) == 0 {
		return a.path
	}
	return a.path + "?" + q.Encode()
}

// after is the address of the page that begins after a place.
func (a asked) after(place string) string {
	q := url.Values{}
	for k, values := range a.q {
		q[k] = values
	}
	q.Set("after", place)
	return a.path + "?" + q.Encode()
}

// any is whether anything but a place is asked for.
func (a asked) any() bool { return a.with("", "") != a.path }

// menu is a choice of one value, or a field for one, as the part "menu" shows it.
type menu struct {
	Path, Name, Word string
	Chosen           string // "": nothing is
	Options          []filterOption
	Free             string // the label of a field for what is not listed; "": there is none
	Value, Type      string // of that field
	Kept             []kept
}

// kept is something else that is asked for, which a form sends again.
type kept struct{ Name, Value string }

func (a asked) kept(without ...string) (all []kept) {
	for name, values := range a.q {
		if name != "after" && !slices.Contains(without, name) {
			all = append(all, kept{name, values[0]})
		}
	}
	slices.SortFunc(all, func(x, y kept) int { return strings.Compare(x.Name, y.Name) })
	return all
}

// choice is a value of a menu, and the word for it.
type choice struct{ Value, Word string }

// menu makes one of choices. Where something is chosen the last of them takes that away.
func (a asked) menu(name, word string, choices ...choice) menu {
	m := menu{Path: a.path, Name: name, Word: word, Value: a.get(name), Type: "text", Kept: a.kept(name)}
	for _, c := range choices {
		here := c.Value == m.Value
		if here {
			m.Chosen = c.Word
		}
		m.Options = append(m.Options, filterOption{a.with(name, c.Value), c.Word, here})
	}
	if m.Value != "" {
		if m.Chosen == "" {
			m.Chosen = m.Value
		}
		m.Options = append(m.Options, filterOption{URL: a.with(name, ""), Word: "Any"})
	}
	return m
}

// free gives a menu a field for what it does not list.
func (m menu) free(label, kind string) menu {
	m.Free, m.Type = label, kind
	return m
}

// search is a field for words, as the part "search" shows it.
type search struct {
	Path, Label, Value string
	Kept               []kept
}

func (a asked) search(label string) search { return search{a.path, label, a.get("q"), a.kept("q")} }

// turn says what a page of a list shows, and leads on; unlike a Pager it does not say of how many where nobody has counted.
type turn struct {
	Text        string
	First, Next string
}

// turn makes one for a page of n things. next is the place after which the next begins; "": there is none.
func (a asked) turn(n int, thing, next string) (t turn) {
	t.Text = count(n, thing)
	if next != "" {
		t.Text, t.Next = "the first "+t.Text, a.after(next)
	}
	if a.get("after") != "" {
		t.First = a.with("after", "")
		if next != "" {
			t.Text = "the next " + count(n, thing)
		}
	}
	return t
}

// oddAddress answers an address that asks for what no list has.
func (p *Pages) oddAddress(w http.ResponseWriter, r *http.Request) {
	p.Problem(w, r, http.StatusBadRequest, "This address asks for what no list has.", "Begin again at "+r.URL.Path+".")
}
