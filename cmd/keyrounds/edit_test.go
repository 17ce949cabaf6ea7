package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/keyrounds/keyrounds/api"
	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/config"
	"github.com/keyrounds/keyrounds/postgres/pgtest"
	"github.com/keyrounds/keyrounds/test/lasting"
)

// An editor is opened on what can be changed: again with what is wrong, once more until that is right; nobody else can read the
// file, and nothing is left of it.
func TestEditByHand(t *testing.T) {
	lasting.Test(t, "it starts keyrounds at a terminal")
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "keyrounds.yaml")
	err := os.WriteFile(file, fmt.Appendf(nil, `
data_dir: %s
database: {url: %q}
providers: {idp: {token_url: "http://127.0.0.1:1/token", allow_private_networks: true}}
credentials: [{name: of-file, provider: idp, client_id: a, secret: "env:HOME"}]
`, dir, pgtest.EmptyURL(t)), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	out, code := runKeyrounds(t, dir, goodSecret,
		"credentials", "add", "good", "--provider", "idp", "--client-id", "good", "--owner", "team-a", "--no-check")
	if code != 0 {
		t.Fatal(out)
	}
	seen, temporary := filepath.Join(dir, "seen"), filepath.Join(dir, "tmp")
	if err := os.Mkdir(temporary, 0o700); err != nil {
		t.Fatal(err)
	}
	// editor writes down what it was given, and does what is to be done the first time, the second time, and so on.
	editor := func(deeds ...string) []string {
		t.Helper()
		path := filepath.Join(dir, "editor")
		text := "#!/bin/sh\nstat -c %a \"$1\" >> " + seen + "\n" +
			"stat -c %a \"$(dirname \"$1\")\" >> " + seen + "\ncat \"$1\" >> " + seen + "\n" +
			"n=$(cat " + seen + ".n 2>/dev/null || echo 0); n=$((n+1)); echo $n > " + seen + ".n\ncase $n in\n"
		for i, deed := range deeds {
			text += fmt.Sprintf("%d) %s;;\n", i+1, deed)
		}
		for _, name := range []string{seen, seen + ".n"} {
			_ = os.Remove(name)
		}
		if err := os.WriteFile(path, []byte(text+"esac\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		return []string{"VISUAL=", "EDITOR=" + path, "TMPDIR=" + temporary}
	}
	edit := func(name string, want int, says string, deeds ...string) string {
		t.Helper()
		s := atIn(t, editor(deeds...), "credentials", "edit", name, "-c", file)
		if code := s.ends(); code != want || !strings.Contains(s.shows(), says) {
			t.Errorf("exit code %d, and it does not say %q:\n%s", code, says, s.shows())
		}
		if left, _ := os.ReadDir(temporary); len(left) > 0 {
			t.Errorf("%s is left", left[0].Name())
		}
		text, _ := os.ReadFile(seen)
		return string(text)
	}

	text := edit("good", 0, "nothing changed", "true")
	for _, want := range []string{"600\n700\n# What is said of good.", "\nowner: team-a\n", "\n#labels: {env: prod}\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("the editor does not see %q:\n%s", want, text)
		}
	}
	text = edit("good", 0, "good is changed: labels, owner",
		`sed -i 's/^owner: team-a/ownr: team-b/' "$1"`, `sed -i 's/^ownr: .*/owner: [/' "$1"`,
		`sed -i 's/^owner: .*/owner: team-b\nschedule: often/' "$1"`,
		`sed -i '/^schedule: .*[*]/d' "$1"`, `sed -i '/^schedule: often/d; s/^#labels: /labels: /' "$1"`)
	for _, want := range []string{
		"# It was not changed:\n# there is no \"ownr\"", `# hint: did you mean "owner"?`, "# this is not YAML: owner: [",
		"# a name is there twice: schedule: \"",
		"# schedule: ",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the editor does not see %q:\n%s", want, text)
		}
	}
	edit("good", 0, "good is changed: labels, owner", `sed -i '/^owner:/d; /^labels:/d; /^ *env: prod/d' "$1"`)
	edit("good", exitError, "what was wrong was left as it was; nothing was changed", `echo 'nothing: here' >> "$1"`, "true")
	edit("good", exitError, "failed (exit status 3); nothing was changed", "exit 3")
	edit("of-file", exitError, `"of-file" is in the configuration file`, "exit 3")

	// Somebody else changes it while the editor is open.
	edit("good", exitError, "was changed by somebody else meanwhile",
		"keyrounds credentials edit good -c "+file+` --owner quicker; echo 'description: later' >> "$1"`)

	// exec, as dash loses a Ctrl-C that comes while it starts a program.
	s := atIn(t, editor("exec sleep 100"), "credentials", "edit", "good", "-c", file)
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(seen + ".n"); err == nil {
			break
		}
	}
	s.types("\x03")
	if code := s.ends(); code != exitInterrupted {
		t.Errorf("Ctrl-C: exit code %d\n%s", code, s.shows())
	}
	if left, _ := os.ReadDir(temporary); len(left) > 0 {
		t.Errorf("%s is left", left[0].Name())
	}
}

// What the editor is given says all that can be changed, and reading it back changes nothing.
func TestEditableIsReadBack(t *testing.T) {
	t.Parallel()
	in := config.CredentialIn{
		Name: "a", Provider: "idp", ClientID: "b", Secret: "sealed:", KeyID: "k", Description: "it's: \"hers\" # and his",
		Scopes: []string{"x", "y:z"},
		Owner:  "team", Labels: map[string]string{"env": "prod", "no": "yes"}, Schedule: "*/5 * * * *", UnusedAfter: "30d", MaxAge: "365d",
		Created: "2025-03-01", Expires: "2099-03-01T09:30:00Z", Canary: true, ExpectedNetworks: []string{"10.0.0.0/8"},
	}
	for _, in := range []config.CredentialIn{in, {Name: "a", Provider: "idp", ClientID: "b", Secret: "sealed:", Schedule: "@daily"}} {
		c, problems := in.Credential(config.Defaults{})
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		text, err := editable(api.NewCredentialJSON(c, audit.Standing{}))
		if err != nil {
			t.Fatal(err)
		}
		e, err := readEdit(text)
		if err != nil {
			t.Fatalf("%v:\n%s", err, text)
		}
		back, problems := api.Edited(c, e).Credential(config.Defaults{})
		changed, err := differing(
			editableOf(api.NewCredentialJSON(c, audit.Standing{})),
			editableOf(api.NewCredentialJSON(back, audit.Standing{})),
		)
		if err != nil || len(problems) > 0 || len(changed) > 0 {
			t.Errorf("%v, %v: %v changed by\n%s", problems, err, changed, text)
		}
	}
}
