package keyrounds_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/keyrounds/keyrounds/finding"
)

// docker-compose.yml is valid, and asks for the password that it needs.
func TestComposeFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text, err := os.ReadFile("docker-compose.yml")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "secrets"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{"docker-compose.yml": text, "secrets/keyrounds.env": []byte("ATS_SYNC_SECRET=x\n")} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	config := func(what string, env ...string) (string, error) {
		cmd := exec.Command("docker-compose", strings.Fields("config "+what)...)
		cmd.Dir, cmd.Env = dir, append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}, env...)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	out, err := config("", "POSTGRES_PASSWORD=x")
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var file struct {
		Services map[string]struct {
			Healthcheck struct{ Test []string } `yaml:"healthcheck"`
			Volumes     []any                   `yaml:"volumes"`
		} `yaml:"services"`
	}
	if err := yaml.Unmarshal([]byte(out), &file); err != nil {
		t.Fatal(err)
	}
	mounted := 0
	for _, name := range []string{"postgres", "keyrounds", "prometheus", "grafana"} {
		s, ok := file.Services[name]
		if !ok || len(s.Healthcheck.Test) == 0 {
			t.Errorf("no service %s, or it has no health check", name)
		}
		for _, v := range s.Volumes { // some versions write them as text, others as a mapping
			m := regexp.MustCompile(regexp.QuoteMeta(dir) + `/([^ :]+)`).FindStringSubmatch(fmt.Sprint(v))
			if m == nil || strings.HasPrefix(m[1], "secrets/") {
				continue
			}
			mounted++
			if _, err := os.Stat(m[1]); err != nil {
				t.Errorf("%s mounts %v", name, err)
			}
		}
	}
	if mounted < 5 {
		t.Errorf("%d of our files are mounted: %s", mounted, out)
	}
	if out, err := config(""); err == nil || !strings.Contains(out, "POSTGRES_PASSWORD") {
		t.Errorf("without a password: %v: %s", err, out)
	}
}

// The image is built with the Go version of go.mod.
func TestDockerfileFollowsGoMod(t *testing.T) {
	t.Parallel()
	mod, err1 := os.ReadFile("go.mod")
	docker, err2 := os.ReadFile("Dockerfile")
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindSubmatch(mod)
	if version == nil || !strings.Contains(string(docker), "golang:"+string(version[1])+"-") {
		t.Errorf("go.mod has %q", version)
	}
}

