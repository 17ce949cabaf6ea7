package rounds

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"go.opentelemetry.io/otel/attribute"

	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/registry"
	"github.com/keyrounds/keyrounds/traces"
)

// Rules of a stream, the job that checks what is due at one provider:
//
//  1. It leases what it can work on now, asks, stores, and leases again. Nothing else is queued: what nobody has
//     leased is due, and its lag shows.
//  2. It ends when nothing is due, when the provider may not be asked, or when its time is over; then the next such
//     job follows it. Where a process died, the next sweep begins another.
//  3. Between two batches whoever waits for the provider goes first.

// streamArgs is the work at one provider, for less than a minute.
type streamArgs struct {
	Provider string `json:"provider"`
	Trace    string `json:"trace,omitempty"` // traceparent of its round
}

func (streamArgs) Kind() string { return "stream" }

func (streamArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: batchQueue, MaxAttempts: maxAttempts}
}

type streamWorker struct {
	river.WorkerDefaults[streamArgs]
	rounds *Rounds
}

func (w *streamWorker) Work(ctx context.Context, job *river.Job[streamArgs]) error {
	more, err := w.rounds.stream(traces.With(ctx, job.Args.Trace), job.Args.Provider)
	if err != nil || !more {
		return err
	}
	return pgx.BeginFunc(ctx, w.rounds.Pool, func(tx pgx.Tx) error { return w.rounds.begin(ctx, tx, job.Args.Provider) })
}

// begin inserts a stream for each provider that has none that waits, in tx. They are one round, with a trace.
func (r *Rounds) begin(ctx context.Context, tx pgx.Tx, providers ...string) (err error) {
	rows, err := tx.Query(ctx, `
		SELECT p FROM unnest($1::text[]) AS p WHERE NOT EXISTS (
			SELECT FROM river_job WHERE kind = $2 AND state = 'available' AND args->>'provider' = p)`, providers, streamArgs{}.Kind())
	if err != nil {
		return err
	}
	if providers, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil || len(providers) == 0 {
		return err
	}
	ctx, span := r.span(ctx, "round", r.Now(), attribute.Int("keyrounds.providers", len(providers)))
	defer func() { end(span, err) }()
	var jobs []river.InsertManyParams
	for _, p := range providers {
		jobs = append(jobs, river.InsertManyParams{Args: streamArgs{p, traces.Of(ctx)}})
	}
	_, err = r.client.InsertManyFastTx(ctx, tx, jobs)
	return err
}

// stream checks what is due at a provider, a batch after the other, until nothing is or its time is over. more: its
// time is over, and there may be more to do.
func (r *Rounds) stream(ctx context.Context, provider string) (more bool, err error) {
	stop, end := r.stopSignal()
	defer end()
	size, first := firstSize(r.provider(provider)), r.Now()
	var sum tally
	defer func() { r.tellRound(ctx, provider, sum, r.Now().Sub(first)) }()
	for {
		began := r.Now()
		t, err := r.turn(ctx, stop, provider, size)
		sum = sum.plus(t.tally)
		var notNow *NotNowError
		switch {
		case errors.As(err, &notNow), r.stops(): // the next sweep, or another daemon, goes on
			return false, nil
		case err != nil:
			return false, err
		case t.wait > patience, t.wait <= 0 && t.progress == 0:
			return false, nil
		}
		if isClosed(stop) {
			return true, nil
		}
		if err := r.pass(ctx, t.wait); err != nil {
			return false, nil
		}
		if t.checked > 0 {
			size = nextSize(r.provider(provider), t.checked, r.Now().Sub(began))
		}
	}
}

// turn is what came of one batch.
type turn struct {
	tally                  // of the results that were stored
	progress int           // credentials that are not due any more
	wait     time.Duration // until the provider's rate is free; what is due was not leased
}

