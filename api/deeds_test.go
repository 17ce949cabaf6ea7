package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/keyrounds/keyrounds/api"
	"github.com/keyrounds/keyrounds/finding"
)

// do asks for a deed that must be answered with a status, and reads the answer.
func do[T any](h *house, want int, method, path, body string, header ...string) (v T) {
	h.Helper()
	a := h.ask(method, path, body, header...)
	if a.StatusCode != want {
		h.Fatalf("%s %s %s: HTTP %d, want %d: %s", method, path, body, a.StatusCode, want, a.body)
	}
	if err := json.Unmarshal(a.body, &v); err != nil {
		h.Fatalf("%s %s: %v: %s", method, path, err, a.body)
	}
	return v
}

type told struct{ Detail string }

const aNew = `{"name": "new", "provider": "idp", "client_id": "new", "client_secret": "` + canary + `",
	"owner": "web", "labels": {"env": "prod"}}`

// A credential is registered, tried, checked, edited, rotated, retired and restored, by name of who asked; its secret is in no
// answer.
func TestTheLifeOfACredential(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	got := do[api.CredentialJSON](h, http.StatusCreated, "POST", "/v1/credentials?first_check=as_scheduled", aNew)
	if got.Name != "new" || got.Secret != "sealed:" || got.Source != "command" || got.Status != "pending" {
		t.Errorf("%+v", got)
	}
	if p := do[told](h, http.StatusConflict, "POST", "/v1/credentials", aNew); !strings.Contains(p.Detail, "exists already") {
		t.Error(p.Detail)
	}
	if c := do[api.CheckJSON](h, 200, "POST", "/v1/credentials/new/try", `{"client_secret": "wrong"}`); c.Outcome != "rejected" {
		t.Errorf("a wrong secret: %+v", c)
	}
	c := do[api.CheckJSON](h, 200, "POST", "/v1/credentials/new/check", ``, "Ask", "responder")
	if c.Outcome != "ok" || c.Status != "healthy" {
		t.Errorf("its own: %+v", c)
	}
	edit := `{"owner": "ops", "scopes": ["read"], "labels": {}}`
	if c := do[api.CredentialJSON](h, 200, "PATCH", "/v1/credentials/new", edit); c.Owner != "ops" ||
		fmt.Sprint(c.Scopes, c.Labels) != "[read] map[]" || c.Status != "healthy" {
		t.Errorf("edited: %+v", c)
	}
	if c := do[api.CredentialJSON](h, 200, "POST", "/v1/credentials/new/rotate?first_check=as_scheduled",
		`{"client_secret": "another", "client_id": "new2"}`); c.ClientID != "new2" || c.Status != "pending" {
		t.Errorf("rotated: %+v", c)
	}
	if c := do[api.CredentialJSON](h, 200, "POST", "/v1/credentials/new/retire", ``); c.Status != "retired" || c.Retired.IsZero() {
		t.Errorf("retired: %+v", c)
	}
	do[told](h, http.StatusConflict, "POST", "/v1/credentials/new/retire", ``)
	do[told](h, http.StatusConflict, "PATCH", "/v1/credentials/new", `{"owner": "x"}`)
	again := `{"client_secret": "` + canary + `"}`
	if c := do[api.CredentialJSON](h, 200, "POST", "/v1/credentials/new/restore", again); c.Status != "pending" ||
		!c.Retired.IsZero() || c.ClientID != "new2" || c.Owner != "ops" {
		t.Errorf("restored: %+v", c)
	}
	actions := h.all("/v1/audit?subject=credential/new&fields=action,actor", "action", nil)
	want := "[credential.revived credential.retired credential.rotated credential.changed check.asked credential.tried credential.added]"
	if fmt.Sprint(actions) != want {
		t.Errorf("the record has %v, want %s", actions, want)
	}
	if p := into[page](h, "/v1/audit?actor=user+admin&action=credential.&limit=1"); p.Total != 6 {
		t.Errorf("of the admin it has %d", p.Total)
	}
}

