package rounds

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"go.opentelemetry.io/otel/attribute"

	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/registry"
	"github.com/keyrounds/keyrounds/traces"
)

// Rules of a stream, the job that checks what is due at one provider:
//
//  1. It leases what its slots can take now and in the next moment, asks, and stores results while the next exchanges
//     go on. Nothing else is queued: what nobody has leased is due, and its lag shows.
//  2. It holds slots of the provider's concurrency (registry/slots.go). Streams of other replicas, and whoever else asks, have the
//     rest; all together are never more.
//  3. No exchange begins after the lease of its credential is over, by this process's own clock.
//  4. It ends when nothing is due, when the provider may not be asked, or when its time is over; then the next such job
//     begins before its last exchanges end. Where a process died, the next sweep begins another.
//  5. What was seen and could not be stored yet is kept for keepResults.

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

// Work completes the job only where it is still this run's: one that slept may find it rescued and run elsewhere.
func (w *streamWorker) Work(ctx context.Context, job *river.Job[streamArgs]) error {
	ctx, done := w.rounds.outlive(ctx)
	defer done()
	if err := w.rounds.stream(traces.With(ctx, job.Args.Trace), job.Args.Provider); err != nil {
		return err
	}
	return pgx.BeginFunc(ctx, w.rounds.Pool, func(tx pgx.Tx) error { return fence(job)(ctx, tx) })
}

// outlive returns a context for what may last longer than its job: results are kept for keepResults while the database is
// away. It ends when the daemon has stopped.
func (r *Rounds) outlive(ctx context.Context) (_ context.Context, done func()) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.JobTimeout+keepResults)
	ended := make(chan struct{})
	go func() {
		defer cancel()
		select {
		case <-r.stopping:
		case <-ended:
			return
		}
		select {
		case <-time.After(stopTime):
		case <-ended:
		}
	}()
	return ctx, sync.OnceFunc(func() { close(ended) })
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

// stream is the work of a stream. Everything but what runs in goroutines of its own, which say what came of it by
// events, belongs to the goroutine of run.
type stream struct {
	*Rounds
	settings *Settings
	provider checker.Provider
	known    bool // it is in the configuration
	session  *checker.Session
	ctx      context.Context // of the job
	optional context.Context // of what can be left out when the daemon stops
	cutShort func()
	events   chan func()
	first    time.Time
	over     time.Time // then the next stream begins
	sum      tally

	place registry.Share
	slots int       // that it holds
	limit int       // that it may use: its share of them
	asked time.Time // when it asked for slots last
	// notBefore: it does not ask sooner, since the database did not answer.
	notBefore time.Time
	placing   bool // a transaction about leases and slots is under way
	renewed   time.Time
	look      time.Time // when to lease again; zero: when there is room
	dry       bool      // less was due than there was room for

	queue []*leased // not begun yet, the one that waits longest first
	held  map[int64]*leased
	speed speed
	turn  *time.Time // of the first in queue; nil: not booked yet

	flying  int
	workers int // goroutines that check
	todo    chan *leased
	results []answer // not being stored yet
	storing int      // transactions that store results
	// storesSince is when the oldest of them began, in Unix nanoseconds; 0: there is none.
	storesSince atomic.Int64
	pending     int // other transactions under way

	ended bool // nothing more is leased or begun
	err   error
}

// keepsAfter is how long results take to be stored while all is well, and more.
const keepsAfter = 15 * time.Second

// keeps reports whether a stream of this process has results of a provider that could not be stored for a while.
func (r *Rounds) keeps(provider string) (keeps bool) {
	r.running.Range(func(key, _ any) bool {
		s := key.(*stream)
		since := s.storesSince.Load()
		keeps = s.provider.Name == provider && since != 0 && time.Since(time.Unix(0, since)) > keepsAfter
		return !keeps
	})
	return keeps
}

// stream checks what is due at a provider until nothing is or its time is over.
func (r *Rounds) stream(ctx context.Context, provider string) error {
	if r.keeps(provider) {
		return nil // it would ask again for what could not be stored yet
	}
	if _, twice := r.streams.LoadOrStore(provider, true); twice { // another replica may help here, not this one
		return nil
	}
	s := r.newStream(ctx, provider)
	defer s.cutShort()
	r.running.Store(s, true)
	defer r.running.Delete(s)
	return s.run()
}

func (r *Rounds) newStream(ctx context.Context, provider string) *stream {
	s := &stream{
		Rounds: r, settings: r.settings.Load(), provider: r.provider(provider), ctx: ctx,
		events: make(chan func(), 64), todo: make(chan *leased, checker.MaxConcurrency), held: map[int64]*leased{},
		place: registry.Share{Provider: provider, Holder: newHolder(), Yields: true},
		first: r.Now(), renewed: r.Now(),
	}
	s.over = s.first.Add(time.Duration(batchShare * float64(r.JobTimeout)))
	_, s.known = s.settings.Providers[provider]
	s.session = r.Checker.Open(s.provider)
	s.optional, s.cutShort = context.WithCancel(ctx)
	s.speed.since = r.Now()
	return s
}

