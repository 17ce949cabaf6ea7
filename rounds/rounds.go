// Package rounds does the rounds: from what is due to jobs, checks, verdicts, the record and the
// outbox of notifications. The whole flow is in flow.go, top to bottom.
//
// River is the distributed engine under it: leader, hand-out, rescue. Nothing of that is written
// here.
package rounds

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/decision"
	"github.com/keyrounds/keyrounds/notify"
	"github.com/keyrounds/keyrounds/postgres"
	"github.com/keyrounds/keyrounds/registry"
	"github.com/keyrounds/keyrounds/sealing"
	"github.com/keyrounds/keyrounds/usage"
	"github.com/keyrounds/keyrounds/usage/feed"
	"github.com/keyrounds/keyrounds/verdict"
)

// The times of jobs. What a killed process had leased is due again sooner (leaseTime).
const (
	defaultJobTimeout  = time.Minute
	defaultRescueAfter = 2 * time.Minute
	maxAttempts        = 5 // the next due time is the real retry
	// After this share of its job's time no further check begins, and the rest is handed back.
	batchShare = 35.0 / 60
	// What is in flight when the daemon is asked to stop has this long.
	stopTime = 13 * time.Second
)

const (
	maxBatch     = 200
	batchPace    = 20 * time.Second // what a batch takes at the provider's rate, at most
	batchQueue   = "checks"
	byHandQueue  = "by_hand"
	sweepQueue   = "sweep"
	usageQueue   = "usage"
	maxStreams   = 32 // providers at once on one replica
	maxByHand    = 4
	maxDelivered = 4
)

// Settings is the part of the configuration that a reload changes. A round works to its end with
// the settings that it began with.
type Settings struct {
	Providers map[string]checker.Provider // complete
	Policy    verdict.Policy
	Keep      int           // months of results
	Forgotten time.Duration // how long after it was acknowledged a finding that is still open is told again; 0: never
	// ExpiringBefore are the times before the end of a credential at which people are told.
	ExpiringBefore []time.Duration
	Feeds          []feed.Feed
	FeedAuth       map[string]FeedAuth // by feed
	Heartbeat      Heartbeat
}

// Options are options of New. Pool, Registry, Audit, Usage, Checker, Notifier and Log are required; without Metrics
// none are shown.
type Options struct {
	Pool     *pgxpool.Pool
	Owner    postgres.Owner // keeps the partitions; default Pool
	Registry *registry.Store
	Audit    *audit.Store
	Usage    *usage.Store
	// Decisions says which credentials somebody keeps as they are; nil: none.
	Decisions *decision.Store
	Checker   *checker.Checker
	Notifier  *notify.Notifier
	Sealing   *sealing.Keeper // nil: sealed secrets cannot be opened
	Metrics   prometheus.Registerer
	// Daemon says that this process may run the rounds: what it cannot read of secrets is recorded. Commands
	// read secrets in a shell, which says nothing of what the daemon reads.
	Daemon bool
	// Exemplars links observations with the traces that are recorded.
	Exemplars bool
	Tracer    trace.Tracer // nil: none
	Log       *slog.Logger
	Tick      time.Duration // between sweeps; default 5 s
	Judge     time.Duration // between judgements of usage; default 1 h
	// JobTimeout is how long a job may last; default 1 min. RescueAfter is when another process takes over the
	// job of one that was killed; default 2 min, never less than JobTimeout.
	JobTimeout, RescueAfter time.Duration
	// Storing says why nothing can be stored, and no heartbeat is sent; nil: it is not asked.
	Storing func() error
	// Monthly makes the reports that are due; nil: there are none.
	Monthly func(context.Context) error
	Now     func() time.Time // default time.Now
}

// Rounds does the rounds. It is safe for concurrent use but for Follow, also by several replicas: each of them may
// run it.
type Rounds struct {
	Options
	settings  atomic.Pointer[Settings]
	client    *river.Client[pgx.Tx]
	metrics   *metrics
	exposure  Exposure
	stopping  chan struct{}
	schedules *credential.Schedules
	streams   sync.Map // providers at which a stream of this process works
	running   sync.Map // *stream: all that are not done
	stopOnce  sync.Once

	following sync.WaitGroup
	looked    sync.Once // of a command, for a daemon
	beside    bool      // one lived then
}