// Many are registered, all or none.
func TestImport(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	row := `{"name": "%s", "provider": "%s", "client_id": "x", "client_secret": "` + canary + `"}`
	both := func(a, b string) string { return `{"credentials": [` + a + `,` + b + `]}` }
	good := both(fmt.Sprintf(row, "one", "idp"), fmt.Sprintf(row, "two", "idp"))
	bad := both(fmt.Sprintf(row, "one", "idp"), fmt.Sprintf(row, "two", "idq"))
	if p := do[told](h, 422, "POST", "/v1/credentials/import", bad); !strings.Contains(p.Detail, `unknown provider "idq"`) {
		t.Error(p.Detail)
	}
	if p := into[page](h, "/v1/credentials"); p.Total != 4 {
		t.Errorf("something was registered: %d", p.Total)
	}
	if out := do[api.ImportOut](h, 200, "POST", "/v1/credentials/import?first_check=as_scheduled", good); out.Registered != 2 {
		t.Errorf("%+v", out)
	}
	old := both(fmt.Sprintf(row, "two", "idp"), fmt.Sprintf(row, "three", "idp"))
	p := do[told](h, 422, "POST", "/v1/credentials/import?dry_run=true", old)
	if !strings.Contains(p.Detail, "It exists already; a new secret: keyrounds credentials rotate two.") {
		t.Error(p.Detail)
	}
}

// A dry run says whether a deed would be done, and does it not.
func TestDryRunsOfDeeds(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	do[api.CredentialJSON](h, 201, "POST", "/v1/credentials?first_check=as_scheduled", `{"name": "new", "provider": "idp",
		"client_id": "new", "client_secret": "`+canary+`", "owner": "web"}`)
	for path, of := range map[string]string{"PATCH ": `{"owner": "x"}`, "POST /retire": ``} {
		method, deed, _ := strings.Cut(path, " ")
		do[struct{}](h, 200, method, "/v1/credentials/new"+deed+"?dry_run=true", of)
		do[told](h, 409, method, "/v1/credentials/web-a"+deed+"?dry_run=true", of) // of the file
	}
	do[told](h, 409, "POST", "/v1/credentials/new/restore?dry_run=true", `{}`)
	if c := into[api.CredentialJSON](h, "/v1/credentials/new"); c.Owner != "web" || !c.Retired.IsZero() {
		t.Errorf("a dry run changed it: %+v", c)
	}
	do[told](h, 422, "PATCH", "/v1/credentials/new?dry_run=true", `{"schedule": "x"}`)
	do[struct{}](h, 200, "POST", "/v1/credentials/new/retire", ``)
	do[struct{}](h, 200, "POST", "/v1/credentials/new/restore?dry_run=true", `{}`)
	if c := into[api.CredentialJSON](h, "/v1/credentials/new"); c.Retired.IsZero() {
		t.Error("a dry run restored it")
	}
}

// The API brings secrets, which are sealed; what reaches into the host, and providers, are named in the file only.
func TestWhatTheFileAloneMayName(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	with := func(more string) string {
		return `{"name": "x", "provider": "idp", "client_id": "x", ` + more + `}`
	}
	for body, want := range map[string]string{
		with(`"client_secret": "env:DATABASE_URL"`):                                             "env: is a reference. References",
		with(`"client_secret": "file:/etc/shadow"`):                                             "file: is a reference.",
		with(`"client_secret": "exec:id"`):                                                      "exec: is a reference.",
		with(`"client_secret": "systemd:x"`):                                                    "systemd: is a reference.",
		with(`"client_secret": "vault:kv/a#b"`):                                                 "vault: is a reference.",
		with(`"client_secret": "sealed:"`):                                                      "sealed: is a reference.",
		with(`"client_secret": "two\nlines"`):                                                   "It is no secret",
		with(`"client_secret": "s", "secret": "env:X"`):                                         "References are named in the",
		with(`"client_secret": "s", "token_url": "https://x"`):                                  "Providers are named in the",
		`{"name": "x", "provider": "https://x", "client_id": "x", "client_secret": "s"}`:        "providers are named in the",
		`{"name": "x", "provider": {"token_url": "x"}, "client_id": "x", "client_secret": "s"}`: "The member provider may be",
		`{"name": "x", "provider": "idp", "client_id": "x"}`:                                    "The member client_secret is missing",
		`{"name": "X Y", "provider": "idp", "client_id": "x", "client_secret": 7}`:              "1 to 63 lower-case letters",
		with(`"client_secret": "s", "schedule": "often"`):                                       "schedule: ",
	} {
		if p := do[told](h, 422, "POST", "/v1/credentials", body); !strings.Contains(p.Detail, want) {
			t.Errorf("%s\nis answered with %s\nwant %s", body, p.Detail, want)
		}
	}
}

