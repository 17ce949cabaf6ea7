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
	code   *gojq.Code       // of a preset, which we know: in this process
	apart  *bounded.Program // of a user, who may write anything: in one of its own
	native expression       // the same in Go; nil: one of those runs
	list   expression       // of a program that begins with list[] |: native is what follows, for each of them; nil: of the record
	frames *sync.Pool
}

// newProgram compiles jq text. The program cannot read files or the environment. ours: a preset has it.
func newProgram(text string, ours bool) (p program, err error) {
	q, err := gojq.Parse(text)
	if err != nil {
		return p, fmt.Errorf("jq: %w", err)
	}
	if ours {
		p.code, err = gojq.Compile(q)
	} else {
		p.apart, err = bounded.Compile(text)
	}
	if err != nil {
		return p, fmt.Errorf("jq: %w", err)
	}
	p.list, p.native = nativeOf(q, ours)
	p.frames = &sync.Pool{New: func() any { return &frame{} }}
	return p, nil
}

// errUnfit says no more, since jq's own words repeat the record.
var errUnfit = errors.New("the format's jq does not fit it")

// run gives each value that p makes of a record; it is valid until each returns. The error is that of each, or errUnfit where
// the record made jq fail.
func (p program) run(ctx context.Context, record any, each func(v any) error) error {
	if parts, is := p.parts(ctx, record); is {
		return p.runNative(ctx, parts, each)
	}
	if p.apart != nil {
		return p.runApart(ctx, record, each)
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

func (p program) runApart(ctx context.Context, record any, each func(v any) error) error {
	values, failed := p.apart.Run(ctx, maxPerRecord+1, record)
	for _, v := range values {
		if err := each(v); err != nil {
			return err
		}
	}
	return unfit(failed)
}

// unfit is what a failure of jq means for a record.
func unfit(err error) error {
	switch {
	case err == nil, halted(err):
		return nil
	case errors.Is(err, bounded.ErrFailed):
		return errUnfit
	case errors.Is(err, bounded.ErrMemory), errors.Is(err, bounded.ErrTime):
		return fmt.Errorf("the format's %w", err)
	}
	return err
}

// parts are what native runs for, of a record. is false: gojq runs.
func (p program) parts(ctx context.Context, record any) (parts []any, is bool) {
	if p.native == nil || p.list == nil {
		return []any{record}, p.native != nil
	}
	v, _, err := p.list(&frame{ctx: ctx}, record)
	parts, is = v.([]any)
	return parts, is && err == nil
}

func (p program) runNative(ctx context.Context, parts []any, each func(v any) error) error {
	f, _ := p.frames.Get().(*frame)
	defer func() {
		f.reset()
		p.frames.Put(f)
	}()
	for _, part := range parts {
		f.reset()
		f.ctx = ctx
		v, is, err := p.native(f, part)
		switch {
		case ctx.Err() != nil:
			return errUnfit
		case err == nil && is:
			err = each(v)
		case halted(err):
			return nil
		case err != nil:
			if err = unfit(err); !isOfBounds(err) {
				err = errUnfit
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func isOfBounds(err error) bool {
	return errors.Is(err, bounded.ErrMemory) || errors.Is(err, bounded.ErrTime)
}

// halted reports whether jq's halt ended a program, which is no failure.
func halted(err error) bool {
	var halt *gojq.HaltError
	return errors.Is(err, bounded.ErrHalted) || errors.As(err, &halt) && halt.Value() == nil
}
