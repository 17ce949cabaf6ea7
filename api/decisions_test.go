package api_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/keyrounds/keyrounds/decision"
	"github.com/keyrounds/keyrounds/report"
)

// Whoever may decides of a credential, in place of what was decided before, and takes it back; others may not, or see no such thing.
// All of it is in the record.
func TestDeciding(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	web := []string{"Ask", "owner web"}
	path := "/v1/credentials/web-a/decide"
	d := do[decision.Decision](h, 200, "POST", path, `{"choice": "keep", "why": " it runs at\u0007 the end of a year "}`, web...)
	if days := d.Until.Sub(decision.Day(time.Now())); d.Credential != "web-a" || d.Choice != decision.Keep || days != 90*24*time.Hour ||
		d.By != "user owner" || d.Over || strings.Contains(d.Why, "\a") {
		t.Errorf("%+v", d)
	}
	day := time.Now().UTC().AddDate(0, 2, 0).Format(time.DateOnly)
	d = do[decision.Decision](h, 200, "POST", path, `{"choice": "revoke", "until": "`+day+`", "why": "nobody knows it"}`)
	if d.Choice != decision.Revoke || d.Until.Format(time.DateOnly) != day {
		t.Errorf("%+v", d)
	}
	do[decision.Decision](h, 200, "POST", "/v1/credentials/ops-a/decide", `{"choice": "rotate", "why": "it is old"}`)
	for query, want := range map[string]int{
		"": 2, "?choice=revoke": 1, "?over=false": 2, "?over=true": 0, "?owner=ops": 1, "?credential=web-a": 1,
		"?credential=web-b": 0, "?credential=web-a&owner=ops": 0,
	} {
		if p := into[page](h, "/v1/decisions"+query); p.Total != want || len(p.Items) != want {
			t.Errorf("%s: %+v", query, p)
		}
	}
	if p := into[page](h, "/v1/decisions", web...); p.Total != 1 || p.Items[0]["choice"] != "revoke" {
		t.Errorf("web sees %+v", p)
	}
	if names := h.all("/v1/decisions?limit=1", "credential", nil); strings.Join(names, " ") != "ops-a web-a" {
		t.Errorf("by pages: %v", names)
	}
	later := time.Now().UTC().AddDate(1, 0, 1).Format(time.DateOnly)
	for body, want := range map[string]int{
		`{"choice": "forget", "why": "x"}`: 422, `{"choice": "keep"}`: 422, `{"choice": "keep", "why": "x", "until": "soon"}`: 422,
		`{"choice": "keep", "why": "x", "until": "2001-01-01"}`: 409, `{"choice": "keep", "why": "x", "until": "` + later + `"}`: 409,
	} {
		do[told](h, want, "POST", path, body)
	}
	do[told](h, http.StatusForbidden, "POST", path, `{"choice": "keep", "why": "x"}`, "Ask", "responder")
	do[told](h, http.StatusNotFound, "POST", "/v1/credentials/ops-a/undecide", ``, web...)
	do[decision.Decision](h, 200, "POST", "/v1/credentials/web-a/undecide", ``, web...)
	do[told](h, http.StatusConflict, "POST", "/v1/credentials/web-a/undecide", ``, web...)
	if got := h.all("/v1/audit?action=decision.&subject=credential/web-a", "action", nil); strings.Join(got, " ") !=
		"decision.withdrawn decision.made decision.made" {
		t.Errorf("the record has %v", got)
	}
}

// What was decided of a credential ends when it is retired, and is forgotten when it is registered again.
func TestADecisionEndsWithItsCredential(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	do[map[string]any](h, http.StatusCreated, "POST", "/v1/credentials?first_check=as_scheduled", aNew)
	do[decision.Decision](h, 200, "POST", "/v1/credentials/new/decide", `{"choice": "revoke", "why": "nobody knows it"}`)
	do[map[string]any](h, 200, "POST", "/v1/credentials/new/retire", ``)
	if p := into[page](h, "/v1/decisions"); p.Total != 0 {
		t.Errorf("after it was retired: %+v", p)
	}
	if p := do[told](h, http.StatusConflict, "POST", "/v1/credentials/new/decide", `{"choice": "keep", "why": "x"}`); !strings.Contains(
		p.Detail, "is retired") {
		t.Error(p.Detail)
	}
	do[map[string]any](h, 200, "POST", "/v1/credentials/new/restore", `{"client_secret": "`+canary+`"}`)
	if n := len(h.all("/v1/decisions", "credential", nil)); n != 0 {
		t.Errorf("after it was registered again: %d", n)
	}
}

// A frozen report is signed off once an edition, by whoever may, and not while something in it is undecided unless they say so.
func TestSigningOff(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	path := "/v1/reports/2026-01/signoff"
	do[told](h, http.StatusConflict, "POST", path, `{}`)
	h.exec(`UPDATE credentials SET max_age = '1 day', created_on = '2025-01-01' WHERE owner = 'web'`)
	do[map[string]any](h, http.StatusCreated, "POST", "/v1/reports", `{"month": "2026-01", "anyway": true}`)
	if p := do[told](h, http.StatusConflict, "POST", path, `{}`); !strings.Contains(p.Detail, "2 credentials are undecided: web-a, web-b") {
		t.Error(p.Detail)
	}
	do[decision.Decision](h, 200, "POST", "/v1/credentials/web-a/decide", `{"choice": "rotate", "why": "it is old"}`)
	web := []string{"Ask", "owner web"}
	do[told](h, http.StatusNotFound, "POST", path, `{"with_undecided": true}`, web...)
	s := do[report.SignOff](h, 200, "POST", path, `{"owner": "web", "with_undecided": true, "note": "web-b is asked"}`, web...)
	if s.Undecided != 1 || s.By != "user owner" || s.Edition != 1 || s.Month != "2026-01" || s.Note != "web-b is asked" {
		t.Errorf("%+v", s)
	}
	if p := do[told](h, http.StatusConflict, "POST", path, `{"owner": "web", "with_undecided": true}`, web...); !strings.Contains(
		p.Detail, "signed off by user owner") {
		t.Error(p.Detail)
	}
	do[decision.Decision](h, 200, "POST", "/v1/credentials/web-b/decide", `{"choice": "rotate", "why": "it is old"}`)
	if s := do[report.SignOff](h, 200, "POST", path, `{}`); s.Undecided != 0 || s.Owner != "" {
		t.Errorf("%+v", s)
	}
	signed := map[any]any{}
	for _, f := range into[page](h, "/v1/reports?format=json").Items {
		signed[f["owner"]] = f["signed_off_by"]
	}
	if len(signed) != 3 || signed["web"] != "user owner" || signed[""] != "user admin" || signed["ops"] != nil {
		t.Errorf("the list says %v", signed)
	}
	got := h.all("/v1/audit?subject=report/2026-01&action=report.signed_off", "actor", nil)
	if strings.Join(got, ", ") != "user admin, user owner" {
		t.Errorf("the record has %v", got)
	}
}
