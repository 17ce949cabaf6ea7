package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// atOnce reads a text as a whole, as if it had no list.
func atOnce(text []byte, each takeItem) (*tree, []problem) {
	t, err := readPart(text, text, list{}, each)
	if err != nil {
		var p problem
		errors.As(err, &p)
		return nil, []problem{p}
	}
	return t, nil
}

// said is what a person is told of a text, and the credentials that it has.
func said(text string, read func([]byte, takeItem) (*tree, []problem)) string {
	c, err := parse("config.yaml", []byte(text), read)
	if err != nil {
		return err.Error()
	}
	var b strings.Builder
	for _, w := range c.Warnings {
		b.WriteString(w.String() + "\n")
	}
	for _, c := range c.Credentials {
		b.WriteString(c.Name + " " + c.Subject + " " + c.Description + " " + strings.Join(c.Scopes, ",") + "\n")
	}
	return b.String()
}

const listHead = "providers:\n  p: {token_url: 'https://a.example/t'}\n"

// texts are lists of credentials as people and programs write them, with mistakes and without.
var texts = map[string]string{
	"plain": listHead + "credentials:\n  - name: a\n    provider: p\n    client_id: x\n    secret: env:A\n" +
		"  - {name: b, provider: p, client_id: y, secret: 'env:B', nonsense: 1}\nlisten: nowhere\n",
	"at the margin, with comments": listHead + "credentials: # ours\n# the first\n- name: a\n\n  provider: p # p\n  client_id: x\n" +
		"# between\n  secret: env:A\n-\n  name: B\n  provider: p\n  client_id: y\n  secret: env:B\n# the end\nlisten: nowhere\n",
	"texts of many lines": listHead + "credentials:\n- name: a\n  provider: p\n  client_id: x\n  secret: env:A\n" +
		"  description: |\n    - name: no\n\n" +
		"    credentials:\n  scopes: [one,\n    two]\n- name: b\n  provider: q\n  client_id: \"y\n    z\"\n  secret: env:B\n",
	"a document's mark":    "---\n" + listHead + "credentials:\n- {name: a, provider: q, client_id: x, secret: 'env:A'}\n",
	"two documents":        "credentials:\n- {name: a, provider: q, client_id: x, secret: 'env:A'}\n---\nlisten: x\n",
	"carriage returns":     strings.ReplaceAll(listHead+"credentials:\n- name: a\n  provider: q\nlisten: nowhere\n", "\n", "\r\n"),
	"an item of nothing":   listHead + "credentials:\n-\n- {name: b, provider: p}\n- text\n- [list]\n",
	"a key given twice":    listHead + "credentials:\n- {name: a, name: b}\n- name: c\n  provider: p\n  name: d\n",
	"the list given twice": "credentials:\n- {name: a}\ncredentials:\n- {name: b}\n",
	"nothing in the list":  listHead + "credentials:\nlisten: nowhere\n",
	"a mapping for a list": listHead + "credentials:\n  a: {provider: p}\n",
	"less far in":          listHead + "credentials:\n    - {name: a}\n  - {name: b}\n",
	"a tab":                listHead + "credentials:\n- name: a\n\tprovider: p\n",
	"an item that is open": listHead + "credentials:\n- {name: a\n- {name: b}\n",
	"a quote that is open": listHead + "credentials:\n- name: \"a\n- name: b\n",
	"an anchor in the list": listHead + "credentials:\n- &a {name: a, provider: p, client_id: x, secret: 'env:A', scopes: &s [r, w]}\n" +
		"- {<<: *a, name: b, client_id: y}\n- {name: c, provider: q, client_id: z, secret: 'env:C', scopes: *s}\negress_addresses: *s\n",
	"an anchor before it": "defaults: &d {schedule: '@daily'}\n" + listHead +
		"credentials:\n- {<<: *d, name: a, provider: p, client_id: x, secret: 'env:A'}\n- {name: b, provider: *none}\n",
	"the same name": listHead + "credentials:\n- {name: a, provider: p, client_id: x, secret: 'env:A'}\n" +
		"- {name: a, provider: p, client_id: x, secret: 'env:A'}\n",
	"a tag": listHead + "credentials:\n- {name: a}\n- !!str b\n",
}

