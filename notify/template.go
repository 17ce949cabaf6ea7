package notify

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/template"
	"text/template/parse"
	"time"

	"github.com/keyrounds/keyrounds/finding"
)

// Templates put findings into an installation's own words. A directory has one file a kind, such as
// revoked.tmpl, and default.tmpl for those that have none, in Go's text/template. Each may define:
//
//	title   one line
//	facts   a line each: "Label: text"
//	steps   a line each
//
// What it does not define is as keyrounds says it. The text is plain: receivers escape it for their markup.
// The data is TemplateData. A template that fails when it runs is as if it were not there: the message is
// sent.
type Templates struct{ of map[string]*template.Template }

// TemplateData is what a template sees. Its names are a promise: templates of users depend on them.
type TemplateData struct {
	Finding  finding.Finding   // the first of them, and the most severe
	Findings []finding.Finding // all of them
	Words    Words             // as keyrounds says it
}

var templateFuncs = template.FuncMap{
	"join": func(s []string) string { return strings.Join(s, " ") },
	"time": func(t time.Time) string { return clock(t) },
	"list": func(s []string) string { return list(s, 30) },
}

// LoadTemplates reads the files *.tmpl of a directory and tries each with a sample of its kind, default.tmpl with one
// of each. The error joins all that is wrong with them, each with its file: a name that is no kind, a file over 64
// KiB, one that does not parse or fails with its sample, or text outside of the three parts. A directory without such
// a file is an error as well.
func LoadTemplates(dir string) (*Templates, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.tmpl"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		if _, err := os.Stat(dir); err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("%s has no file such as revoked.tmpl or default.tmpl", dir)
	}
	ts := &Templates{map[string]*template.Template{}}
	var errs []error
	for _, path := range files {
		name := strings.TrimSuffix(filepath.Base(path), ".tmpl")
		if name != "default" && !slices.Contains(finding.Kinds(), finding.Kind(name)) {
			errs = append(errs, fmt.Errorf("%s is named after no kind of finding", path))
			continue
		}
		t, err := load(path)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		ts.of[name] = t
		for _, k := range finding.Kinds() {
			if name != "default" && name != string(k) {
				continue
			}
			if _, err := apply(t, []finding.Finding{Sample(k, time.Unix(0, 0))}); err != nil {
				errs = append(errs, fmt.Errorf("%s, tried with a sample of %s: %w", path, k, err))
				break
			}
		}
	}
	return ts, errors.Join(errs...)
}

const maxTemplate = 64 << 10

func load(path string) (*template.Template, error) {
	info, err := os.Stat(path)
	if err == nil && info.Size() > maxTemplate {
		err = fmt.Errorf("%s is larger than %d KiB", path, maxTemplate>>10)
	}
	if err != nil {
		return nil, err
	}
	t, err := template.New(filepath.Base(path)).Funcs(templateFuncs).Option("missingkey=error").ParseFiles(path)
	if err != nil {
		return nil, err
	}
	for _, d := range t.Templates() {
		if known := []string{"title", "facts", "steps", t.Name()}; !slices.Contains(known, d.Name()) {
			return nil, fmt.Errorf("%s defines %q: it may define title, facts and steps", path, d.Name())
		}
	}
	if t.Tree != nil && !parse.IsEmptyTree(t.Root) {
		return nil, fmt.Errorf(`%s has text outside of {{define "title"}}, {{define "facts"}} and {{define "steps"}}`, path)
	}
	return t, nil
}

// Describe puts findings into words: by the template of their kind, or else by default.tmpl, or else as DescribeAll
// does. A nil Templates, findings of several kinds, and a template that fails are all as DescribeAll says it. It is
// safe for concurrent use.
func (ts *Templates) Describe(fs []finding.Finding) Words {
	if ts == nil || len(fs) == 0 {
		return DescribeAll(fs)
	}
	t, ok := ts.of[string(fs[0].Kind)]
	if !ok {
		t, ok = ts.of["default"]
	}
	if !ok || len(fs) > 1 && !common(fs, func(f finding.Finding) string { return string(f.Kind) }) {
		return DescribeAll(fs)
	}
	w, err := apply(t, fs)
	if err != nil {
		return DescribeAll(fs)
	}
	return w
}

func apply(t *template.Template, fs []finding.Finding) (Words, error) {
	w := DescribeAll(fs)
	data := TemplateData{fs[0], fs, w}
	for name, set := range map[string]func([]string){
		"title": func(lines []string) {
			if w.Title = strings.Join(lines, " "); Ended(fs) != "" {
				w.Title = Ended(fs) + ": " + w.Title
			}
		},
		"steps": func(lines []string) { w.Steps = lines },
		"facts": func(lines []string) {
			w.Facts = nil
			for _, l := range lines {
				label, text, found := strings.Cut(l, ": ")
				if !found {
					label, text = "", l
				}
				w.Facts = append(w.Facts, Fact{label, text})
			}
		},
	} {
		d := t.Lookup(name)
		if d == nil {
			continue
		}
		text := limited{}
		if err := d.Execute(&text, data); err != nil {
			return w, err
		}
		set(linesOf(text.String()))
	}
	return w, nil
}

// limited is a text that may not grow without end.
type limited struct{ strings.Builder }

func (l *limited) Write(p []byte) (int, error) {
	if l.Len()+len(p) > maxTemplate {
		return 0, errors.New("it writes too much")
	}
	return l.Builder.Write(p)
}

func linesOf(s string) (lines []string) {
	for l := range strings.Lines(s) {
		if l = strings.TrimSpace(l); l != "" {
			lines = append(lines, l)
		}
	}
	return lines
}
