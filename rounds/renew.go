package rounds

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/keyrounds/keyrounds/registry"
)

// Leases and the occupation of a provider last for leaseTime and are renewed while their holder works. So whoever
// dies idles a provider and its credentials for no longer than that.
const (
	maxLease   = 35 * time.Second
	renewShare = 10.0 / 35 // of it between two renewals
)

// leaseTime is how long a lease lasts that is not renewed; less than 35 s where a job lasts for less than a minute.
func (r *Rounds) leaseTime() time.Duration {
	return min(maxLease, time.Duration(batchShare*float64(r.JobTimeout)))
}

// renewing has renew called from time to time, with the time until which to renew, until end is called or ctx ends. A
// renewal that fails is followed by the next.
func (r *Rounds) renewing(ctx context.Context, what string, renew func(context.Context, time.Time) error) (end func()) {
	ctx, cancel := context.WithCancel(ctx)
	var done sync.WaitGroup
	done.Go(func() {
		tick := time.NewTicker(time.Duration(renewShare * float64(r.leaseTime())))
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if err := renew(ctx, r.Now().Add(r.leaseTime())); err != nil && ctx.Err() == nil {
				r.Log.Warn("a lease could not be renewed yet", "of", what, "error", err)
			}
		}
	})
	return func() {
		cancel()
		done.Wait()
	}
}

// place is a provider that somebody in this process occupies.
type place struct {
	lost  <-chan struct{} // closes when another one has it: this process slept for too long
	leave func()
}

// occupy waits until nobody else works at the provider of o. One that died gives way when its lease is over.
func (r *Rounds) occupy(ctx context.Context, o Order) (place, error) {
	holder := -rand.Int64N(1<<62) - 1
	began := time.Now()
	for {
		yields := o.Purpose.yields && time.Since(began) < yieldTime
		now := r.Now()
		wanted := registry.Occupation{Provider: o.Provider, Holder: holder, Yields: yields}
		free, err := r.Registry.Occupy(ctx, wanted, now, now.Add(r.leaseTime()))
		if err != nil {
			return place{}, err
		}
		if free {
			return r.stay(ctx, o.Provider, holder), nil
		}
		if time.Since(began) >= o.Purpose.Patience {
			return place{}, &NotNowError{Provider: o.Provider, Why: "is busy with other checks"}
		}
		if !o.Purpose.yields {
			if err := r.Registry.Want(ctx, o.Provider, now.Add(wantTime)); err != nil {
				return place{}, err
			}
		}
		if err := r.pass(ctx, occupyLook); err != nil {
			return place{}, err
		}
	}
}

const (
	occupyLook = 100 * time.Millisecond
	wantTime   = time.Second // whoever waits says so again before it is over
	yieldTime  = time.Second // then the rounds wait like everybody, so that they have their turn too
)

// stay renews the occupation until it is left or lost.
func (r *Rounds) stay(ctx context.Context, provider string, holder int64) place {
	lost := make(chan struct{})
	var once sync.Once
	end := r.renewing(ctx, "provider "+provider, func(ctx context.Context, until time.Time) error {
		own, err := r.Registry.Stay(ctx, provider, holder, until)
		if err == nil && !own {
			once.Do(func() { close(lost) })
		}
		return err
	})
	return place{lost, func() {
		end()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		if err := r.Registry.Leave(ctx, provider, holder); err != nil {
			r.Log.Warn("the next who asks this provider has to wait", "provider", provider, "error", err)
		}
	}}
}

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