// Tests cite promises that docs/promises.md makes, each promise is cited and says what shows it and what is left, and the
// page names tests that there are.
func TestPromises(t *testing.T) {
	t.Parallel()
	const page = "docs/promises.md"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	cited, tests := map[string]bool{}, map[string]bool{}
	anchors := headings(string(text))
	citation := regexp.MustCompile(`promises\.md#([\w-]+)`)
	function := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	err = filepath.WalkDir(".", func(path string, d os.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (path == "bin" || path != "." && strings.HasPrefix(d.Name(), ".")):
			return filepath.SkipDir
		case d.IsDir() || filepath.Ext(path) != ".go" && filepath.Ext(path) != ".md":
			return nil
		}
		b, err := os.ReadFile(path)
		for _, m := range citation.FindAllStringSubmatch(string(b), -1) {
			cited[m[1]] = cited[m[1]] || strings.HasSuffix(path, "_test.go")
			if !anchors[m[1]] {
				t.Errorf("%s cites %s, which is no heading of %s", path, m[0], page)
			}
		}
		if filepath.Ext(path) == ".go" && strings.Contains(string(b), "FAU"+"LTS") {
			t.Errorf("%s cites a page that is not in the repository: cite %s", path, page)
		}
		for _, m := range function.FindAllStringSubmatch(string(b), -1) {
			tests["`"+m[1]+"` in `"+filepath.ToSlash(filepath.Dir(path))+"`"] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	entry := regexp.MustCompile("(?s)^(.+?)\n\n.+\n\n- \\*\\*Shown by\\*\\*: (.+)\n- \\*\\*Left\\*\\*: .+")
	name := regexp.MustCompile("`(?:Test|Fuzz)\\w+`(?: in `[^`]+`)?")
	for _, e := range strings.Split(string(text), "\n### ")[1:] {
		m := entry.FindStringSubmatch(e)
		if m == nil {
			t.Errorf("%s: %q lacks the promise, Shown by or Left", page, strings.SplitN(e, "\n", 2)[0])
			continue
		}
		if !cited[anchor(m[1])] {
			t.Errorf("no test cites %s#%s", page, anchor(m[1]))
		}
		shown := name.FindAllString(m[2], -1)
		for _, s := range shown {
			if !tests[s] {
				t.Errorf("%s: %q names %s, which does not exist", page, m[1], s)
			}
		}
		if len(shown) == 0 {
			t.Errorf("%s: %q is shown by no test", page, m[1])
		}
	}
}

// headings returns the anchors of a page's headings.
func headings(page string) map[string]bool {
	all := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(page, -1) {
		a := anchor(m[1])
		for n, first := 1, a; all[a]; n++ {
			a = fmt.Sprintf("%s-%d", first, n)
		}
		all[a] = true
	}
	return all
}

// anchor returns what GitHub makes of a heading: small letters, no punctuation, hyphens for spaces.
func anchor(heading string) string {
	return strings.ReplaceAll(regexp.MustCompile(`[^\p{L}\p{N}_\- ]`).ReplaceAllString(strings.ToLower(heading), ""), " ", "-")
}

// The words of docs/glossary.md are in order, each once, and what it names in code exists.
func TestGlossary(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("docs/glossary.md")
	if err != nil {
		t.Fatal(err)
	}
	words, doubtful, found := strings.Cut(string(text), "\n## ")
	if !found {
		t.Fatal("no second table")
	}
	for _, table := range []string{words, doubtful} {
		before := ""
		for _, m := range regexp.MustCompile("(?m)^\\| `?(\\w+)`? \\|").FindAllStringSubmatch(table, -1) {
			word := strings.ToLower(m[1])
			if word == "word" {
				continue
			}
			if word <= before {
				t.Errorf("%s comes after %s", word, before)
			}
			before = word
		}
		if before == "" {
			t.Error("a table without words")
		}
	}
	declared := map[string]bool{}
	declaration := regexp.MustCompile(`(?m)^(?:type |func (?:\([^)]+\) )?|\t)([A-Z]\w*)\b`)
	err = filepath.WalkDir(".", func(path string, d os.DirEntry, err error) error {
		if path == "bin" {
			return filepath.SkipDir // what is built and kept changes under our hands
		}
		if err != nil || d.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return err
		}
		b, err := os.ReadFile(path)
		for _, m := range declaration.FindAllStringSubmatch(string(b), -1) {
			declared[filepath.Base(filepath.Dir(path))+"."+m[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile("`([a-z]+\\.[A-Z]\\w*)`").FindAllStringSubmatch(string(text), -1) {
		if !declared[m[1]] {
			t.Errorf("docs/glossary.md names %s, which does not exist", m[1])
		}
	}
}

// What can be added (CONTRIBUTING.md) is in the documents that tell of it.
func TestDocumentsTellWhatThereIs(t *testing.T) {
	t.Parallel()
	read := func(pages ...string) (text string) {
		for _, page := range pages {
			b, err := os.ReadFile(filepath.Join("docs", page))
			if err != nil {
				t.Fatal(err)
			}
			text += string(b)
		}
		return text
	}
	findings := read("verdicts.md", "usage.md", "leaks.md", "notifications.md")
	for _, k := range finding.Kinds() {
		if !strings.Contains(findings, "`"+string(k)+"`") {
			t.Errorf("no page tells of findings of the kind `%s`", k)
		}
	}
	formats, err := filepath.Glob("usage/presets/*.yaml")
	more, err2 := filepath.Glob("usage/feed/presets/*.yaml")
	if formats = append(formats, more...); err != nil || err2 != nil || len(formats) < 5 {
		t.Fatalf("%d formats of feeds, %v, %v", len(formats), err, err2)
	}
	for _, f := range formats {
		if name := strings.TrimSuffix(filepath.Base(f), ".yaml"); !strings.Contains(read("usage.md"), "`"+name+"`") {
			t.Errorf("docs/usage.md does not name the format `%s`", name)
		}
	}
}

// The tables of kinds in the documents give each kind once, with the severity of the catalogue first.
func TestDocumentsGiveSeverities(t *testing.T) {
	t.Parallel()
	told := map[finding.Kind]int{}
	for _, page := range []string{"verdicts.md", "usage.md"} {
		text, err := os.ReadFile(filepath.Join("docs", page))
		if err != nil {
			t.Fatal(err)
		}
		_, table, found := strings.Cut(string(text), "| kind | severity |")
		table, _, _ = strings.Cut(table, "\n\n")
		if !found {
			t.Fatalf("docs/%s has no table of kinds", page)
		}
		for _, row := range strings.Split(table, "\n")[2:] {
			cells := strings.Split(row, "|")
			for _, m := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(cells[1], -1) {
				k := finding.Kind(m[1])
				told[k]++
				if want := string(k.Severity()); !strings.HasPrefix(strings.TrimSpace(cells[2]), want) {
					t.Errorf("docs/%s says that %s is %s; the catalogue says %s", page, k, strings.TrimSpace(cells[2]), want)
				}
			}
		}
	}
	for _, k := range finding.Kinds() {
		if told[k] != 1 {
			t.Errorf("the tables of kinds name %s %d times", k, told[k])
		}
	}
}

// The tests that docs/security.md names exist.
func TestSecurityNamesItsTests(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	err = filepath.WalkDir(".", func(path string, _ os.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, "_test.go") {
			var b []byte
			b, err = os.ReadFile(path)
			all.Write(b)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`((?:Test|Fuzz)\\w+)`").FindAllStringSubmatch(string(text), -1)
	if len(named) < 15 {
		t.Errorf("it names %d tests", len(named))
	}
	for _, m := range named {
		if !strings.Contains(all.String(), "func "+m[1]+"(") {
			t.Errorf("docs/security.md names %s, which does not exist", m[1])
		}
	}
}
