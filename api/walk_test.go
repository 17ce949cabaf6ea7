package api_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/test/lasting"
)

// Every command of docs/api.md does what it says, and answers as it shows.
func TestTheWalk(t *testing.T) {
	t.Parallel()
	lasting.Test(t, "it runs curl")
	h := newHouse(t)
	h.open(finding.Revoked, "web-a")
	text, err := os.ReadFile("../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	_, body, _ := strings.Cut(string(text), "```json\n")
	body, _, _ = strings.Cut(body, "```")
	body = strings.Replace(body, `"…"`, `"`+canary+`"`, 1)
	if err := os.WriteFile(filepath.Join(dir, "ats-sync.json"), []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
	commands := 0
	tag := ""
	for _, block := range regexp.MustCompile("(?s)```console\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		for _, part := range strings.Split("\n"+block[1], "\n$ ")[1:] {
			lines := strings.Split(strings.TrimSpace(part), "\n")
			n := 1
			for strings.HasSuffix(lines[n-1], `\`) {
				n++
			}
			command, shown := strings.Join(lines[:n], "\n"), strings.Join(lines[n:], "\n")
			if strings.HasPrefix(command, "export ") {
				continue
			}
			out := h.shell(dir, tag, command)
			if got, is := strings.CutPrefix(command, "tag="); is {
				tag = strings.TrimSpace(h.shell(dir, "", strings.TrimSuffix(strings.TrimPrefix(got, "$("), ")")))
			}
			for _, piece := range strings.Split(shown, "…") {
				if !strings.Contains(out, strings.TrimSpace(piece)) {
					t.Errorf("%s\nanswers\n%s\nand not %s", command, out, piece)
				}
			}
			commands++
		}
	}
	if commands < 20 {
		t.Errorf("%d commands", commands)
	}
}

// shell runs a command of the walk. An answer that is an error of curl fails the test.
func (h *house) shell(dir, tag, command string) string {
	h.Helper()
	cmd := exec.CommandContext(h.Context(), "bash", "-euo", "pipefail", "-c", command)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "KEYROUNDS_SERVER="+h.url, "KEYROUNDS_TOKEN=kr_x", "tag="+tag)
	out, err := cmd.CombinedOutput()
	if err != nil {
		h.Errorf("%s: %v\n%s", command, err, out)
	}
	if strings.Contains(string(out), "c4n4ry") {
		h.Errorf("%s shows a secret: %s", command, out)
	}
	return string(out)
}
