// Package keyrounds holds nothing but the test of the import table.
package keyrounds_test

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/keyrounds/keyrounds/"

// The table of docs/architecture.md: what each package may import of ours, and whether it may
// speak to Postgres.
var table = map[string]struct {
	tier    int
	imports string
	pgx     bool
}{
	"secret":              {0, "", false},
	"credential":          {0, "secret", false},
	"finding":             {0, "", false},
	"traces":              {0, "", false},
	"outbound":            {1, "", false},
	"checker":             {1, "credential outbound secret", false},
	"verdict":             {1, "checker finding", false},
	"leak/scan":           {1, "secret", false},
	"leak/intake":         {1, "finding secret", false},
	"registry":            {2, "credential secret", true},
	"audit":               {2, "checker finding traces verdict", true},
	"usage/feed":          {1, "credential secret", false},
	"usage":               {2, "checker credential finding secret usage/feed", true},
	"leak":                {2, "credential finding leak/intake leak/scan secret", true},
	"notify":              {2, "finding traces", true},
	"notify/slack":        {2, "credential finding notify outbound secret", false},
	"notify/shoutrrr":     {2, "finding notify outbound secret", false},
	"notify/alertmanager": {2, "finding notify secret", false},
	"postgres":            {2, "migrations", true},
	"postgres/pgtest":     {2, "postgres", true},
	"migrations":          {2, "", false},
	"rounds":              {3, "audit checker credential finding notify outbound registry secret traces usage usage/feed verdict", true},
	"report":              {3, "audit credential registry usage usage/feed verdict", true},
	"web":                 {4, "audit credential finding leak/intake notify registry report secret usage usage/feed verdict", false},
	"collector":           {4, "audit finding leak notify registry rounds usage verdict", false},
	"config":              {4, "checker credential finding leak/intake notify outbound secret usage/feed verdict", false},
	"test/promtest":       {4, "", false},
	"deploy/grafana":      {4, "", false},
	"sim":                 {4, "", false},
	"sim/authserver":      {4, "", false},
	"app": {5, "audit checker collector config credential finding leak leak/intake leak/scan notify notify/alertmanager " +
		"notify/shoutrrr notify/slack outbound postgres registry report rounds secret usage usage/feed verdict web", true},
	"cmd/keyrounds": {6, "app audit checker config credential finding leak leak/intake leak/scan notify registry report rounds secret " +
		"sim usage usage/feed verdict web", true},
}

func TestImportsFollowTheTable(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	err := filepath.WalkDir(".", func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		pkg := filepath.ToSlash(filepath.Dir(path))
		rule, ok := table[pkg]
		if !ok {
			t.Errorf("%s: the package %q is not in the table", path, pkg)
			return nil
		}
		seen[pkg] = true
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range f.Imports {
			name, _ := strconv.Unquote(spec.Path.Value)
			if strings.Contains(name, "jackc/pgx") && !rule.pgx {
				t.Errorf("%s speaks to Postgres; %s may not", path, pkg)
			}
			if ours, ok := strings.CutPrefix(name, module); ok && !slices.Contains(strings.Fields(rule.imports), ours) {
				t.Errorf("%s imports %s; %s may not", path, ours, pkg)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for pkg := range table {
		if !seen[pkg] {
			t.Errorf("the package %q of the table does not exist", pkg)
		}
	}
}

// Imports go down; sideways only where the design says so.
func TestTheTableGoesDown(t *testing.T) {
	t.Parallel()
	sideways := []string{
		"credential secret", "verdict checker", "checker outbound", "postgres migrations", "postgres/pgtest postgres",
		"notify/slack notify", "notify/shoutrrr notify", "notify/alertmanager notify",
	}
	for pkg, rule := range table {
		for _, imported := range strings.Fields(rule.imports) {
			if table[imported].tier >= rule.tier && !slices.Contains(sideways, pkg+" "+imported) {
				t.Errorf("%s (tier %d) imports %s (tier %d)", pkg, rule.tier, imported, table[imported].tier)
			}
		}
	}
}

// Every request goes out through package outbound, which knows who may be dialled. The exceptions are named.
func TestOutboundIsTheOnlyWayOut(t *testing.T) {
	t.Parallel()
	ways := regexp.MustCompile(`http\.(Client|Transport)\{|http\.(DefaultClient|DefaultTransport|ProxyFromEnvironment)\b|http\.(Get|Head|Post|PostForm)\(|net\.Dial(er\{|\(|Timeout\()`)
	exceptions := map[string]string{
		"outbound/outbound.go":      "the one way out itself",
		"cmd/keyrounds/ready.go":    "asks the daemon of this machine for its health",
		"postgres/open.go":          "connects to the database",
		"postgres/pgtest/bridge.go": "connects tests with their database",
		"test/promtest/promtest.go": "asks the Prometheus that a test started",
	}
	used := map[string]bool{}
	err := filepath.WalkDir(".", func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for i, line := range strings.Split(string(text), "\n") {
			found := ways.FindString(line)
			switch {
			case found == "":
			case exceptions[path] != "":
				used[path] = true
			default:
				t.Errorf("%s:%d: %q goes out beside package outbound", path, i+1, found)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for path := range exceptions {
		if !used[path] {
			t.Errorf("the exception %s is not needed any more", path)
		}
	}
}