// What people do about a finding can be undone, and is in its timeline with their names.
func TestResponses(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	id := h.open(finding.Revoked, "web-a")[0]
	path := fmt.Sprintf("/v1/findings/%d/", id)
	for _, c := range []struct{ do, body, state, by, to string }{
		{"acknowledge", ``, "acknowledged", "user responder", ""},
		{"unacknowledge", ``, "open", "", ""},
		{"snooze", `{"for": "2h"}`, "snoozed", "", ""},
		{"unsnooze", ``, "open", "", ""},
		{"assign", `{"to": "ann"}`, "open", "", "ann"},
		{"comment", `{"text": "it is being moved"}`, "open", "", "ann"},
		{"false-alarm", `{"why": "we did it"}`, "acknowledged", "user responder", "ann"},
		{"unacknowledge", ``, "open", "", "ann"},
	} {
		f := do[api.FindingJSON](h, 200, "POST", path+c.do, c.body, "Ask", "responder")
		if string(f.State) != c.state || f.AcknowledgedBy != c.by || f.AssignedTo != c.to {
			t.Errorf("%s: %+v", c.do, f)
		}
	}
	want := "[finding.opened finding.acknowledged finding.reopened finding.snoozed finding.reopened finding.assigned finding.commented " +
		"finding.acknowledged finding.reopened]"
	if got := h.all(path+"timeline?limit=2", "action", nil); fmt.Sprint(got) != want {
		t.Errorf("the timeline has %v", got)
	}
	if p := into[page](h, "/v1/findings?assigned_to=ann"); p.Total != 1 {
		t.Errorf("ann has %d", p.Total)
	}
	for body, want := range map[string]string{
		`{}`: "one of them", `{"for": "soon"}`: "30m, 2h or 3d", `{"for": "2h", "until": "2030-01-01T00:00:00Z"}`: "one of them",
	} {
		if p := do[told](h, 422, "POST", path+"snooze", body); !strings.Contains(p.Detail, want) {
			t.Errorf("%s: %s", body, p.Detail)
		}
	}
	do[told](h, http.StatusConflict, "POST", path+"snooze", `{"until": "2001-01-01T00:00:00Z"}`)
	do[told](h, http.StatusNotFound, "POST", path+"acknowledge", ``, "Ask", "owner ops")
	do[api.FindingJSON](h, 200, "POST", path+"acknowledge", ``, "Ask", "owner web")
}

