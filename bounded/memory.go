// Package bounded bounds what others' programs take.
package bounded

import (
	"context"
	"runtime"
	"runtime/metrics"
	"time"
)

const (
	mostMemory   = 256 << 20 // that the process grows by
	memoryBegins = 10 * time.Millisecond
	memoryEvery  = 10 * time.Millisecond
)

// Memory returns a context that ends when the process has grown by more than 256 MiB meanwhile, and a function to call when the
// work is done. jq has no bound of its own for what a program makes of a record, and a record can say how much that is:
// range(.n). What is done within 10 ms costs a timer.
func Memory(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	timer := time.AfterFunc(memoryBegins, func() { watchMemory(ctx, cancel) })
	return ctx, func() {
		timer.Stop()
		cancel()
	}
}

func watchMemory(ctx context.Context, cancel func()) {
	before := heap()
	tick := time.NewTicker(memoryEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if heap() < before+mostMemory {
			continue
		}
		if runtime.GC(); heap() >= before+mostMemory { // it is no garbage of others
			cancel()
			return
		}
	}
}

func heap() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