// New makes Rounds and registers their metrics. Nothing runs before Start; CheckNow checks without it. The only error
// is that of a job engine whose options do not fit.
func New(o Options, s Settings) (*Rounds, error) {
	if o.Tick <= 0 {
		o.Tick = 5 * time.Second
	}
	if o.Judge <= 0 {
		o.Judge = time.Hour
	}
	if o.JobTimeout <= 0 {
		o.JobTimeout = defaultJobTimeout
	}
	if o.RescueAfter <= 0 {
		o.RescueAfter = defaultRescueAfter
	}
	o.RescueAfter = max(o.RescueAfter, o.JobTimeout)
	if o.Monthly == nil {
		o.Monthly = func(context.Context) error { return nil }
	}
	if o.Owner.App == nil {
		o.Owner.App = o.Pool
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Tracer == nil {
		o.Tracer = noop.Tracer{}
	}
	r := &Rounds{
		Options:   o,
		exposure:  nobody{},
		schedules: credential.NewSchedules(o.Registry.Zone()),
		metrics:   newMetrics(o.Metrics, o.Exemplars),
		stopping:  make(chan struct{}),
	}
	r.Reload(s)
	workers := river.NewWorkers()
	river.AddWorker(workers, &sweeper{rounds: r})
	river.AddWorker(workers, &streamWorker{rounds: r})
	river.AddWorker(workers, &byHandWorker{rounds: r})
	river.AddWorker(workers, &keeper{rounds: r})
	river.AddWorker(workers, &ticker[pollArgs]{do: r.poll})
	river.AddWorker(workers, &ticker[judgeArgs]{do: r.JudgeUsage})
	river.AddWorker(workers, &ticker[behindArgs]{do: r.judgeBehind})
	river.AddWorker(workers, &ticker[countArgs]{do: func(ctx context.Context) error { return o.Audit.CountQuarters(ctx, o.Now()) }})
	river.AddWorker(workers, &ticker[monthlyArgs]{do: o.Monthly})
	river.AddWorker(workers, &ticker[tryArgs]{do: func(ctx context.Context) error { return r.exposure.Try(ctx) }})
	river.AddWorker(workers, &notify.AttendWorker{Notifier: o.Notifier})
	river.AddWorker(workers, &notify.LaneWorker{Notifier: o.Notifier})
	var err error
	reindexed := river.ReindexerIndexNamesDefault()
	if o.Owner.Separate() {
		reindexed = []string{} // only the owner of an index may; the tables of jobs are small
	}
	r.client, err = river.NewClient(riverpgxv5.New(o.Pool), &river.Config{
		Logger:                      slog.New(riverLog{o.Log.Handler()}),
		Workers:                     workers,
		JobTimeout:                  o.JobTimeout,
		RescueStuckJobsAfter:        o.RescueAfter,
		MaxAttempts:                 maxAttempts,
		CompletedJobRetentionPeriod: time.Hour,
		ReindexerIndexNames:         reindexed,
		Queues: map[string]river.QueueConfig{
			sweepQueue:   {MaxWorkers: 1},
			usageQueue:   {MaxWorkers: 2},
			batchQueue:   {MaxWorkers: maxStreams},
			byHandQueue:  {MaxWorkers: maxByHand},
			notify.Queue: {MaxWorkers: maxDelivered},
		},
		PeriodicJobs: []*river.PeriodicJob{
			periodic(o.Tick, sweepArgs{}),
			periodic(6*time.Hour, keepArgs{}),
			periodic(o.Tick, notify.AttendArgs{}),
			periodic(o.Tick, pollArgs{}),
			periodic(o.Tick, tryArgs{}),
			periodic(6*o.Tick, behindArgs{}),
			periodic(max(6*o.Tick, countEvery), countArgs{}),
			periodic(o.Judge, judgeArgs{}),
			periodic(min(o.Judge, 10*time.Minute), monthlyArgs{}),
		},
	})
	return r, err
}

// countEvery is the least time between two counts of quarters of an hour.
const countEvery = 2 * time.Second

func periodic(every time.Duration, args river.JobArgs) *river.PeriodicJob {
	return river.NewPeriodicJob(river.PeriodicInterval(every),
		func() (river.JobArgs, *river.InsertOpts) { return args, nil }, &river.PeriodicJobOpts{RunOnStart: true})
}

// Reload puts new settings in force for the rounds to come; one that runs ends with those that it began with.
func (r *Rounds) Reload(s Settings) {
	r.metrics.expect(s.Providers)
	r.Checker.Forget()
	r.settings.Store(&s)
}

// Start begins: workers, sweeps, file feeds and the heartbeat run until Stop; the end of ctx does not end them. It
// fails while the database is away; the caller tries again.
func (r *Rounds) Start(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	if err := r.client.Start(ctx); err != nil {
		return err
	}
	r.following.Go(func() { r.follow(ctx) })
	r.following.Go(func() { r.beat(ctx) })
	return nil
}

// Stop begins no further check, lets those in flight end, and hands the rest back. It returns within 15 s, or, where
// a file feed is being read, when that ends, which takes 30 s at most.
func (r *Rounds) Stop() {
	r.stopOnce.Do(func() { close(r.stopping) })
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	defer r.following.Wait()
	if err := r.client.Stop(ctx); err == nil {
		return
	}
	last, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if err := r.client.StopAndCancel(last); err != nil && !errors.Is(err, context.Canceled) {
		r.Log.Warn("some work did not end and will be done again", "error", err)
	}
}

// riverLog passes on what River warns of, and hides its chatter.
type riverLog struct{ slog.Handler }

func (h riverLog) Enabled(_ context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn && h.Handler.Enabled(context.Background(), l)
}

func (h riverLog) WithAttrs(as []slog.Attr) slog.Handler { return riverLog{h.Handler.WithAttrs(as)} }
func (h riverLog) WithGroup(g string) slog.Handler       { return riverLog{h.Handler.WithGroup(g)} }
