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

// rule is a row of the table of docs/architecture.md: what a package may import of ours, and whether it may
// speak to Postgres.
type rule struct {
	tier    int
	imports []string
	pgx     bool
}

var row = regexp.MustCompile("(?m)^\\| (\\d) \\| `([^`]+)` \\|[^|]*\\|([^|]*)\\| (yes|no) \\|$")

// readTable reads the table, by package.
func readTable(t *testing.T) map[string]rule {
	t.Helper()
	text, err := os.ReadFile("docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	table := map[string]rule{}
	for _, m := range row.FindAllStringSubmatch(string(text), -1) {
		tier, _ := strconv.Atoi(m[1])
		table[m[2]] = rule{tier, strings.Fields(m[3]), m[4] == "yes"}
	}
	if len(table) < 20 {
		t.Fatalf("the table of docs/architecture.md has %d rows", len(table))
	}
	return table
}

func TestImportsFollowTheTable(t *testing.T) {
	t.Parallel()
	table, seen, used := readTable(t), map[string]bool{}, map[string]bool{}
	err := filepath.WalkDir(".", func(path string, d os.DirEntry, err error) error {
		if path == "bin" {
			return filepath.SkipDir // what is built and kept changes under our hands
		}
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
			if ours, ok := strings.CutPrefix(name, module); ok {
				used[pkg+" "+ours] = true
				if !slices.Contains(rule.imports, ours) {
					t.Errorf("%s imports %s; by the table of docs/architecture.md %s may not", path, ours, pkg)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for pkg, rule := range table {
		if !seen[pkg] {
			t.Errorf("the package %q of the table does not exist", pkg)
		}
		for _, imported := range rule.imports {
			if !used[pkg+" "+imported] {
				t.Errorf("%s does not import %s any more; the table says so", pkg, imported)
			}
		}
	}
}

// Imports go down; sideways only where the design says so.
func TestTheTableGoesDown(t *testing.T) {
	t.Parallel()
	sideways := []string{
		"credential secret",
		"verdict checker",
		"checker outbound",
		"postgres migrations",
		"postgres/pgtest postgres",
		"postgres/pgtest migrations",
		"notify/slack notify",
		"notify/shoutrrr notify",
		"notify/alertmanager notify",
		"notify/webhook notify",
		"notify/mail notify",
		"notify/notifytest notify",
		"notify/teams notify",
		"notify/pagerduty notify",
		"notify/opsgenie notify",
		"web web/pages",
		"web/pages api",
		"cmd/keyrounds demo",
	}
	table := readTable(t)
	for pkg, rule := range table {
		for _, imported := range rule.imports {
			if table[imported].tier >= rule.tier && !slices.Contains(sideways, pkg+" "+imported) {
				t.Errorf("%s (tier %d) imports %s (tier %d)", pkg, rule.tier, imported, table[imported].tier)
			}
		}
	}
}

// Every request goes out through package outbound, which knows who may be dialled. The exceptions are named.
func TestOutboundIsTheOnlyWayOut(t *testing.T) {
	t.Parallel()
	ways := regexp.MustCompile(
		`http\.(Client|Transport)\{|http\.(DefaultClient|DefaultTransport|ProxyFromEnvironment)\b|` +
			`http\.(Get|Head|Post|PostForm)\(|net\.Dial(er\{|\(|Timeout\()`,
	)
	exceptions := map[string]string{
		"outbound/outbound.go":      "the one way out itself",
		"access/socket_linux.go":    "asks whether somebody listens on the socket of this machine",
		"api/client/client.go":      "asks the daemon of this machine by its socket",
		"cmd/keyrounds/ready.go":    "asks the daemon of this machine for its health",
		"postgres/open.go":          "connects to the database",
		"postgres/pgtest/bridge.go": "connects tests with their database",
		"bench/daemon.go":           "asks the daemon and the stub that it measures",
		"bench/floor/main.go":       "is what the daemon is compared with, and never part of it",
		"test/server/server.go":     "asks the server that a test started",
		"test/mailbox/mailbox.go":   "asks the mail server that a test started",
	}
	used := map[string]bool{}
	err := filepath.WalkDir(".", func(path string, d os.DirEntry, err error) error {
		if path == "bin" {
			return filepath.SkipDir // what is built and kept changes under our hands
		}
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

// The advisory locks of the code are those that docs/architecture.md lists.
func TestAdvisoryLocksAreListed(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)`[^|]*\\| `[^|]*\\| [^|]* \\|$").FindAllStringSubmatch(string(text), -1) {
		listed[m[1]] = true
	}
	taken := regexp.MustCompile(`pg_advisory\w*lock\((?:hashtext\('([^']+)'|\$1)`)
	found := 0
	err = filepath.WalkDir(".", func(path string, d os.DirEntry, err error) error {
		if path == "bin" {
			return filepath.SkipDir // what is built and kept changes under our hands
		}
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		code, err := os.ReadFile(path)
		for _, m := range taken.FindAllStringSubmatch(string(code), -1) {
			name := m[1]
			if name == "" {
				name = "migrationLock"
			}
			if found++; !listed[name] {
				t.Errorf("%s takes the advisory lock %q, which docs/architecture.md does not list", path, name)
			}
		}
		return err
	})
	if err != nil || found < 7 {
		t.Errorf("%d locks were found, %v", found, err)
	}
}