// run goes on until everything that was leased is stored or handed back.
func (s *stream) run() error {
	wake := time.NewTimer(time.Hour)
	defer wake.Stop()
	stopping, cancelled := s.stopping, s.ctx.Done()
	for {
		if !s.Now().Before(s.over) {
			s.handOver()
		}
		s.lease()
		s.ask()
		s.store()
		if s.done() {
			break
		}
		wake.Reset(s.nextWake())
		select {
		case happened := <-s.events:
			happened()
			for more := true; more; { // what else happened meanwhile
				select {
				case happened := <-s.events:
					happened()
				default:
					more = false
				}
			}
		case <-wake.C:
		case <-stopping:
			stopping = nil
			s.cutShort()
			s.end(nil)
		case <-cancelled:
			cancelled = nil
			s.end(s.ctx.Err())
		}
	}
	close(s.todo)
	s.leave()
	s.tellRound(s.ctx, s.provider.Name, s.sum, s.Now().Sub(s.first))
	return s.err
}

// do runs f beside, and then what f returns in the goroutine of run.
func (s *stream) do(f func() func()) {
	go func() { s.events <- f() }()
}

// done reports whether there is nothing more to wait for. A stream that has nothing in hand and finds nothing due is.
func (s *stream) done() bool {
	if s.placing || s.storing > 0 || s.pending > 0 || len(s.held) > 0 {
		return false
	}
	if !s.ended && (s.dry || s.look.Sub(s.Now()) > patience) {
		s.end(nil)
	}
	return s.ended
}

// nextWake is how long there is nothing to do unless something happens.
func (s *stream) nextWake() time.Duration {
	wake, now := time.Second, s.Now()
	soon := func(at time.Time) { wake = min(wake, max(time.Millisecond, at.Sub(now))) }
	if !s.placing {
		soon(s.renewed.Add(s.renewal()))
		soon(s.nextAsk())
	}
	if !s.ended {
		soon(s.over)
	}
	if s.mayLease() {
		soon(s.look)
	}
	if s.turn != nil && s.flying < s.limit {
		wake = min(wake, max(time.Millisecond, time.Until(*s.turn)))
	}
	if s.storing < mostStoring && len(s.results) > 0 {
		soon(s.results[0].came.Add(storeEvery))
	}
	if pause := s.session.Pause(); pause > 0 && len(s.queue) > 0 {
		wake = min(wake, pause)
	}
	return wake
}

// end has nothing more begin, and hands back what did not.
func (s *stream) end(err error) {
	if s.ended {
		return
	}
	s.ended, s.err, s.limit = true, err, 0
	s.streams.Delete(s.provider.Name)
	if len(s.queue) > 0 {
		s.giveBack(s.queue)
		s.queue = nil
	}
}

// handOver ends, and begins the next stream, which takes the slots over as they are free.
func (s *stream) handOver() {
	if s.ended {
		return
	}
	s.end(nil)
	s.pending++
	s.do(func() func() {
		err := pgx.BeginFunc(s.ctx, s.Pool, func(tx pgx.Tx) error { return s.begin(s.ctx, tx, s.provider.Name) })
		return func() {
			s.pending--
			if err != nil { // the next sweep begins one
				s.Log.Warn("the next stream could not be begun", "provider", s.provider.Name, "error", err)
			}
		}
	})
}

// leave gives the slots back.
func (s *stream) leave() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), 2*time.Second)
	defer cancel()
	if err := s.Registry.Leave(ctx, s.provider.Name, s.place.Holder); err != nil {
		s.Log.Warn("the next who asks this provider has to wait", "provider", s.provider.Name, "error", err)
	}
}

// failed ends a stream whose database does not answer. The next sweep begins another.
func (s *stream) failed(err error) {
	if !s.ended && !errors.Is(err, context.Canceled) {
		s.Log.Warn("a stream ends early", "provider", s.provider.Name, "error", err)
	}
	s.end(err)
}

// provider is that of the settings in force. One that left the configuration has a rate, to be done with.
func (r *Rounds) provider(name string) checker.Provider {
	if p, ok := r.settings.Load().Providers[name]; ok {
		return p
	}
	return checker.Provider{Name: name, Rate: maxBatch}
}

// speed is how many checks end in a second.
type speed struct {
	perSecond float64
	since     time.Time
	n         int
}

// measureFor is how long it is counted until the speed is known anew.
const measureFor = 100 * time.Millisecond

func (v *speed) count(n int, now time.Time) {
	v.n += n
	if took := now.Sub(v.since); took >= measureFor {
		v.perSecond = (v.perSecond + float64(v.n)/took.Seconds()) / 2
		v.n, v.since = 0, now
	}
}