// turn leases what is due, up to size, checks it and stores the results. It occupies the provider meanwhile.
func (r *Rounds) turn(ctx context.Context, stop <-chan struct{}, provider string, size int) (t turn, err error) {
	at, err := r.occupy(ctx, Order{Purpose: scheduled, Provider: provider})
	if err != nil {
		return t, err
	}
	defer at.leave()
	o, t, err := r.lease(ctx, provider, size)
	if err != nil || len(o.Credentials) == 0 {
		return t, err
	}
	endRenewal := r.renewing(ctx, "credentials of "+provider, func(ctx context.Context, until time.Time) error {
		return r.Registry.Renew(ctx, o.Leases, until)
	})
	defer endRenewal()
	var endStop func()
	o.Stop, endStop = either(stop, at.lost)
	defer endStop()
	judged, err := r.work(ctx, o)
	if err != nil {
		r.handBack(ctx, o.Leases)
	}
	t.tally, t.progress = count(judged), t.progress+len(judged)
	return t, err
}

// lease leases what is due at a provider, counts it against the budget and books the rate, in one transaction. What
// the provider may not be asked for moves to when it may.
func (r *Rounds) lease(ctx context.Context, provider string, size int) (o Order, t turn, err error) {
	now, p := r.Now(), r.provider(provider)
	o = Order{Purpose: scheduled, Provider: provider, Occupied: true}
	err = pgx.BeginFunc(ctx, r.Pool, func(tx pgx.Tx) error {
		booked, err := r.Registry.Booked(ctx, tx, provider)
		if t.wait = max(0, booked.Sub(now)); err != nil || t.wait > 0 {
			return err
		}
		due, err := r.Registry.Lease(ctx, tx, provider, now, now.Add(r.leaseTime()), size)
		if err != nil {
			return err
		}
		allowed, err := r.ration(ctx, tx, due, p, now)
		if t.progress = len(due) - len(allowed); err != nil || len(allowed) == 0 {
			return err
		}
		for _, l := range allowed {
			o.Credentials, o.Leases = append(o.Credentials, l.Credential), append(o.Leases, l.Lease)
		}
		if _, err := r.Registry.Pace(ctx, tx, provider, now, takes(p, len(allowed))); err != nil {
			return err
		}
		return r.Registry.Spend(ctx, tx, provider, now, len(allowed))
	})
	return o, t, err
}

// handBack ends leases of which nothing came. Where that fails, they end by themselves.
func (r *Rounds) handBack(ctx context.Context, ls []registry.Lease) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	err := pgx.BeginFunc(ctx, r.Pool, func(tx pgx.Tx) error {
		ids := make([]int64, len(ls))
		for i, l := range ls {
			ids[i] = l.Credential
		}
		if err := r.Registry.Lock(ctx, tx, ids); err != nil {
			return err
		}
		return r.Registry.HandBack(ctx, tx, ls)
	})
	if err != nil {
		r.Log.Warn("leases were not handed back, and end by themselves", "credentials", len(ls), "error", err)
	}
}

// provider is that of the settings in force. One that left the configuration has a rate, to be done with.
func (r *Rounds) provider(name string) checker.Provider {
	if p, ok := r.settings.Load().Providers[name]; ok {
		return p
	}
	return checker.Provider{Name: name, Rate: maxBatch}
}

// A batch is to take about this long, so that whoever waits for the provider comes soon, and little is asked twice
// after a kill.
const batchTime = 2 * time.Second

// firstSize is how many credentials a stream leases before it knows how fast the provider is.
func firstSize(p checker.Provider) int {
	if p.Passive {
		return maxBatch
	}
	return min(batchSize(p), max(20, 4*p.Concurrency))
}

// nextSize is how many it leases after n took so long: what fits into batchTime, and no fewer than may be under way.
func nextSize(p checker.Provider, n int, took time.Duration) int {
	fits := float64(n) / max(took, time.Millisecond).Seconds() * batchTime.Seconds()
	return min(batchSize(p), max(1, p.Concurrency, int(min(fits, maxBatch))))
}

// stops reports whether the daemon stops.
func (r *Rounds) stops() bool { return isClosed(r.stopping) }

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// leaseOf is the lease of a credential among ls; the zero Lease: it has none.
func leaseOf(ls []registry.Lease, c credential.Credential) registry.Lease {
	for _, l := range ls {
		if l.Credential == c.ID {
			return l
		}
	}
	return registry.Lease{}
}
