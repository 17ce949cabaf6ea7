package notify_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/notify"
)

func templates(t *testing.T, files ...string) (*notify.Templates, error) {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(files); i += 2 {
		if err := os.WriteFile(filepath.Join(dir, files[i]), []byte(files[i+1]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return notify.LoadTemplates(dir)
}

// A template says what it defines; the rest is as keyrounds says it. Its text is escaped like any other.
func TestTemplates(t *testing.T) {
	t.Parallel()
	ts, err := templates(
		t,
		"revoked.tmpl",
		`{{define "title"}}Refused: {{.Finding.Subject.Name}}{{end}}{{define "steps"}}See https://wiki.example/revoked
Ask {{.Finding.About.Owner}} <!channel>{{end}}`,
		"default.tmpl",
		`{{define "facts"}}{{range .Words.Facts}}{{.Label}}: {{.Text}}
{{end}}Team: {{len .Findings}}
no label here{{end}}`,
	)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	revoked := []finding.Finding{notify.Sample(finding.Revoked, now)}
	own := notify.DescribeAll(revoked)
	w := ts.Describe(revoked)
	if w.Title != "Refused: sample-credential" || len(w.Steps) != 2 || w.Steps[0] != "See https://wiki.example/revoked" ||
		len(w.Facts) != len(own.Facts) {
		t.Errorf("%+v", w)
	}
	w = ts.Describe([]finding.Finding{notify.Sample(finding.Unused, now)})
	n := len(w.Facts)
	if n < 3 || w.Facts[n-2] != (notify.Fact{Label: "Team", Text: "1"}) || w.Facts[n-1] != (notify.Fact{Text: "no label here"}) ||
		!strings.Contains(w.Title, "has not been used") {
		t.Errorf("%+v", w)
	}
	mixed := []finding.Finding{notify.Sample(finding.Revoked, now), notify.Sample(finding.ScopeLost, now)}
	if w := ts.Describe(mixed); !strings.Contains(w.Title, "2 findings") {
		t.Errorf("of several kinds: %+v", w)
	}

	d := newDesk(t, notify.Policy{})
	d.setup.Templates = ts
	d.Reload(d.setup)
	d.open("ats-sync")
	d.settle()
	wantIn(t, said(d.only()), "■ Refused: ats-sync", "Ask team-ats-sync &lt;!channel&gt;")
}

// A template that cannot be used is refused when it is read, with its place.
func TestBadTemplates(t *testing.T) {
	t.Parallel()
	for name, k := range map[string]struct{ file, text, want string }{
		"no kind":         {"revokd.tmpl", `{{define "title"}}a{{end}}`, "revokd.tmpl is named after no kind"},
		"syntax":          {"revoked.tmpl", `{{define "title"}}{{.Finding`, "revoked.tmpl:1"},
		"an unknown part": {"revoked.tmpl", `{{define "tilte"}}a{{end}}`, `defines "tilte"`},
		"text outside":    {"revoked.tmpl", `hello {{define "title"}}a{{end}}`, "has text outside"},
		"no such field":   {"revoked.tmpl", `{{define "title"}}{{.Finding.Nope}}{{end}}`, "can't evaluate field Nope"},
		"too much": {
			"default.tmpl",
			`{{define "title"}}{{range $i, $e := .Words.Facts}}{{printf "%100000d" $i}}{{end}}{{end}}`,
			"it writes too much",
		},
	} {
		if _, err := templates(t, k.file, k.text); err == nil || !strings.Contains(err.Error(), k.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := templates(t); err == nil || !strings.Contains(err.Error(), "has no file such as") {
		t.Errorf("an empty directory: %v", err)
	}
}
