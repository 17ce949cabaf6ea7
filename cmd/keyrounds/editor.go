package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/api"
	"github.com/keyrounds/keyrounds/config"
)

// editByHand opens an editor on what can be changed of a credential, until what is in the file is valid, or as it was. The database
// is not held meanwhile.
func (d *desk) editByHand(cmd *cobra.Command, name string) error {
	if _, ok := terminalOf(cmd); !ok {
		return mistake(cmd, "", "no flag says what to change, and there is no terminal for an editor")
	}
	editor, err := editorOf(os.Getenv)
	if err != nil {
		return err
	}
	c, tag, err := d.tagged(cmd.Context(), name)
	if err == nil {
		err = plainly(d.Patch(cmd.Context(), ofName(name)+dryRun, tag, api.CredentialEdit{}, nil))
	}
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "keyrounds-edit-") // for ourselves alone
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, name+".yaml")
	original, err := editable(c)
	if err != nil {
		return err
	}
	text, wrong := original, error(nil)
	for {
		next, err := inEditor(cmd, editor, path, editHead(name, wrong)+text)
		switch {
		case err != nil:
			return err
		case next == original:
			fmt.Fprintln(cmd.OutOrStdout(), "nothing changed")
			return nil
		case wrong != nil && next == text:
			return &hintError{errors.New("what was wrong was left as it was; nothing was changed"), oneLine(wrong)}
		}
		text = next
		var edit api.CredentialEdit
		if edit, wrong = readEdit(text); wrong != nil {
			continue
		}
		err = d.applyEdit(cmd, c, tag, edit)
		if !answered(err, http.StatusUnprocessableEntity) {
			return err
		}
		wrong = err
	}
}

func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

// editorOf is the command of the editor, and its arguments.
func editorOf(env func(string) string) ([]string, error) {
	if words := strings.Fields(cmp.Or(env("VISUAL"), env("EDITOR"))); len(words) > 0 {
		return words, nil
	}
	for _, usual := range []string{"vi", "nano"} {
		if _, err := exec.LookPath(usual); err == nil {
			return []string{usual}, nil
		}
	}
	return nil, &hintError{errors.New("no editor was found"), "name one in $EDITOR, or say by flags what to change"}
}

// inEditor returns what is in the file when the editor has ended, without the comments at its top.
func inEditor(cmd *cobra.Command, editor []string, path, text string) (string, error) {
	if err := writeAnew(path, text); err != nil {
		return "", err
	}
	run := exec.Command(editor[0], append(slices.Clone(editor[1:]), path)...)
	run.Stdin, run.Stdout, run.Stderr = os.Stdin, os.Stdout, os.Stderr
	err := run.Run()
	if cmd.Context().Err() != nil || interrupted(run.ProcessState) { // the editor can hear of Ctrl-C before we do
		return "", errInterrupted
	}
	if err != nil {
		return "", &hintError{fmt.Errorf("the editor %q failed (%w); nothing was changed", editor[0], err), "name another one in $EDITOR"}
	}
	left, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	rest := string(left)
	for strings.HasPrefix(rest, "#") {
		_, rest, _ = strings.Cut(rest, "\n")
	}
	return rest, nil
}

// interrupted says whether a program was ended by Ctrl-C.
func interrupted(p *os.ProcessState) bool {
	if p == nil {
		return false
	}
	status, ok := p.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGINT
}

// editHead are the comments at the top of the file.
func editHead(name string, wrong error) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# What is said of %s. A line that is deleted takes its value away.\n", name)
	b.WriteString("# A file that is left as it is changes nothing.\n")
	if wrong != nil {
		fmt.Fprintf(&b, "#\n# It was not changed:\n")
		text := wrong.Error()
		if hinted := interface{ Hint() string }(nil); errors.As(wrong, &hinted) && hinted.Hint() != "" {
			text += "\nhint: " + hinted.Hint()
		}
		for line := range strings.Lines(printable(text, true)) {
			fmt.Fprintf(&b, "# %s\n", strings.TrimRight(line, "\n"))
		}
	}
	return b.String()
}

