package api_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/keyrounds/keyrounds/finding"
)

// Whoever may see nothing of the others does not: they are in no list and no total, and there is no such thing by name.
func TestAnOwnerSeesHisOwn(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ids := h.open(finding.Revoked, "web-a", "ops-a", "ops-b")
	web := []string{"Ask", "owner web"}
	if names := h.all("/v1/credentials", "name", nil, web...); !slices.Equal(names, []string{"web-a", "web-b"}) {
		t.Errorf("web sees %v", names)
	}
	if p := into[page](h, "/v1/credentials", web...); p.Total != 2 {
		t.Errorf("web counts %d", p.Total)
	}
	if p := into[page](h, "/v1/findings", web...); p.Total != 1 || len(p.Items) != 1 || p.Items[0]["credential"] != "web-a" {
		t.Errorf("web finds %+v", p)
	}
	_ = ids
	if a := h.ask(http.MethodGet, "/v1/credentials/ops-a", "", web...); a.StatusCode != http.StatusNotFound {
		t.Errorf("a credential of others: HTTP %d", a.StatusCode)
	}
}

// What is asked for wrongly is answered with what it may be, and never with an empty list.
func TestWhatIsWrongIsSaid(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for path, want := range map[string]string{
		"/v1/findings?kind=revokd":      `kind is "revokd"; it may be one of revoked, `,
		"/v1/findings?limit=1001":       `limit is "1001"; it may be a whole number from 1 to 1000.`,
		"/v1/findings?limit=ten":        `limit is "ten"; it may be a whole number from 1 to 1000.`,
		"/v1/findings?resolved=maybe":   `resolved is "maybe"; it may be true or false.`,
		"/v1/findings?stat=open":        `There is no parameter "stat" here; there are limit, cursor, fields, kind, `,
		"/v1/findings?credential=web-x": `No credential "web-x" is registered.`,
		"/v1/findings?provider=x":       `No provider "x" is configured, and no credential is of it.`,
		"/v1/findings?owner=x":          `No credential has the owner "x".`,
		"/v1/findings?cursor=x":         `cursor is "x"; it may be next of a page of this list only.`,
		"/v1/findings?fields=id,kin":    `it may be `,
		"/v1/findings?limit=1&limit=2":  `The parameter "limit" is given 2 times; give it once.`,
		"/v1/credentials?q=%ff":         `The parameter "q" is not UTF-8 text.`,
		"/v1/credentials?status=sick":   `status is "sick"; it may be one of `,
		"/v1/credentials?a=%zz":         `The parameters after ? cannot be read`,
	} {
		a := h.ask(http.MethodGet, path, "")
		var p struct {
			Detail string
			Status int
		}
		if err := json.Unmarshal(a.body, &p); err != nil || a.StatusCode != http.StatusUnprocessableEntity || p.Status != a.StatusCode ||
			!strings.Contains(p.Detail, want) {
			t.Errorf("%s: HTTP %d %s, want %q", path, a.StatusCode, a.body, want)
		}
	}
	for path, want := range map[string]int{
		"/v1/nothing": http.StatusNotFound, "/v1/findings/9": http.StatusNotFound, "/v1/credentials/%ff": http.StatusNotFound,
		"/v1/findings/x": http.StatusUnprocessableEntity,
	} {
		if a := h.ask(http.MethodGet, path, ""); a.StatusCode != want {
			t.Errorf("%s: HTTP %d %s, want %d", path, a.StatusCode, a.body, want)
		}
	}
	a := h.ask(http.MethodPut, "/v1/findings", "")
	if a.StatusCode != http.StatusMethodNotAllowed || a.Header.Get("Allow") != "GET" {
		t.Errorf("PUT: HTTP %d %s", a.StatusCode, a.Header.Get("Allow"))
	}
}
