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

// Tests cite promises that docs/promises.md makes, and the page names tests that there are.
func TestPromises(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("docs/promises.md")
	if err != nil {
		t.Fatal(err)
	}
	anchors, cited, tests := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^### (.+)$`).FindAllStringSubmatch(string(page), -1) {
		anchors[strings.ReplaceAll(regexp.MustCompile(`[^\w\- ]`).ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-")] = true
	}
	citation := regexp.MustCompile(`docs/promises\.md#([\w-]+)`)
	function := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	err = filepath.WalkDir(".", func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range citation.FindAllStringSubmatch(string(text), -1) {
			if cited[m[1]] = true; !anchors[m[1]] {
				t.Errorf("%s cites %s, which docs/promises.md does not have", path, m[0])
			}
		}
		for _, m := range function.FindAllStringSubmatch(string(text), -1) {
			tests["`"+m[1]+"` in `"+filepath.ToSlash(filepath.Dir(path))+"`"] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for anchor := range anchors {
		if !cited[anchor] {
			t.Errorf("no test cites docs/promises.md#%s", anchor)
		}
	}
	for _, shown := range regexp.MustCompile("`(?:Test|Fuzz)\\w+` in `[^`]+`").FindAllString(string(page), -1) {
		if !tests[shown] {
			t.Errorf("docs/promises.md names %s, which does not exist", shown)
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
