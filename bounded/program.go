// Package bounded runs jq so that it takes no more time and memory than it may, whatever a record has it make.
//
// jq runs in processes of its own, which are this program again and end with it: a bound within one process can only be looked at
// between the steps of jq, and one step can make gigabytes (of a text that is joined to itself, or of a value that holds itself many
// times and is written out), or use up the stack, which ends a process.
package bounded

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/itchyny/gojq"
)

// What a run may take.
const (
	MostMemory = 256 << 20 // bytes, beside what the process has before
	MostTime   = time.Second
	// mostWaiting is how long a run lasts by the clock, where the machine has no time for it.
	mostWaiting = 20 * time.Second
	mostAnswer  = 32 << 20 // bytes of JSON
)

// The errors of a run. None has the record's text.
var (
	ErrMemory = errors.New("jq takes more than 256 MiB of memory")
	ErrTime   = errors.New("jq takes more than a second")
	ErrFailed = errors.New("jq fails")
	ErrHalted = errors.New("jq halts") // by its own halt; what came before is good
)

// Program is a jq program. It is safe for concurrent use.
type Program struct {
	text  string
	names []string
}

// Compile makes a program of text, with variables of these names. It cannot read the environment, files or further input. The error
// is gojq's.
func Compile(text string, names ...string) (*Program, error) {
	q, err := gojq.Parse(text)
	if err != nil {
		return nil, err
	}
	if _, err := gojq.Compile(q, gojq.WithVariables(names)); err != nil {
		return nil, err
	}
	return &Program{text, names}, nil
}

// Run returns what the program makes of in, with values for its variables: at most that many outputs, for which it does not run
// longer than it must. Numbers of outputs are int where they fit, else float64. The error is one of this package or ctx's, and
// that the process could not be started; outputs that came before it are returned too.
func (p *Program) Run(ctx context.Context, most int, in any, values ...any) ([]any, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	names := make([]any, len(p.names))
	for i, name := range p.names {
		names[i] = name
	}
	if values == nil {
		values = []any{}
	}
	text, err := gojq.Marshal(map[string]any{"jq": p.text, "names": names, "in": in, "values": values, "most": most})
	if err != nil {
		return nil, ErrFailed
	}
	answer, err := ask(ctx, text)
	if err != nil {
		return nil, err
	}
	v, err := decode(answer)
	if err != nil {
		return nil, ErrFailed
	}
	m, _ := v.(map[string]any)
	outputs, _ := m["out"].([]any)
	switch m["end"] {
	case "":
		return outputs, nil
	case "halted":
		return outputs, ErrHalted
	}
	return outputs, ErrFailed
}

// decode reads a JSON value as gojq has values, but that numbers which are no int and no float64 lose digits.
func decode(text string) (any, error) {
	d := newDecoder(strings.NewReader(text))
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	return numbers(v), nil
}
