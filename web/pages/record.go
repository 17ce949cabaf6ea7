package pages

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/keyrounds/keyrounds/audit"
)

// recordPage is GET /record: who did what, the newest first, 50 at a time.
type recordPage struct {
	Frame
	Menus  []menu
	Rows   []recordRow
	Turn   turn
	Export string
	Empty  *hollow
}

// recordRow is an entry of the record.
type recordRow struct {
	ID           int64
	At           Moment
	Who, What    string
	About        string
	URL          string // of what it is about; "": it has no page
	WhoURL       string // the same list of whoever did it
	Detail, More string // the first of it, and all of it where that is more
}

// recordActions are how actions begin.
var recordActions = []choice{
	{"finding.", "Findings"},
	{"credential.", "Credentials"},
	{"check.", "Checks"},
	{"decision.", "Decisions"},
	{"report.", "Reports"},
	{"silence.", "Silences"},
	{"notification.", "Messages"},
	{"receiver.", "Receivers"},
	{"usage.", "Usage"},
	{"secret.", "Secrets"},
	{"access.", "Access"},
	{"person.", "People"},
	{"token.", "API tokens"},
	{"session.", "Sessions"},
	{"daemon.", "The daemon"},
}

func (p *Pages) record(w http.ResponseWriter, r *http.Request) {
	page := recordPage{Frame: p.Frame(w, r, "Record", "record")}
	a, ok := readAsked(r, "actor", "action", "subject", "since", "until")
	if !ok {
		p.oddAddress(w, r)
		return
	}
	if err := p.fillRecord(r.Context(), &page, a); err != nil {
		p.fail(w, r, err)
		return
	}
	p.Show(w, r, http.StatusOK, "record", page)
}

func (p *Pages) fillRecord(ctx context.Context, page *recordPage, a asked) error {
	since, until := a.day("since", page.zone()), a.day("until", page.zone())
	if !until.IsZero() {
		until = until.AddDate(0, 0, 1) // with the day itself
	}
	q := audit.Record{
		Actor: a.get("actor"), Action: a.get("action"), Subject: a.get("subject"), Since: since, Until: until, After: a.number("after"),
		Limit: onePage + 1,
	}
	var ids []int64
	err := p.Audit.Entries(ctx, q, func(e audit.Entry) error {
		if ids = append(ids, e.ID); len(ids) <= onePage {
			page.Rows = append(page.Rows, recordRowOf(page.Frame, a, e))
		}
		return nil
	})
	if err != nil {
		return err
	}
	next := ""
	if len(ids) > onePage {
		next = strconv.FormatInt(ids[onePage-1], 10)
	}
	page.Turn = a.turn(len(page.Rows), "entry", next)
	page.Turn.Text = strings.Replace(page.Turn.Text, "entrys", "entries", 1)
	page.Menus = []menu{
		a.menu("action", "What", recordActions...).free("Another: finding.opened", "text"),
		a.menu("actor", "Who", choice{audit.Daemon, "keyrounds itself"}).free("Who: user ann", "text"),
		a.menu("subject", "About").free("About: credential/NAME", "text"), a.menu("since", "From").free("From this day on", "date"),
		a.menu("until", "Until").free("Until the end of", "date"),
	}
	page.Export = recordExport(a, since, until)
	if len(page.Rows) == 0 {
		page.Empty = &hollow{"n-record", "Nothing of that is in the record.", "Take a filter away, or", &link{a.path, "see all of it."}}
	}
	return nil
}

// recordExport is where the API gives what is chosen, whole.
func recordExport(a asked, since, until time.Time) string {
	q := url.Values{}
	for _, key := range []string{"actor", "action", "subject"} {
		if v := a.get(key); v != "" {
			q.Set(key, v)
		}
	}
	if !since.IsZero() {
		q.Set("since", since.UTC().Format(time.RFC3339))
	}
	if !until.IsZero() {
		q.Set("until", until.UTC().Format(time.RFC3339))
	}
	if len(q) == 0 {
		return "/api/v1/audit/export"
	}
	return "/api/v1/audit/export?" + q.Encode()
}

func recordRowOf(f Frame, a asked, e audit.Entry) recordRow {
	row := recordRow{
		ID: e.ID, At: f.When(e.At), Who: short(e.Actor), What: e.Action, About: e.Subject, URL: subjectPath(e.Subject),
		WhoURL: a.with("actor", e.Actor),
	}
	var d map[string]any
	if json.Unmarshal(e.Detail, &d) != nil || len(d) == 0 {
		return row
	}
	if id, ok := d["finding"].(float64); ok && id > 0 {
		row.URL = fmt.Sprintf("/findings/%d", int64(id))
	}
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(d)) {
		if text, ok := plainValue(d[key]); ok {
			parts = append(parts, strings.ReplaceAll(key, "_", " ")+": "+text)
		}
	}
	row.Detail = cut(strings.Join(parts, ", "), mostDetail)
	var whole bytes.Buffer
	if json.Indent(&whole, e.Detail, "", "  ") == nil && (whole.Len() > mostDetail || len(parts) < len(d)) {
		row.More = cut(whole.String(), mostWhole)
	}
	return row
}

const (
	mostDetail = 160  // characters of a row
	mostWhole  = 1500 // likewise, of what opens below it
)

// plainValue is a value of a detail in a line; false: it is empty, or has parts.
func plainValue(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, v != ""
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), true
	case bool:
		return strconv.FormatBool(v), true
	}
	return "", false
}

// cut is the beginning of a text.
func cut(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}

// subjectPath is the page of a subject of the record; "": it has none.
func subjectPath(subject string) string {
	kind, name, _ := strings.Cut(subject, "/")
	switch kind {
	case "credential":
		return credentialPath(name)
	case "provider":
		return "/providers/" + url.PathEscape(name)
	case "report":
		return cmp.Or(map[bool]string{true: reportPath(name, "", 0)}[len(name) == len("2026-10")], "/reports")
	case "receiver":
		return "/settings#receivers"
	}
	return ""
}
