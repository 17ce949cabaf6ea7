package rounds

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/registry"
)

// Leases and slots last for leaseTime and are renewed while their holder works. So whoever dies idles a provider and
// its credentials for no longer than that.
const (
	maxLease   = 35 * time.Second
	renewShare = 10.0 / 35 // of it between two renewals
)

// leaseTime is how long a lease lasts that is not renewed; less than 35 s where a job lasts for less than a minute.
func (r *Rounds) leaseTime() time.Duration {
	return min(maxLease, time.Duration(batchShare*float64(r.JobTimeout)))
}

func newHolder() int64 { return rand.Int64N(1<<62) + 1 }

// atOnce is how many checks may be under way at a provider, over all replicas.
func atOnce(p checker.Provider) int { return max(1, p.Concurrency) }

// place is what somebody in this process holds of a provider's concurrency.
type place struct {
	slots int
	lost  <-chan struct{} // closes when others have it: this process slept for too long
	leave func()
}

// occupy waits until a slot of the provider of o is free, and takes as many as o can use and are. What one that died
// held is free when it is over.
func (r *Rounds) occupy(ctx context.Context, o Order) (place, error) {
	p := r.provider(o.Provider)
	share := registry.Share{Provider: o.Provider, Holder: newHolder(), Wants: max(1, len(o.Credentials))}
	leave := func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		if err := r.Registry.Leave(ctx, share.Provider, share.Holder); err != nil {
			r.Log.Warn("the next who asks this provider has to wait", "provider", share.Provider, "error", err)
		}
	}
	look := soonLook
	for began := time.Now(); ; {
		slots, _, err := r.share(ctx, share, p)
		if err == nil && slots > 0 {
			share.Busy, share.Wants = slots, slots
			return r.stay(ctx, share, p, leave), nil
		}
		if err == nil && time.Since(began) >= o.Purpose.Patience {
			err = &NotNowError{Provider: o.Provider, Why: "is busy with other checks"}
		}
		if err == nil {
			err = r.pass(ctx, look)
			look = min(2*look, longLook)
		}
		if err != nil {
			leave()
			return place{}, err
		}
	}
}

// How soon who waits for a slot looks again.
const (
	soonLook = 20 * time.Millisecond
	longLook = 500 * time.Millisecond
)

// share asks for slots in a transaction of its own.
func (r *Rounds) share(ctx context.Context, sh registry.Share, p checker.Provider) (slots, share int, err error) {
	err = pgx.BeginFunc(ctx, r.Pool, func(tx pgx.Tx) (err error) {
		now := r.Now()
		slots, share, err = r.Registry.Slots(ctx, tx, sh, atOnce(p), now, now.Add(r.leaseTime()))
		return err
	})
	return slots, share, err
}

// stay renews the slots until they are left or lost.
func (r *Rounds) stay(ctx context.Context, sh registry.Share, p checker.Provider, leave func()) place {
	lost := make(chan struct{})
	ctx, cancel := context.WithCancel(ctx)
	var done sync.WaitGroup
	done.Go(func() {
		tick := time.NewTicker(r.renewal())
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			slots, _, err := r.share(ctx, sh, p)
			if err == nil && slots < sh.Busy {
				close(lost)
				return
			}
			if err != nil && ctx.Err() == nil {
				r.Log.Warn("a place could not be renewed yet", "provider", sh.Provider, "error", err)
			}
		}
	})
	return place{sh.Busy, lost, func() {
		cancel()
		done.Wait()
		leave()
	}}
}

// renewal is the time between two renewals.
func (r *Rounds) renewal() time.Duration { return time.Duration(renewShare * float64(r.leaseTime())) }

// either closes when a or b does, or end is called.
func either(a, b <-chan struct{}) (c <-chan struct{}, end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		select {
		case <-a:
		case <-b:
		case <-ctx.Done():
		}
		cancel()
	}()
	return ctx.Done(), cancel
}
