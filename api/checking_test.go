package api_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/keyrounds/keyrounds/api"
)

// Many are checked in one request, each with a line; who sees his own only checks his own, and stops his own only.
func TestCheckingMany(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	lines := func(who, body string) (all []api.CheckLine) {
		t.Helper()
		answer := h.ask(http.MethodPost, "/v1/checks", body, "Ask", who)
		if answer.StatusCode != http.StatusOK {
			t.Fatalf("HTTP %d", answer.StatusCode)
		}
		d := json.NewDecoder(bytes.NewReader(answer.body))
		for d.More() {
			var l api.CheckLine
			if err := d.Decode(&l); err != nil {
				t.Fatal(err)
			}
			all = append(all, l)
		}
		return all
	}
	all := lines("responder", `{"trace": true}`)
	if all[0].Run == "" || all[0].Total < 2 || len(all) != 1+all[0].Total {
		t.Fatalf("%d lines: %+v", len(all), all[0])
	}
	for _, l := range all[1:] {
		if l.Check == nil || l.Check.Credential == "" || len(l.Check.Trace) == 0 {
			t.Errorf("%+v", l)
		}
	}
	if own := lines("owner web", `{}`); own[0].Total == 0 || own[0].Total >= all[0].Total {
		t.Errorf("an owner: %d of %d", own[0].Total, all[0].Total)
	}
	if one := lines("owner web", `{"names": ["web-a"]}`); len(one) != 2 || one[1].Check.Trace != nil {
		t.Errorf("%+v", one)
	}
	for body, want := range map[string]int{`{"names": ["ops-a"]}`: 422, `{"names": ["nobody"]}`: 422} {
		if got := h.ask(http.MethodPost, "/v1/checks", body, "Ask", "owner web").StatusCode; got != want {
			t.Errorf("%s: HTTP %d, want %d", body, got, want)
		}
	}
	if got := h.ask(http.MethodDelete, "/v1/checks/"+all[0].Run, "", "Ask", "responder").StatusCode; got != http.StatusNotFound {
		t.Errorf("a run that is over is stopped: HTTP %d", got)
	}
	if strings.Contains(h.log.text(), canary) {
		t.Error("the log has the secret")
	}
}
