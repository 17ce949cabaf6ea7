package api_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var lists = []string{
	"/v1/credentials", "/v1/findings", "/v1/usage", "/v1/attempts", "/v1/unregistered", "/v1/feeds", "/v1/reports", "/v1/leaks",
	"/v1/proofs",
	"/v1/sources", "/v1/silences", "/v1/receivers", "/v1/notifications", "/v1/audit", "/v1/providers", "/v1/credentials/web-a/checks",
	"/v1/credentials/web-a/history", "/v1/findings/1/timeline", "/v1/reports/2026-01", "/v1/audit/export",
}

// Whatever stands after a ?, the answer is what was asked for or a problem of whoever asked, never ours.
func TestHostileParameters(t *testing.T) {
	t.Parallel()
	queries := []string{
		"limit=50&cursor=", "cursor=bnVsbA", "cursor=W10", "cursor=eyJhdCI6IjAwMDEtMDEtMDFUMDA6MDA6MDBaIiwiaWQiOiJ4In0",
		"cursor=OTIyMzM3MjAzNjg1NDc3NTgwOA",
		"cursor=Ijku", "cursor=IjUuYSI", "cursor=LTE", "since=0001-01-01T00:00:00Z", "since=9999-12-31T23:59:59Z",
		"since=292277026596-12-04T15:30:08Z",
		"q=%00", "q=%27%3B--", "owner=%e2%80%ae", "fields=id,id", "fields=", "limit=9223372036854775808", "limit=1e3", "a[b]=c",
		"q=\xff", ";", "%",
		"month=9999-99", "edition=99999999999", "finding=9223372036854775807", "kind=revoked&state=open&severity=critical&sort=newest",
		"actor=x&action=finding.&subject=y&until=2026-01-01T00:00:00%2B01:00",
	}
	texts := rapid.String()
	for i := range 40 {
		name := []string{"cursor", "limit", "since", "q", "owner", "fields", texts.Example(i)}[i%7]
		queries = append(queries, url.Values{name: {texts.Example(100 + i)}}.Encode(), name+"="+texts.Example(200+i))
	}
	h := newHouse(t)
	for _, query := range queries {
		for _, path := range lists {
			u := url.URL{Path: path, RawQuery: query}
			if strings.ContainsFunc(query, func(c rune) bool { return c <= ' ' || c == 0x7f }) {
				continue // Go's server takes no such line
			}
			if a := h.ask(http.MethodGet, u.RequestURI(), ""); a.StatusCode >= 500 {
				t.Errorf("%s?%q: HTTP %d: %s", path, query, a.StatusCode, a.body)
			}
		}
	}
}

// Whatever a body is, the answer is a problem of whoever sent it, or it is done.
func TestHostileBodies(t *testing.T) {
	t.Parallel()
	bodies := []string{
		`{}`, `null`, `[]`, `{"name": null}`, aNew, strings.Replace(aNew, `"web"`, `"\u0000"`, 1),
		`{"do": "comment", "text": "\u0000", "ids": [1]}`,
		`{"credentials": [{}]}`, `{"credentials": [null]}`, "{\"why\": \"\xff\"}", `{"for": "9999999d", "why": "x", "provider": "idp"}`,
		`{"until": "0001-01-01T00:00:00Z", "why": "x", "provider": "idp"}`, `{"until": "9999-12-31T23:59:59Z"}`, `{"to": "\ud800"}`,
		`{"labels": {"": ""}}`, `{"owner": "\u0000"}`, `{"month": "0000-00"}`, `{"month": "9999-12", "anyway": true}`,
		`{"ids": [-1], "do": "acknowledge"}`,
		`{"filter": {}, "do": "assign"}`, `{"filter": null, "ids": null, "do": "assign"}`, `{"kind": "revoked"}`,
		`{"text": {"a": {"b": []}}}`,
		`{"expires": "x", "client_secret": "y"}`, `{"labels": {"env": "\u0000"}, "for": "1h", "why": "x"}`,
	}
	texts := rapid.String()
	for i := range 20 {
		value, err := json.Marshal(texts.Example(i))
		if err != nil {
			t.Fatal(err)
		}
		form := `{"why": X, "to": X, "text": X, "for": X, "name": X, "provider": X, "client_id": X, "client_secret": X, "month": X}`
		bodies = append(bodies, strings.ReplaceAll(form, "X", string(value)))
	}
	h := newHouse(t)
	h.fill()
	for _, body := range bodies {
		h.operations(func(method, path string, op operation) {
			if method == http.MethodGet || op.RequestBody == nil || op.ID == "testReceivers" {
				return
			}
			if a := h.ask(method, of(path, "web-a", 1), body); a.StatusCode >= 500 {
				t.Errorf("%s %s %q: HTTP %d: %s", method, path, body, a.StatusCode, a.body)
			}
		})
	}
}

// A body that is too large, or no JSON, is refused before anything reads it.
func TestBodiesThatAreNone(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	large := `{"name": "` + strings.Repeat("x", 300<<10) + `"}`
	ids := `{"do": "acknowledge", "ids": [` + strings.Repeat("1,", 1000) + `1]}`
	many := `{"credentials": []` + strings.Repeat(" ", 33<<20) + `}`
	for name, c := range map[string]struct {
		path, body, media string
		want              int
	}{
		"too large":      {"/v1/credentials", large, "application/json", http.StatusRequestEntityTooLarge},
		"with a key":     {"/v1/findings/1/comment", large, "application/json", http.StatusRequestEntityTooLarge},
		"not JSON":       {"/v1/credentials", "name=x", "application/json", http.StatusBadRequest},
		"another type":   {"/v1/credentials", "<x/>", "application/xml", http.StatusUnsupportedMediaType},
		"none":           {"/v1/credentials", "", "application/json", http.StatusBadRequest},
		"too many":       {"/v1/findings/bulk", ids, "application/json", 422},
		"a large import": {"/v1/credentials/import", many, "application/json", http.StatusRequestEntityTooLarge},
	} {
		for _, key := range []string{"", "k-" + strings.ReplaceAll(name, " ", "-")} {
			header := []string{"Content-Type", c.media}
			if key != "" {
				header = append(header, "Idempotency-Key", key)
			}
			if a := h.ask("POST", c.path, c.body, header...); a.StatusCode != c.want {
				t.Errorf("%s: HTTP %d, want %d: %.300s", name, a.StatusCode, c.want, a.body)
			}
		}
	}
}
