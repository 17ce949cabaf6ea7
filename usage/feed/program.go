package feed

import (
	"context"
	"errors"
	"fmt"

	"github.com/itchyny/gojq"
)

// program is the jq of a format. It is safe for concurrent use.
type program struct {
	code   *gojq.Code
	native expression // the same in Go; nil: code runs
}

// newProgram compiles jq text. The program cannot read files or the environment.
func newProgram(text string) (p program, err error) {
	q, err := gojq.Parse(text)
	if err != nil {
		return p, fmt.Errorf("jq: %w", err)
	}
	if p.code, err = gojq.Compile(q); err != nil {
		return p, fmt.Errorf("jq: %w", err)
	}
	p.native = nativeOf(q)
	return p, nil
}

// errUnfit says no more, since jq's own words repeat the record.
var errUnfit = errors.New("the format's jq does not fit it")

// run gives each value that p makes of a record. Its error is that of each, or errUnfit where the record made jq fail.
func (p program) run(ctx context.Context, record any, each func(v any) error) error {
	if p.native != nil {
		v, is, err := p.native(&frame{ctx: ctx}, record)
		switch {
		case err != nil && !halted(err):
			return errUnfit
		case err == nil && is:
			return each(v)
		}
		return nil
	}
	for it := p.code.RunWithContext(ctx, record); ; {
		v, more := it.Next()
		if !more {
			return nil
		}
		if err, failed := v.(error); failed {
			if halted(err) {
				return nil
			}
			return errUnfit
		}
		if err := each(v); err != nil {
			return err
		}
	}
}

// halted reports whether jq's halt ended a program, which is no failure.
func halted(err error) bool {
	var halt *gojq.HaltError
	return errors.As(err, &halt) && halt.Value() == nil
}
