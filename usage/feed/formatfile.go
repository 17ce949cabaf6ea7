package feed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

// The bounds of a file that holds a format.
const (
	maxFormatFile = 1 << 20
	maxExamples   = 100
)

// IsFormatFile reports whether a format's name is the path of a file that holds it.
func IsFormatFile(name string) bool {
	return slices.Contains([]string{".jq", ".yaml", ".yml"}, filepath.Ext(name))
}

// FormatError says what is wrong with a file that holds a format, and where.
type FormatError struct {
	File         string
	Line, Column int // from 1; 0: the file as a whole
	Message      string
	hint         string
}

func (e *FormatError) Error() string {
	if e.Line > 0 {
		return fmt.Sprintf("format: %s:%d:%d: %s", e.File, e.Line, e.Column, e.Message)
	}
	return fmt.Sprintf("format: %s: %s", e.File, e.Message)
}

// Hint says what is allowed.
func (e *FormatError) Hint() string { return e.hint }

// ReadFormat makes the format of a preset's name or, where name is a path that ends in .jq or .yaml,
// of an expression or a preset in that file. The examples of a preset in a file must be what they say. Its errors are
// *UnknownPresetError, *FormatError, and that the file cannot be read.
func ReadFormat(ctx context.Context, name string) (Format, error) {
	if !IsFormatFile(name) {
		return NewFormat(name, "")
	}
	text, err := readFormatFile(name)
	if err != nil {
		return Format{}, err
	}
	if filepath.Ext(name) == ".jq" {
		f, err := NewFormat("", string(text))
		if err != nil {
			err = &FormatError{File: name, Message: err.Error()}
		}
		return f, err
	}
	p, err := parsePreset(name, text)
	if err != nil {
		return Format{}, err
	}
	f, err := p.format(filepath.Base(name), false)
	if err != nil {
		return Format{}, at(name, text, err)
	}
	f.key = "jq/" + shortSum(p.JQ) // as it is where nothing is said of texts
	if !reflect.DeepEqual(p.TextSpec, TextSpec{}) || p.Input.isText() {
		said, _ := json.Marshal([]any{p.Input, p.TextSpec, p.JQ})
		f.key = "yaml/" + shortSum(string(said))
	}
	return f, p.checkExamples(ctx, name, f)
}

func readFormatFile(name string) ([]byte, error) {
	in, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("format: %w", err)
	}
	defer in.Close()
	if st, err := in.Stat(); err == nil && !st.Mode().IsRegular() {
		return nil, &FormatError{File: name, Message: "it is no file"}
	}
	text, err := io.ReadAll(io.LimitReader(in, maxFormatFile+1))
	if err != nil {
		return nil, fmt.Errorf("format: %w", err)
	}
	if len(text) > maxFormatFile {
		return nil, &FormatError{File: name, Message: fmt.Sprintf("larger than %d MiB", maxFormatFile>>20)}
	}
	return text, nil
}

// parsePreset reads a preset that is not part of keyrounds.
func parsePreset(name string, text []byte) (p Preset, err error) {
	if err := yaml.UnmarshalWithOptions(text, &p, yaml.Strict()); err != nil {
		e := &FormatError{File: name, Message: err.Error(), hint: "one of " + strings.Join(presetMembers(), ", ")}
		var placed yaml.Error
		if errors.As(err, &placed) {
			e.Message = placed.GetMessage()
			if t := placed.GetToken(); t != nil && t.Position != nil {
				e.Line, e.Column = t.Position.Line, t.Position.Column
			}
			if _, unknown := errors.AsType[*yaml.UnknownFieldError](err); !unknown {
				e.hint = ""
			}
		}
		return p, e
	}
	if p.Input != Lines && !slices.Contains(Inputs, p.Input) {
		why, hint := fmt.Sprintf("unknown input %q", p.Input), "one of "+joinInputs()+"; default a JSON value a line"
		return p, at(name, text, &textError{"input", why, hint})
	}
	if p.Poll != nil {
		why, hint := "a format in a file is not asked for", "a feed of type http, whose keys say how its log API is asked"
		return p, at(name, text, &textError{"poll", why, hint})
	}
	if len(p.Examples) > maxExamples {
		return p, at(name, text, &textError{"examples", fmt.Sprintf("more than %d", maxExamples), ""})
	}
	return p, nil
}

func joinInputs() string {
	names := make([]string, len(Inputs))
	for i, in := range Inputs {
		names[i] = string(in)
	}
	return strings.Join(names, ", ")
}

// presetMembers are the names that a format in a file may give.
func presetMembers() []string {
	return []string{
		"title", "docs", "notes", "input", "pattern", "ignore", "csv.separator", "csv.columns", "jq", "partial",
		"examples.source", "examples.record", "examples.events",
	}
}

// at puts an error of a member to its line of the file.
func at(name string, text []byte, err error) error {
	e := &FormatError{File: name, Message: err.Error()}
	member := "jq"
	if of := (*textError)(nil); errors.As(err, &of) {
		member, e.hint = of.member, of.hint
	}
	member, _, _ = strings.Cut(member, ".")
	for i, line := range strings.Split(string(text), "\n") {
		if strings.HasPrefix(line, member+":") {
			e.Line, e.Column = i+1, 1
			break
		}
	}
	return e
}

// checkExamples is an error where f makes something else of an example than it says.
func (p Preset) checkExamples(ctx context.Context, name string, f Format) error {
	for i, x := range p.Examples {
		wrong := func(format string, args ...any) error {
			return &FormatError{
				File: name, Message: fmt.Sprintf("example %d: ", i+1) + fmt.Sprintf(format, args...),
				hint: "events are what the record must become; an empty list is none",
			}
		}
		var have []Event
		err := f.Read(ctx, strings.NewReader(x.Record), func(r Reading) error {
			if r.BadSeen > 0 {
				return wrong("the record cannot be read: %s", r.Bad[0].Reason)
			}
			have = append(have, r.Events...)
			return nil
		})
		if err != nil {
			return err
		}
		if len(have) != len(x.Events) {
			return wrong("the record becomes %d events, not %d", len(have), len(x.Events))
		}
		for n, said := range x.Events {
			want, err := exampleEvent(said)
			if err != nil {
				return wrong("event %d: %v", n+1, err)
			}
			if member := difference(want, have[n]); member != "" {
				return wrong("event %d has another %s", n+1, member)
			}
		}
	}
	return nil
}

// exampleEvent reads an event as an example writes it.
func exampleEvent(said map[string]any) (Event, error) {
	text, err := json.Marshal(said)
	if err != nil {
		return Event{}, err
	}
	var m map[string]any
	if err := json.Unmarshal(text, &m); err != nil {
		return Event{}, err
	}
	return eventOf(m)
}

// difference names a member in which two events differ; "": none.
func difference(a, b Event) string {
	x, y := reflect.ValueOf(a), reflect.ValueOf(b)
	for i := range x.NumField() {
		if !reflect.DeepEqual(x.Field(i).Interface(), y.Field(i).Interface()) {
			return x.Type().Field(i).Name
		}
	}
	return ""
}