// editable is what can be changed of a credential, as YAML, with the names of the configuration file. What it does not have is there
// as a comment.
func editable(c api.CredentialJSON) (string, error) {
	text, err := json.Marshal(editableOf(c))
	if err != nil {
		return "", err
	}
	var has map[string]json.RawMessage
	if err := json.Unmarshal(text, &has); err != nil {
		return "", err
	}
	var b strings.Builder
	for _, f := range editFields {
		value, ok := has[f.name]
		if !ok {
			fmt.Fprintf(&b, "#%s: %s\n", f.name, f.example)
			continue
		}
		lines, err := yaml.JSONToYAML(fmt.Appendf(nil, "{%q: %s}", f.name, value))
		if err != nil {
			return "", err
		}
		b.Write(lines)
	}
	// The comments at the top go; these stay.
	return "\n" + b.String(), nil
}

var editFields = []struct{ name, example string }{
	{"owner", "team-a"},
	{"description", "what it is for"},
	{"labels", "{env: prod}"},
	{"scopes", "[jobs_read]"},
	{"schedule", `"*/15 * * * *"`},
	{"unused_after", "90d"},
	{"max_age", "365d"},
	{"created", "2025-03-01"},
	{"expires", "2027-03-01"},
	{"key_id", "as the provider's log names it"},
	{"canary", "true"},
	{"expected_networks", "[10.20.0.0/16]"},
}

// notYAML says at which line a text cannot be read: by what stands there, since its number is another when the file opens again.
func notYAML(err error, text string) error {
	what, hint := "this is not YAML", "a line is NAME: VALUE; a list is [A, B], and what has signs in it stands in quotes"
	if strings.Contains(err.Error(), "already defined") { // goccy/go-yaml has several types for it
		what, hint = "a name is there twice", "delete one of them"
	}
	var placed yaml.Error
	if errors.As(err, &placed) && placed.GetToken() != nil && placed.GetToken().Position != nil {
		lines, n := strings.Split(text, "\n"), placed.GetToken().Position.Line
		if n >= 1 && n <= len(lines) && lines[n-1] != "" {
			what += ": " + lines[n-1]
		}
	}
	return &hintError{errors.New(what), hint}
}

// readEdit reads a file of editable. What is not there is taken away.
func readEdit(text string) (e api.CredentialEdit, err error) {
	raw, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		return e, notYAML(err, text)
	}
	var has map[string]json.RawMessage
	if err := json.Unmarshal(raw, &has); err != nil && !bytes.Equal(bytes.TrimSpace(raw), []byte("null")) {
		return e, &hintError{errors.New("this is not a list of names and values"), "a line is NAME: VALUE"}
	}
	if len(has) == 0 {
		return e, &hintError{errors.New("nothing is left in the file"), "delete the lines of what is to go, or leave it as it was"}
	}
	var names, unknown, hints []string
	for _, f := range editFields {
		names = append(names, f.name)
	}
	for _, name := range slices.Sorted(maps.Keys(has)) {
		if !slices.Contains(names, name) {
			unknown, hints = append(unknown, strconv.Quote(name)), append(hints, config.DidYouMean(name, names))
		}
	}
	if len(unknown) > 0 {
		return e, &hintError{fmt.Errorf("there is no %s that could be changed", strings.Join(unknown, ", and no ")), hints[0]}
	}
	nothing, none, no := "", []string{}, false
	e = api.CredentialEdit{
		KeyID: &nothing, Description: &nothing, Scopes: &none, Owner: &nothing, Labels: &map[string]string{}, Schedule: &nothing,
		UnusedAfter: &nothing, MaxAge: &nothing, Created: &nothing, Expires: &nothing, Canary: &no, ExpectedNetworks: &none,
	}
	var read api.CredentialEdit
	var wrong *json.UnmarshalTypeError
	switch err := json.Unmarshal(raw, &read); {
	case errors.As(err, &wrong):
		return e, &hintError{fmt.Errorf("%s: %s does not fit there", wrong.Field, wrong.Value), "put a text in quotes; a list is [A, B]"}
	case err != nil:
		return e, errors.New("this cannot be read")
	}
	to, from := reflect.ValueOf(&e).Elem(), reflect.ValueOf(read)
	for i := range to.NumField() {
		if !from.Field(i).IsNil() {
			to.Field(i).Set(from.Field(i))
		}
	}
	return e, nil
}

// writeAnew writes a file in place of what an editor left under its name, which may be a link.
func writeAnew(path, text string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}
