package feed

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/goccy/go-yaml"
)

//go:embed presets/*.yaml
var presetFiles embed.FS

// Preset is how one kind of source writes its records: a data file in usage/feed/presets.
type Preset struct {
	Name     string `yaml:"-"`
	Title    string `yaml:"title"`
	Docs     string `yaml:"docs"`  // where the format is documented
	Notes    string `yaml:"notes"` // what a user must know, such as what to log
	Input    Input  `yaml:"input"`
	TextSpec `yaml:",inline"`
	JQ       string    `yaml:"jq"`      // default of lines of text: the record is the event
	Partial  bool      `yaml:"partial"` // it shows some uses only, whatever brings it: its silence proves nothing
	Poll     *PollSpec `yaml:"poll"`    // how its log API is asked; nil: it has none
	Examples []Example `yaml:"examples"`
}

// Input says how records stand in a text.
type Input string

// The inputs.
const (
	Lines    Input = ""         // a JSON value a line; an array is a list of records
	Text     Input = "text"     // a line of text is a record; the jq gets it as a string
	Document Input = "document" // JSON values of any layout
	Any      Input = "any"      // a line of text or a JSON value is a record; the jq gets it as a string or an object
	CSV      Input = "csv"      // the jq gets an object of a record's values by their columns
	Logfmt   Input = "logfmt"   // name=value pairs; the jq gets them as an object
	Syslog   Input = "syslog"   // RFC 5424 and RFC 3164; the jq gets hostname, appname, message and so on
)

// Inputs are all that a format may say.
var Inputs = []Input{Text, Any, Document, CSV, Logfmt, Syslog}

// Example is a record, and what its preset makes of it.
type Example struct {
	Source string           `yaml:"source"` // where such a record is documented
	Record string           `yaml:"record"`
	Events []map[string]any `yaml:"events"`
}

// Presets returns all of them by name. They are part of the binary.
func Presets() []Preset { return loadPresets() }

var loadPresets = sync.OnceValue(func() []Preset {
	files, err := presetFiles.ReadDir("presets")
	if err != nil {
		panic(err) // embedded
	}
	var all []Preset
	for _, f := range files {
		b, err := presetFiles.ReadFile("presets/" + f.Name())
		if err != nil {
			panic(err)
		}
		p := Preset{Name: strings.TrimSuffix(f.Name(), path.Ext(f.Name()))}
		if err := yaml.UnmarshalWithOptions(b, &p, yaml.Strict()); err != nil {
			panic(fmt.Sprintf("usage/feed/presets/%s: %v", f.Name(), err)) // a test reads them all
		}
		all = append(all, p)
	}
	return all
})

// FindPreset returns the preset of that name.
func FindPreset(name string) (Preset, error) {
	all := Presets()
	i := slices.IndexFunc(all, func(p Preset) bool { return p.Name == name })
	if i < 0 {
		names := make([]string, len(all))
		for i, p := range all {
			names[i] = p.Name
		}
		return Preset{}, &UnknownPresetError{name, names}
	}
	return all[i], nil
}

// UnknownPresetError says that there is no preset of a name.
type UnknownPresetError struct {
	Name  string
	Known []string
}

func (e *UnknownPresetError) Error() string { return fmt.Sprintf("unknown format %q", e.Name) }

// Hint lists the presets.
func (e *UnknownPresetError) Hint() string { return "one of " + strings.Join(e.Known, ", ") }

// Format turns records into events. It is safe for concurrent use.
type Format struct {
	Name    string // of the preset or of the file that it is in; "jq" for an expression of the user's
	Title   string // for people; may be empty
	Input   Input
	Partial bool // it shows some uses only
	key     string

	program   program
	reader    reader         // of lines of text; nil: the jq gets them as they are
	ignore    *regexp.Regexp // lines that are about something else
	table     *table         // of CSV
	enveloped bool           // each line is a JSON object that carries a record
}

// Key tells the format from every other: a preset by its name, an expression by its text.
func (f Format) Key() string { return f.key }

// NewFormat makes the format of a preset or, where jq is not empty, of that expression. It cannot
// read files or the environment.
func NewFormat(preset, jq string) (Format, error) {
	if jq != "" {
		f := Format{Name: "jq", key: "jq/" + shortSum(jq)}
		var err error
		f.program, err = newProgram(jq, false)
		return f, err
	}
	p, err := FindPreset(preset)
	if err != nil {
		return Format{}, err
	}
	return p.format(p.Name, true)
}

// asIs is the jq of lines of text that have none: the record is the event.
const asIs = `if type == "object" then . else error("object") end`

// format makes p's format. ours: p is part of keyrounds.
func (p Preset) format(name string, ours bool) (Format, error) {
	f := Format{Name: name, Title: p.Title, Input: p.Input, Partial: p.Partial, key: name}
	if err := f.setText(p.TextSpec); err != nil {
		return Format{}, err
	}
	jq, inside := p.JQ, ours
	if jq == "" && f.reader != nil {
		jq, inside = asIs, true
	}
	if jq == "" {
		return Format{}, &textError{"jq", "is missing", "an expression that makes {client_id, at, …} of a record"}
	}
	var err error
	f.program, err = newProgram(jq, inside)
	return f, err
}

func shortSum(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:8])
}

// Events is what f makes of one record. A record may hold several events, and none that concern us.
// Text is not cleaned. Where f reads lines of text, a record is one.
func (f Format) Events(ctx context.Context, record any) ([]Event, error) {
	if f.reader != nil {
		var err error
		if record, err = f.readText(record); record == nil || err != nil {
			return nil, err
		}
	}
	var events []Event
	err := f.program.run(ctx, record, func(v any) error {
		if v == nil {
			return nil
		}
		e, err := eventOf(v)
		if err != nil {
			return err
		}
		if len(events) >= maxPerRecord {
			return errors.New("it holds too many events")
		}
		events = append(events, e)
		return nil
	})
	return events, err
}

// readText makes an object of a line of text; nil: it is about something else.
func (f Format) readText(record any) (any, error) {
	switch record := record.(type) {
	case string:
		if f.ignore != nil && f.ignore.MatchString(record) {
			return nil, nil
		}
		m, err := f.reader(record)
		if err != nil {
			return nil, err
		}
		return m, nil
	case row:
		return map[string]any(record), nil
	case unread:
		return nil, record.why
	}
	if f.Input == Any {
		return record, nil
	}
	return nil, errUnfit // what it carries may be a line
}

const maxPerRecord = 100_000
