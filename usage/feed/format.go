package feed

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/goccy/go-yaml"
)

//go:embed presets/*.yaml
var presetFiles embed.FS

// Preset is how one kind of source writes its records: a data file in usage/feed/presets.
type Preset struct {
	Name     string    `yaml:"-"`
	Title    string    `yaml:"title"`
	Docs     string    `yaml:"docs"`  // where the format is documented
	Notes    string    `yaml:"notes"` // what a user must know, such as what to log
	Input    Input     `yaml:"input"`
	JQ       string    `yaml:"jq"`
	Poll     *PollSpec `yaml:"poll"` // how its log API is asked; nil: it has none
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
)

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
	Name  string // of the preset; "jq" for an expression of the user's
	Input Input
	key   string

	program program
}

// Key tells the format from every other: a preset by its name, an expression by its text.
func (f Format) Key() string { return f.key }

// NewFormat makes the format of a preset or, where jq is not empty, of that expression. It cannot
// read files or the environment.
func NewFormat(preset, jq string) (Format, error) {
	f := Format{Name: "jq"}
	if jq != "" {
		preset = ""
	} else {
		p, err := FindPreset(preset)
		if err != nil {
			return Format{}, err
		}
		f.Name, f.Input, jq = p.Name, p.Input, p.JQ
	}
	var err error
	if f.program, err = newProgram(jq, preset != ""); err != nil {
		return Format{}, err
	}
	if f.key = f.Name; preset == "" {
		sum := sha256.Sum256([]byte(jq))
		f.key = "jq/" + hex.EncodeToString(sum[:8])
	}
	return f, nil
}

// ReadFormat makes the format of a preset's name or, where name is a path that ends in .jq or .yaml,
// of an expression or a preset in that file.
func ReadFormat(name string) (Format, error) {
	ext := path.Ext(name)
	if ext != ".jq" && ext != ".yaml" {
		return NewFormat(name, "")
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return Format{}, fmt.Errorf("format: %w", err)
	}
	if ext == ".jq" {
		return NewFormat("", string(b))
	}
	var p Preset
	if err := yaml.UnmarshalWithOptions(b, &p, yaml.Strict()); err != nil {
		return Format{}, fmt.Errorf("format: %s: %s", name, yaml.FormatError(err, false, false))
	}
	f, err := NewFormat("", p.JQ)
	f.Input = p.Input
	return f, err
}

// Events is what f makes of one record. A record may hold several events, and none that concern us.
// Text is not cleaned.
func (f Format) Events(ctx context.Context, record any) ([]Event, error) {
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

const maxPerRecord = 100_000
