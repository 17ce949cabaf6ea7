package api_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keyrounds/keyrounds/action"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/secret"
)

// add registers credentials of these names, of web.
func (h *house) add(names ...string) {
	h.Helper()
	var (
		cs []credential.Credential
		vs []secret.Value
	)
	for _, name := range names {
		cs = append(cs, credential.Credential{
			Name: name, Provider: "idp", Subject: name, Secret: secret.Sealed, Schedule: "@daily", Owner: "web",
			UnusedAfter: 90 * 24 * time.Hour,
		})
		vs = append(vs, secret.New([]byte(canary)))
	}
	if err := h.Actions.Add(h.Context(), "user test", cs, vs, action.AsScheduled, nil); err != nil {
		h.Fatal(err)
	}
}

// Whoever walks a list by its cursors sees each thing that was there once, whatever is added meanwhile, and the total counts all.
func TestPagesHaveEachThingOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	var names []string
	for i := range 30 {
		names = append(names, fmt.Sprintf("many-%02d", i))
	}
	h.add(names...)
	h.open(finding.Revoked, names...)
	h.open(finding.Unused, names...)
	more := 0
	later := func() {
		more++
		name := fmt.Sprintf("later-%02d", more)
		h.add(name)
		h.open(finding.Revoked, name)
	}
	for path, c := range map[string]struct {
		member string
		n      int
	}{
		"/v1/credentials?limit=7":               {"name", 34},
		"/v1/credentials?limit=7&sort=status":   {"name", 34},
		"/v1/usage?limit=7":                     {"credential", 34},
		"/v1/usage?limit=7&status=not_known":    {"credential", 34},
		"/v1/findings?limit=7":                  {"id", 60},
		"/v1/findings?limit=7&sort=newest":      {"id", 60},
		"/v1/findings?limit=7&resolved=true":    {"id", 60},
		"/v1/audit?limit=50":                    {"id", 60},
		"/v1/audit?limit=13&action=credential.": {"id", 34},
	} {
		total := into[page](h, path).Total
		before := h.all(path, c.member, nil)
		if len(before) < c.n || len(before) != total {
			t.Errorf("%s: %d things of %d in total, want at least %d", path, len(before), total, c.n)
		}
		while := h.all(path, c.member, later)
		for _, name := range before {
			if n := len(slices.DeleteFunc(slices.Clone(while), func(s string) bool { return s != name })); n != 1 {
				t.Errorf("%s: %s is there %d times", path, name, n)
			}
		}
	}
}

// Only the members that were asked for are there.
func TestFields(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	p := into[page](h, "/v1/credentials?fields=name,owner&limit=2")
	if want := "[map[name:ops-a owner:ops] map[name:ops-b owner:ops]]"; fmt.Sprint(p.Items) != want || p.Total != 4 || p.Next == "" {
		t.Errorf("%+v", p)
	}
}

// A page of the API and a command show a thing in the same words: it is one type, whose names stay.
func TestTheNamesStay(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.open(finding.Revoked, "web-a")
	for path, want := range map[string]string{
		"/v1/credentials?limit=1": "name provider client_id secret description scopes owner labels schedule unused_after max_age canary " +
			"expected_networks source status status_since outcome reason latency_ms message next_check_at next_check_why registered_at",
		"/v1/findings": "id kind severity state credential provider title opened_at updated_at evidence",
		"/v1/usage?limit=1": "credential provider owner usage last_used_at last_used_from last_used_by days_unused coverage " +
			"coverage_reason reason unused_scopes rhythm quiet_hours first_used_at uses not_allowed attempts " +
			"first_attempt_at last_attempt_at",
		"/v1/feeds": "feed provider type format partial configured first_at counts samples learned silence_s",
	} {
		item := into[page](h, path).Items[0]
		for _, name := range strings.Fields(want) {
			if _, has := item[name]; !has {
				t.Errorf("%s lacks %s: %v", path, name, item)
			}
			delete(item, name)
		}
		if len(item) > 0 {
			t.Errorf("%s has more: %v", path, item)
		}
	}
	if a := h.ask(http.MethodGet, "/v1/reports/2020-01", ""); a.StatusCode != http.StatusNotFound {
		t.Errorf("no report: HTTP %d", a.StatusCode)
	}
}
