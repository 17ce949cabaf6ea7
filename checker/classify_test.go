package checker_test

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
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
	SeenIn          string `json:"seen_in"`
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

func corpus(t testing.TB, file string) []corpusLine {
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
	for _, file := range []string{"corpus", "more", "cases", "keys", "presets"} {
		for _, c := range corpus(t, "testdata/"+file+".jsonl") {
			got := c.classify(t, c.Provider)
			if got.Outcome != c.Outcome && !slices.Contains(c.Accept, got.Outcome) ||
				got.Outcome == c.Outcome && c.Outcome == checker.Rejected && got.Reason != c.Reason {
				t.Errorf(
					"%s: %s %s by %s, want %s %s\n\t%d %s",
					c.ID,
					got.Outcome,
					got.Reason,
					got.Rule,
					c.Outcome,
					c.Reason,
					c.Status,
					c.Body,
				)
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
	want := []string{
		"auth0",
		"cognito",
		"docusign",
		"entra",
		"generic",
		"genesys",
		"github",
		"gitlab",
		"google",
		"greenhouse",
		"keycloak",
		"okta",
		"paypal",
		"salesforce",
		"servicenow",
		"slack",
		"smartrecruiters",
		"smartrecruiters-api-key",
		"spotify",
		"twitch",
		"zoho",
		"zoom",
	}
	if !slices.Equal(names, want) {
		t.Errorf("presets %v", names)
	}
}

func FuzzClassify(f *testing.F) {
	f.Add(200, "application/json", `{"access_token":"t","scope":"a b"}`)
	f.Add(401, "application/json", `{"error":"invalid_client"}`)
	f.Add(403, "text/html", "<html>")
	f.Add(200, "application/x-www-form-urlencoded", "error=%zz&access_token=")
	for _, c := range slices.Concat(corpus(f, "testdata/corpus.jsonl"), corpus(f, "testdata/more.jsonl")) {
		f.Add(c.Status, c.Headers["Content-Type"], c.Body)
	}
	p, err := checker.Provider{TokenURL: "https://a.example/t"}.Complete()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, status int, contentType, body string) {
		r := checker.Classify(
			p,
			checker.Response{
				Status:    status,
				Header:    http.Header{"Content-Type": {contentType}},
				Body:      []byte(body),
				Requested: []string{"a"},
			},
		)
		if !slices.Contains(checker.Outcomes(), r.Outcome) || r.Rule == "" {
			t.Errorf("%d %q: %+v", status, body, r)
		}
		if r.Outcome == checker.Rejected && (status >= 500 || status == 429 || status == 407) {
			t.Errorf("trouble was read as %s by %s", r.Outcome, r.Rule)
		}
	})
}

// Whatever scopes come, what is missing was declared and what is extra was granted.
func FuzzScopes(f *testing.F) {
	f.Add(`"a b"`, "", "a,c")
	f.Add(`["a",1,null]`, `{"scp":"x"}`, "a")
	f.Add(``, `{"roles":["a"]}`, "https://graph.microsoft.com/.default")
	p := checker.Provider{TokenURL: "https://a.example/t"}
	f.Fuzz(func(t *testing.T, scope, claims, declared string) {
		body := `{"access_token":"` + unsigned(claims) + `"`
		if scope != "" {
			body += `,"scope":` + scope
		}
		want := strings.Split(declared, ",")
		r := checker.Classify(p, checker.Response{Status: 200, Header: http.Header{}, Body: []byte(body + "}"), Requested: want})
		for _, m := range r.Missing {
			if !slices.Contains(want, m) || slices.Contains(r.Granted, m) {
				t.Errorf("missing %q: %+v", m, r)
			}
		}
		for _, x := range r.Extra {
			if slices.Contains(want, x) || !slices.Contains(r.Granted, x) {
				t.Errorf("extra %q: %+v", x, r)
			}
		}
		if r.Outcome == checker.ScopeReduced != (len(r.Missing) > 0) {
			t.Errorf("%+v", r)
		}
	})
}

// No preset makes a refusal of what could be trouble on the way.
func FuzzPresets(f *testing.F) {
	f.Add(0, 503, "application/json", `{"error":"invalid_client"}`)
	f.Add(3, 429, "application/json", `{"error":"invalid_client","error_codes":[7000215]}`)
	f.Add(5, 200, "text/html", "<html>client disabled")
	for i, c := range corpus(f, "testdata/corpus.jsonl") {
		f.Add(i, c.Status, c.Headers["Content-Type"], c.Body)
	}
	presets := checker.Presets()
	f.Fuzz(func(t *testing.T, n, status int, contentType, body string) {
		preset := presets[(n%len(presets)+len(presets))%len(presets)]
		p, err := checker.Provider{TokenURL: "https://a.example/t", Preset: preset.Name}.Complete()
		if err != nil {
			t.Fatal(err)
		}
		r := checker.Classify(p, checker.Response{Status: status, Header: http.Header{"Content-Type": {contentType}}, Body: []byte(body)})
		trouble := status >= 500 || status == 429 || status == 407 || status >= 300 && status < 400 || status == 404 ||
			strings.HasPrefix(strings.TrimSpace(body), "<")
		if r.Outcome == checker.Rejected && trouble {
			t.Errorf("%s: %d %q is read as rejected by %s", preset.Name, status, body, r.Rule)
		}
	})
}

// Each preset has public answers for a token or a key that works and for one that is refused, with where they were seen. The one that came
// before this was asked for is named, with what it lacks.
func TestEveryPresetIsCited(t *testing.T) {
	t.Parallel()
	lacking := map[string]string{"genesys": "ok"}
	seen := map[string]bool{}
	for _, file := range []string{"corpus", "more", "cases", "keys", "presets"} {
		for _, c := range corpus(t, "testdata/"+file+".jsonl") {
			seen[c.Provider+" "+string(c.Outcome)] = true
			if c.SeenIn == "" && (file == "keys" || file == "presets") {
				t.Errorf("%s: nobody knows where it was seen", c.ID)
			}
		}
	}
	for _, p := range checker.Presets() {
		for _, outcome := range []checker.Outcome{checker.OK, checker.Rejected} {
			lacks := strings.Contains(lacking[p.Name], string(outcome))
			if has := seen[p.Name+" "+string(outcome)]; p.Name != checker.Generic && has == lacks {
				t.Errorf("%s: it has an answer that is %s: %t", p.Name, outcome, has)
			}
		}
	}
}

// docs/providers.md has the table of the presets as they are.
func TestTheDocumentedPresets(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/providers.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range checker.Presets() {
		row := fmt.Sprintf("| `%s` | %s | `%s` |", p.Name, p.Title, cmp.Or(p.Provider.AuthMethod, string(p.Provider.Kind)))
		if !strings.Contains(string(text), row) || !strings.Contains(string(text), p.Check.String()) {
			t.Errorf("docs/providers.md has not the row %q with %q", row, p.Check)
		}
	}
}
