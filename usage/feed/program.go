package feed

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/itchyny/gojq"

	"github.com/keyrounds/keyrounds/bounded"
)

// program is the jq of a format. It is safe for concurrent use.
type program struct {
	code   bounded.JQ
	native expression // the same in Go; nil: code runs
	list   expression // of a program that begins with list[] |: native is what follows, for each of them; nil: of the record
	frames *sync.Pool
}

// newProgram compiles jq text. The program cannot read files or the environment. ours: it is part of keyrounds, so that what
// gojq runs of it runs in this process.
func newProgram(text string, ours bool) (p program, err error) {
	q, err := gojq.Parse(text)
	if err != nil {
		return p, fmt.Errorf("jq: %w", err)
	}
	if p.code, err = bounded.Compile(text); err != nil {
		return p, fmt.Errorf("jq: %w", err)
	}
	if ours {
		p.code = p.code.Inside()
	}
	p.list, p.native = nativeOf(q, ours)
	p.frames = &sync.Pool{New: func() any { return &frame{} }}
	return p, nil
}

// errUnfit says no more, since jq's own words repeat the record.
var errUnfit = errors.New("the format's jq does not fit it")

// run gives each value that p makes of a record; it is valid until each returns. The error is that of each, a
// *bounded.ExceededError, or errUnfit where the record made jq fail.
func (p program) run(ctx context.Context, record any, each func(v any) error) error {
	if p.native == nil {
		return fitting(p.code.Run(ctx, record, nil, each))
	}
	f, _ := p.frames.Get().(*frame)
	defer func() {
		f.reset()
		p.frames.Put(f)
	}()
	f.begin(ctx, p.code)
	parts, is, err := p.parts(ctx, record)
	if err != nil {
		return fitting(err)
	}
	if !is {
		return fitting(p.code.Run(ctx, record, nil, each))
	}
	return p.runNative(f, parts, each)
}

// parts are what native runs for, of a record. is false: gojq runs.
func (p program) parts(ctx context.Context, record any) (parts []any, is bool, err error) {
	if p.list == nil {
		return []any{record}, true, nil
	}
	f := &frame{} // what is made of it stays while the parts are read
	f.begin(ctx, p.code)
	v, _, err := p.list(f, record)
	parts, is = v.([]any)
	if err != nil && bounded.Ends(err) {
		return nil, false, err
	}
	return parts, is && err == nil, nil
}

func (p program) runNative(f *frame, parts []any, each func(v any) error) error {
	for _, part := range parts {
		f.next()
		v, is, err := p.native(f, part)
		switch {
		case err != nil && f.ctx.Err() != nil:
			return errUnfit
		case err != nil:
			return fitting(err)
		case is:
			if err := each(v); err != nil {
				return err
			}
		}
		if f.ctx.Err() != nil {
			return errUnfit
		}
	}
	return nil
}

// fitting is an error of a run in the words of a format. halt is none.
func fitting(err error) error {
	switch {
	case errors.Is(err, bounded.ErrHalted):
		return nil
	case errors.Is(err, bounded.ErrFailed), errors.Is(err, errNoMember),
		errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return errUnfit
	}
	return err
}
