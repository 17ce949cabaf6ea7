// Package bounded runs jq so that it takes no more time and memory than it may, whatever a record has it make.
//
// jq runs in processes of its own, which are this program again and end with it: a bound within one process can only be looked at
// between the steps of jq, and one step can make gigabytes (of a text that is joined to itself, or of a value that holds itself many
// times and is written out), compare for minutes, or use up the stack, which ends a process.
package bounded

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/itchyny/gojq"
)

// What a run may take.
const (
	MaxMemory = 256 << 20 // bytes, with what the process has before
	MaxTime   = time.Second
	// mostWaiting is how long a run lasts by the clock, where the machine has no time for it.
	mostWaiting = 20 * time.Second
	mostRequest = 64 << 20 // bytes of JSON
)

// mostAnswer is how many bytes of JSON all outputs of a run may be: few programs make more than they read.
func mostAnswer(request int) int { return 4*request + 4<<20 }

// JQ is a compiled jq program. The zero JQ is none. It is safe for concurrent use.
type JQ struct {
	text      string
	variables []string
	code      *gojq.Code
	inside    bool
}

// Compile compiles a program. It cannot read files, the environment or further input. variables are the names, such as $a, of what Run
// is given beside the input. The error is gojq's.
func Compile(text string, variables ...string) (JQ, error) {
	q, err := gojq.Parse(text)
	if err != nil {
		return JQ{}, err
	}
	code, err := gojq.Compile(q, gojq.WithVariables(variables))
	return JQ{text: text, variables: variables, code: code}, err
}

// Inside is q run in this process, where the bounds are only looked after every 10 ms: it is for programs that are part of keyrounds.
func (q JQ) Inside() JQ {
	q.inside = true
	return q
}

// String is the program as it was written.
func (q JQ) String() string { return q.text }

// IsZero reports whether there is no program.
func (q JQ) IsZero() bool { return q.code == nil }

// What jq itself says of a failure is not in an error, since it repeats the record.
var (
	ErrFailed = errors.New("jq failed")
	ErrHalted = errors.New("jq was halted by its program") // by halt, which is no failure
	errEnded  = fmt.Errorf("%w: by halt_error", ErrFailed)
)

// Ends reports whether an error of a run is one that jq's try does not catch: all but those of the program's own steps.
func Ends(err error) bool {
	var exceeded *ExceededError
	return errors.As(err, &exceeded) || errors.Is(err, ErrHalted) || errors.Is(err, errEnded)
}

// ExceededError says which bound a program exceeded.
type ExceededError struct {
	What    string // "took more than …"
	Program string
}

func (e *ExceededError) Error() string {
	const most = 80
	text := []rune(e.Program)
	if len(text) > most {
		text = append(text[:most], '…')
	}
	return fmt.Sprintf("jq %s and was ended: %s", e.What, string(text))
}

// Hint says what a person does about it.
func (*ExceededError) Hint() string {
	return "let the expression make less of what it reads: pick members, with no loop over what a record says, and nothing that multiplies"
}

func (q JQ) exceeded(what string) error { return &ExceededError{what, q.text} }

// TooLong is the error of a run of q that takes longer than MaxTime, for who runs parts of it himself.
func (q JQ) TooLong() error { return q.exceeded(fmt.Sprintf("took more than %v", MaxTime)) }

// TooMuch is the same of memory.
func (q JQ) TooMuch() error {
	return q.exceeded(fmt.Sprintf("took more than %d MiB of memory", MaxMemory>>20))
}

// Run calls each with every value that q makes of in. Its errors are an *ExceededError, ErrFailed, ErrHalted, that of each, the end
// of ctx, and that no process could be started. Whole numbers are int where they fit, and *big.Int or json.Number where not.
func (q JQ) Run(ctx context.Context, in any, variables []any, each func(v any) error) error {
	return q.run(ctx, mostOutputs, in, variables, each)
}

const mostOutputs = 1 << 20

func (q JQ) run(ctx context.Context, most int, in any, variables []any, each func(v any) error) error {
	if q.inside {
		return q.runInside(ctx, in, variables, each)
	}
	values, err := q.runApart(ctx, most, in, variables)
	for _, v := range values {
		if err := each(v); err != nil {
			return err
		}
	}
	return err
}

func (q JQ) runApart(ctx context.Context, most int, in any, variables []any) ([]any, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	names := make([]any, len(q.variables))
	for i, name := range q.variables {
		names[i] = name
	}
	if variables == nil {
		variables = []any{}
	}
	request, err := gojq.Marshal(map[string]any{"jq": q.text, "names": names, "in": in, "values": variables, "most": most})
	if err != nil {
		return nil, ErrFailed
	}
	if len(request) > mostRequest {
		return nil, q.TooMuch()
	}
	answer, err := ask(ctx, request)
	switch {
	case errors.Is(err, errTime):
		return nil, q.TooLong()
	case errors.Is(err, errMemory):
		return nil, q.TooMuch()
	case errors.Is(err, errLong):
		return nil, q.exceeded(fmt.Sprintf("made more than %d MiB", mostAnswer(len(request))>>20))
	case err != nil:
		return nil, err
	}
	var got struct {
		Out []any  `json:"out"`
		End string `json:"end"`
	}
	if err := newDecoder(strings.NewReader(answer)).Decode(&got); err != nil {
		if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) { // "exceeded max depth": all else of it is right
			return nil, q.exceeded("made lists or objects that are nested too deep")
		}
		return nil, ErrFailed
	}
	for i, v := range got.Out {
		got.Out[i] = numbers(v)
	}
	return got.Out, ends[got.End]
}

// ends are the words by which a process says how a run ended.
var ends = map[string]error{"": nil, "failed": ErrFailed, "halted": ErrHalted, "ended": errEnded}

var errFirst = errors.New("that was the first")

// First is the first value, and whether there is one. Its errors are those of Run.
func (q JQ) First(ctx context.Context, in any, variables ...any) (first any, is bool, err error) {
	err = q.run(ctx, 1, in, variables, func(v any) error {
		first, is = v, true
		return errFirst
	})
	if errors.Is(err, errFirst) {
		err = nil
	}
	return first, is, err
}
