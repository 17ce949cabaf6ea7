package bounded

import (
	"context"
	"errors"
	"runtime"
	"runtime/metrics"
	"time"

	"github.com/itchyny/gojq"
)

const lookEvery = 10 * time.Millisecond

// runInside runs q in this process. What is done within 10 ms costs a timer.
func (q JQ) runInside(ctx context.Context, in any, variables []any, each func(v any) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(lookEvery, func() { q.watch(ctx, cancel) })
	defer func() {
		timer.Stop()
		cancel(nil)
	}()
	for it := q.code.RunWithContext(ctx, in, variables...); ; {
		v, more := it.Next()
		if !more {
			return nil
		}
		if err, failed := v.(error); failed {
			return failure(ctx, err)
		}
		if err := each(v); err != nil {
			return err
		}
	}
}

func failure(ctx context.Context, err error) error {
	var halt *gojq.HaltError
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.As(err, &halt) && halt.Value() == nil:
		return ErrHalted
	case halt != nil:
		return errEnded
	}
	return ErrFailed
}

// watch ends a run that takes too long, or meanwhile has the process grow by too much.
func (q JQ) watch(ctx context.Context, cancel context.CancelCauseFunc) {
	before, end := heap(), time.Now().Add(MaxTime)
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if time.Now().After(end) {
			cancel(q.TooLong())
			return
		}
		if heap() < before+MaxMemory {
			continue
		}
		if runtime.GC(); heap() >= before+MaxMemory { // it is no garbage of others
			cancel(q.TooMuch())
			return
		}
	}
}

func heap() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
