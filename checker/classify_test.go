package checker_test

import (
	"bufio"
	"encoding/json"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/keyrounds/keyrounds/checker"
)

type corpusLine struct {
	ID, Provider    string
	Status          int
	Headers         map[string]string
	Body            string
	RequestedScopes []string `json:"requested_scopes"`
	Outcome         checker.Outcome
	Reason          checker.Reason
	Accept          []checker.Outcome
}

func (c corpusLine) classify(t *testing.T, preset string) checker.Reading {
	t.Helper()
	p, err := checker.Provider{Name: preset, Preset: preset, TokenURL: "https://auth.example/token"}.Complete()
	if err != nil {
		t.Fatal(err)
	}
	h := http.Header{}
	for k, v := range c.Headers {
		h.Set(k, v)
	}
	return checker.Classify(p, checker.Response{Status: c.Status, Header: h, Body: []byte(c.Body), Requested: c.RequestedScopes})
}

func corpus(t *testing.T, file string) []corpusLine {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var lines []corpusLine
	for s := bufio.NewScanner(f); s.Scan(); {
		var c corpusLine
		if err := json.Unmarshal(s.Bytes(), &c); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		lines = append(lines, c)
	}
	if len(lines) == 0 {
		t.Fatalf("%s is empty", file)
	}
	return lines
}

func TestClassifyCorpus(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"testdata/corpus.jsonl", "testdata/more.jsonl"} {
		for _, c := range corpus(t, file) {
			got := c.classify(t, c.Provider)
			if got.Outcome != c.Outcome && !slices.Contains(c.Accept, got.Outcome) || got.Outcome == c.Outcome && c.Outcome == checker.Rejected && got.Reason != c.Reason {
				t.Errorf("%s: %s %s by %s, want %s %s\n\t%d %s", c.ID, got.Outcome, got.Reason, got.Rule, c.Outcome, c.Reason, c.Status, c.Body)
			}
		}
	}
}

// Whatever the body says: these statuses are never the credential's fault, under any preset.
func TestTroubleIsNeverRejected(t *testing.T) {
	t.Parallel()
	for _, c := range corpus(t, "testdata/corpus.jsonl") {
		for _, status := range []int{301, 302, 307, 308, 404, 405, 407, 415, 429, 500, 502, 503, 504, 511} {
			for _, p := range checker.Presets() {
				c.Status = status
				if got := c.classify(t, p.Name); got.Outcome == checker.Rejected || got.Outcome.HasToken() {
					t.Errorf("%s with status %d under %s: %s by %s", c.ID, status, p.Name, got.Outcome, got.Rule)
				}
			}
		}
	}
}

func TestEveryPresetLoads(t *testing.T) {
	t.Parallel()
	var names []string
	for _, p := range checker.Presets() {
		names = append(names, p.Name)
		if p.Title == "" || !strings.HasPrefix(p.Docs, "https://") {
			t.Errorf("%s has no title or source", p.Name)
		}
		for i, m := range p.Matchers {
			if !slices.Contains(checker.Outcomes(), m.Outcome) || m.Outcome == checker.Rejected != (m.Reason != "") {
				t.Errorf("%s: matcher %d has outcome %q and reason %q", p.Name, i+1, m.Outcome, m.Reason)
			}
		}
	}
	if want := []string{"auth0", "cognito", "entra", "generic", "google", "keycloak", "okta", "salesforce", "smartrecruiters", "zoho", "zoom"}; !slices.Equal(names, want) {
		t.Errorf("presets %v", names)
	}
}

func FuzzClassify(f *testing.F) {
	f.Add(200, "application/json", `{"access_token":"t","scope":"a b"}`)
	f.Add(401, "application/json", `{"error":"invalid_client"}`)
	f.Add(403, "text/html", "<html>")
	f.Add(200, "application/x-www-form-urlencoded", "error=%zz&access_token=")
	p, err := checker.Provider{TokenURL: "https://a.example/t"}.Complete()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, status int, contentType, body string) {
		r := checker.Classify(p, checker.Response{Status: status, Header: http.Header{"Content-Type": {contentType}}, Body: []byte(body), Requested: []string{"a"}})
		if !slices.Contains(checker.Outcomes(), r.Outcome) || r.Rule == "" {
			t.Errorf("%d %q: %+v", status, body, r)
		}
		if r.Outcome == checker.Rejected && (status >= 500 || status == 429 || status == 407) {
			t.Errorf("trouble was read as %s by %s", r.Outcome, r.Rule)
		}
	})
}