// Many are done at once, by ids or by a filter, and what is left out is said.
func TestBulk(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ids := h.open(finding.Revoked, "web-a", "web-b", "ops-a")
	out := do[api.BulkOut](h, 200, "POST", "/v1/findings/bulk", fmt.Sprintf(`{"do": "acknowledge", "ids": [%d, %d, 999]}`, ids[0], ids[2]),
		"Ask", "owner web")
	if fmt.Sprint(out.Done) != fmt.Sprint(ids[:1]) || len(out.Left) != 2 {
		t.Errorf("by ids: %+v", out)
	}
	out = do[api.BulkOut](h, 200, "POST", "/v1/findings/bulk", `{"do": "snooze", "for": "1d", "filter": {"owner": "ops"}}`)
	if fmt.Sprint(out.Done) != fmt.Sprint(ids[2:]) || len(out.Left) != 0 || out.More != 0 {
		t.Errorf("by a filter: %+v", out)
	}
	for body, want := range map[string]string{
		`{"do": "snooze", "ids": [1]}`:                         "one of them",
		`{"do": "acknowledge"}`:                                "ids, or filter",
		`{"do": "false_alarm", "ids": [1]}`:                    "The member why is missing",
		`{"do": "acknowledge", "ids": [1], "why": "x"}`:        "why is of false_alarm only",
		`{"do": "forget", "ids": [1]}`:                         "one of acknowledge, ",
		`{"do": "acknowledge", "filter": {"kind": "x"}}`:       "one of revoked",
		`{"do": "acknowledge", "filter": {"owner": "nobody"}}`: `No credential has the owner "nobody"`,
	} {
		if p := do[told](h, 422, "POST", "/v1/findings/bulk", body); !strings.Contains(p.Detail, want) {
			t.Errorf("%s: %s", body, p.Detail)
		}
	}
}

// Silences are made and ended, and an owner silences his own only.
func TestSilences(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := do[map[string]any](h, http.StatusCreated, "POST", "/v1/silences", `{"credential": "web-a", "for": "2h", "why": "we move it"}`,
		"Ask", "owner web")
	if into[page](h, "/v1/silences", "Ask", "owner ops").Total != 0 || into[page](h, "/v1/silences", "Ask", "owner web").Total != 1 {
		t.Error("a silence is shown to others, or not to its own")
	}
	path := fmt.Sprintf("/v1/silences/%v", s["id"])
	do[told](h, http.StatusNotFound, "DELETE", path, ``, "Ask", "owner ops")
	do[map[string]any](h, 200, "DELETE", path, ``, "Ask", "owner web")
	if into[page](h, "/v1/silences").Total != 0 || into[page](h, "/v1/silences?all=true").Total != 1 {
		t.Error("it does not end")
	}
	do[told](h, http.StatusForbidden, "POST", "/v1/silences", `{"provider": "idp", "for": "2h", "why": "x"}`, "Ask", "owner web")
	do[told](h, 422, "POST", "/v1/silences", `{"credential": "ops-a", "for": "2h", "why": "x"}`, "Ask", "owner web")
	do[told](h, http.StatusConflict, "POST", "/v1/silences", `{"provider": "idp", "for": "200d", "why": "x"}`)
}

// A month's report is frozen once.
func TestFreezing(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	p := do[told](h, http.StatusConflict, "POST", "/v1/reports", `{"month": "2026-01"}`)
	if !strings.Contains(p.Detail, "No feed watched") {
		t.Error(p.Detail)
	}
	anyway := `{"month": "2026-01", "anyway": true}`
	do[api.Frozen](h, http.StatusCreated, "POST", "/v1/reports", anyway)
	if p := do[told](h, http.StatusConflict, "POST", "/v1/reports", anyway); !strings.Contains(p.Detail, "amend it") {
		t.Error(p.Detail)
	}
	if f := do[api.Frozen](h, 200, "POST", "/v1/reports/2026-01/amend", `{"why": "logs came later"}`); f.Edition != 2 {
		t.Errorf("%+v", f)
	}
	if a := h.ask("GET", "/v1/reports/2026-01", ""); a.StatusCode != 200 || !strings.Contains(string(a.body), "<html") {
		t.Errorf("HTTP %d", a.StatusCode)
	}
	if p := into[page](h, "/v1/reports", "Ask", "owner web"); p.Total == 0 || p.Items[0]["owner"] != "web" {
		t.Errorf("%+v", p)
	}
	if n := len(h.all("/v1/reports?limit=2", "sha256", nil)); n != into[page](h, "/v1/reports").Total {
		t.Errorf("%d files", n)
	}
	do[told](h, http.StatusNotFound, "GET", "/v1/reports/2026-01?owner=ops", ``, "Ask", "owner web")
}