// A list that is read item by item says what it says when it is read as a whole, in the same places and words.
func TestAListIsReadAsTheWholeIs(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d files, error %v", len(files), err)
	}
	all := map[string]string{}
	for _, name := range append(files, "../config.example.yaml", "testdata/design.yaml") {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = string(text)
	}
	for name, text := range texts {
		all[name] = text
	}
	cutOnes := 0
	for name, text := range all {
		if _, l := cut([]byte(text)); len(l.items) > 0 {
			cutOnes++
		}
		if diff := cmp.Diff(said(text, atOnce), said(text, readTree)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if cutOnes < 30 {
		t.Errorf("only %d of %d texts have a list", cutOnes, len(all))
	}
}

// What is wrong with one of many credentials is said with its place, and what is not YAML in a large file too.
func TestPlacesInALongList(t *testing.T) {
	t.Parallel()
	item := "  - name: NAME\n    provider: p\n    client_id: x\n    secret: env:A\n"
	long := strings.Repeat("  # a comment, so that this is no small text\n", 30_000)
	for name, c := range map[string]struct{ last, want string }{
		"a value": {strings.Replace(item, "env:A", "A", 1), "config.yaml:30007:13: credential \"NAME\": secret:"},
		"no YAML": {"  - {name: b\n  - {name: c}\n", "config.yaml:30004:"},
	} {
		_, err := Parse("config.yaml", []byte(listHead+"credentials:\n"+long+c.last))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

// What warns of many credentials for one cause is said once.
func TestAWarningIsSaidOnceForItsCause(t *testing.T) {
	t.Parallel()
	text := strings.Replace(listHead, "'}", "', min_interval: 1d}", 1) + "credentials:\n"
	for _, name := range []string{"a", "b", "c"} {
		text += "- {name: " + name + ", provider: p, client_id: " + name + ", secret: 'env:A', schedule: '@hourly'}\n"
	}
	c, err := Parse("config.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Warnings) != 1 {
		t.Fatalf("warnings: %v", c.Warnings)
	}
	want := `credential "a": schedule: is checked every 1d at most, not every 1h (and 2 more credentials)`
	if w := c.Warnings[0]; w.Message != want || w.Line != 4 || w.Column == 0 {
		t.Errorf("%+v, want %s", w, want)
	}
}

// Settings are read without the credentials of a long list, and without what is wrong in them.
func TestSettingsPassOverTheList(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "config.yaml")
	text := listHead + "credentials:\n- {name: a, provider: nobody}\n- what\nlisten: 127.0.0.1:1\n"
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := LoadSettings(name)
	if err != nil || len(c.Credentials) != 0 || c.Listen != "127.0.0.1:1" || len(c.Providers) != 1 {
		t.Errorf("%+v, %v", c, err)
	}
	if _, err := Load(name); err == nil {
		t.Error("Load takes what is wrong")
	}
}

// A file with very many problems is refused for the first ones, and how many more there are.
func TestOfManyProblemsTheFirstAreSaid(t *testing.T) {
	t.Parallel()
	if got := More(100_000) + ", " + More(1_000_020); got != "and 99,980 more problems, and 1,000,000 more problems" {
		t.Error(got)
	}
	for n, last := range map[int]string{
		1: "", MostShown: "", MostShown + 1: "and 1 more problem", 1_020: "and 1,000 more problems",
	} {
		var text strings.Builder
		text.WriteString(listHead + "credentials:\n")
		for i := range n {
			fmt.Fprintf(&text, "- {name: c-%d, provider: nobody, client_id: x%d, secret: 'env:A'}\n", i, i)
		}
		_, err := Parse("config.yaml", []byte(text.String()))
		var many *Errors
		if !errors.As(err, &many) || len(many.Problems) != n {
			t.Fatalf("%d: not told as that many problems", n)
		}
		said := err.Error()
		if got := strings.Count(said, "config.yaml:"); got != min(n, MostShown) || !strings.Contains(said, `credential "c-0": provider`) {
			t.Errorf("%d: %d are said:\n%s", n, got, said)
		}
		lines := strings.Split(said, "\n")
		if got := lines[len(lines)-1]; strings.HasPrefix(got, "and ") != (last != "") || last != "" && got != last {
			t.Errorf("%d: it ends %q, want %q", n, got, last)
		}
	}
}
