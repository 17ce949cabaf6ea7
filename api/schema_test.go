package api_test

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	validator "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/keyrounds/keyrounds/sim/authserver"
	"github.com/keyrounds/keyrounds/test/lasting"
)

// schemas are those of the document, by which every answer in these tests is judged.
type schemas struct {
	sync.Mutex
	compiler *validator.Compiler
	paths    map[string]map[string]struct {
		Responses map[string]struct {
			Content map[string]any
		}
	}
	compiled map[string]*validator.Schema
	routes   map[string]*regexp.Regexp
}

// newSchemas reads a document.
func newSchemas(document []byte) (*schemas, error) {
	s := &schemas{compiler: validator.NewCompiler(), compiled: map[string]*validator.Schema{}, routes: map[string]*regexp.Regexp{}}
	var d struct {
		Paths map[string]map[string]struct {
			Responses map[string]struct {
				Content map[string]any
			}
		}
	}
	if err := json.Unmarshal(document, &d); err != nil {
		return nil, err
	}
	s.paths = d.Paths
	for path := range d.Paths {
		s.routes[path] = regexp.MustCompile("^" + regexp.MustCompile(`\{\w+\}`).ReplaceAllString(path, `[^/]+`) + "$")
	}
	doc, err := validator.UnmarshalJSON(strings.NewReader(string(document)))
	if err == nil {
		s.compiler.DefaultDraft(validator.Draft2020)
		s.compiler.AssertFormat()
		err = s.compiler.AddResource("mem:///openapi.json", doc)
	}
	return s, err
}

// judge says what of an answer is not as the document says.
func (s *schemas) judge(method, path string, a answer) (why string) {
	s.Lock()
	defer s.Unlock()
	path, _, _ = strings.Cut(path, "?")
	route := path
	if _, literal := s.paths[path]; !literal {
		for r, is := range s.routes {
			if is.MatchString(path) {
				route = r
			}
		}
	}
	operation, known := s.paths[route][strings.ToLower(method)]
	if !known {
		return ""
	}
	status := http.StatusText(a.StatusCode)
	answered, known := operation.Responses[strconv.Itoa(a.StatusCode)]
	if !known {
		return "the document has no answer " + strconv.Itoa(a.StatusCode) + " (" + status + ")"
	}
	media, _, _ := strings.Cut(a.Header.Get("Content-Type"), ";")
	if _, known := answered.Content[media]; !known {
		return "the document has no " + media + " for " + strconv.Itoa(a.StatusCode)
	}
	if !strings.HasSuffix(media, "json") {
		return ""
	}
	escape := strings.NewReplacer("~", "~0", "/", "~1").Replace
	at := strings.Join([]string{
		"mem:///openapi.json#/paths", escapeURL(escape(route)), strings.ToLower(method), "responses", strconv.Itoa(a.StatusCode), "content",
		escapeURL(escape(media)), "schema",
	}, "/")
	if s.compiled[at] == nil {
		schema, err := s.compiler.Compile(at)
		if err != nil {
			return err.Error()
		}
		s.compiled[at] = schema
	}
	v, err := validator.UnmarshalJSON(strings.NewReader(string(a.body)))
	if err == nil {
		err = s.compiled[at].Validate(v)
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

func escapeURL(s string) string {
	return strings.NewReplacer("{", "%7B", "}", "%7D", "+", "%2B").Replace(s)
}

// The judge of these tests finds what is not as the document says.
func TestTheJudge(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	good := h.ask(http.MethodGet, "/v1/credentials/web-a", "")
	for name, bad := range map[string]answer{
		"a member is missing":  {good.Response, []byte(strings.Replace(string(good.body), `"name"`, `"nome"`, 1))},
		"a time is none":       {good.Response, []byte(strings.Replace(string(good.body), `"registered_at":"2`, `"registered_at":"x`, 1))},
		"a list is one thing":  {good.Response, []byte(strings.Replace(string(good.body), `"scopes":[`, `"scopes":"", "x":[`, 1))},
		"nothing is answered":  {good.Response, nil},
		"it is another status": {&http.Response{StatusCode: http.StatusTeapot, Header: good.Header}, good.body},
	} {
		if h.schemas.judge(http.MethodGet, "/v1/credentials/web-a", bad) == "" {
			t.Errorf("%s, and it is not found: %s", name, bad.body)
		}
	}
}

// The document passes a linter without a warning, and types are made of it that compile.
func TestTheDocument(t *testing.T) {
	t.Parallel()
	lasting.Test(t, "it runs programs of npm")
	h := newHouse(t)
	tools, err := filepath.Abs("../test/openapi")
	if err != nil {
		t.Fatal(err)
	}
	home, err := authserver.Packages(tools, filepath.Join(tools, "..", "..", "bin", "npm"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "openapi.json"), h.ask(http.MethodGet, "/openapi.json", "").body, 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(script string, args ...string) string {
		cmd := exec.CommandContext(t.Context(), "node", append([]string{filepath.Join(home, "node_modules", script)}, args...)...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "REDOCLY_TELEMETRY=off", "REDOCLY_SUPPRESS_UPDATE_NOTICE=true", "CI=true")
		out, err := cmd.Output()
		if err != nil {
			t.Errorf("%s: %v\n%s", script, err, out)
		}
		return string(out)
	}
	var lint struct {
		Totals struct{ Errors, Warnings, Ignored int }
	}
	out := run("@redocly/cli/bin/cli.js", "lint", "--format", "json", "openapi.json")
	if err := json.Unmarshal([]byte(out), &lint); err != nil || lint.Totals.Errors+lint.Totals.Warnings+lint.Totals.Ignored > 0 {
		t.Errorf("%v: %s", err, out)
	}
	run("openapi-typescript/bin/cli.js", "openapi.json", "-o", "types.ts")
	client := `import type { paths, components } from "./types";
const f: components["schemas"]["Finding"]["id"] = 1;
type Listed = paths["/v1/findings"]["get"]["responses"]["200"]["content"]["application/json"];
export const total = (p: Listed): number => p.total + f + p.items.length;
`
	if err := os.WriteFile(filepath.Join(dir, "client.ts"), []byte(client), 0o600); err != nil {
		t.Fatal(err)
	}
	run("typescript/bin/tsc", "--noEmit", "--strict", "client.ts")
}
