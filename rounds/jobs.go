package rounds

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"

	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/credential"
)

type riverDriver = riverpgxv5.Driver

// sweepArgs is the tick: look for what is due.
type sweepArgs struct{}

func (sweepArgs) Kind() string { return "sweep" }

// InsertOpts has it tried once: a tick that waits long is of no use, and the next one comes.
func (sweepArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: sweepQueue, MaxAttempts: 1}
}

type sweeper struct {
	river.WorkerDefaults[sweepArgs]
	rounds *Rounds
}

func (w *sweeper) Work(ctx context.Context, job *river.Job[sweepArgs]) error {
	return w.rounds.sweep(ctx, fence(job))
}

// patience is how long the rounds wait for whoever works at a provider, or for its rate; then other providers come
// first.
const patience = 3 * time.Second

// keepArgs is housekeeping: partitions ahead, old ones gone.
type keepArgs struct{}

func (keepArgs) Kind() string { return "keep" }

func (keepArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: sweepQueue, MaxAttempts: maxAttempts}
}

type keeper struct {
	river.WorkerDefaults[keepArgs]
	rounds *Rounds
}

func (w *keeper) Work(ctx context.Context, _ *river.Job[keepArgs]) error {
	r, now := w.rounds, w.rounds.Now()
	keep := r.settings.Load().Keep
	err := errors.Join(
		r.Owner.Do(ctx, func(owner *pgxpool.Pool) error { return audit.EnsurePartitions(ctx, owner, now, keep) }),
		r.Audit.RollUp(ctx, now),
	)
	if keep <= 0 {
		return err
	}
	before := now.AddDate(0, -keep, 0)
	return errors.Join(err, r.Audit.Forget(ctx, before), r.Usage.Forget(ctx, now, before))
}

// What is done from time to time beside the sweeps, one at a time over all replicas.
type (
	pollArgs    struct{ now } // asks the polled feeds that are due
	judgeArgs   struct{ now } // judges the use of every credential
	monthlyArgs struct{ now } // makes the reports that are due
	tryArgs     struct{ now } // tries secrets that got out
	behindArgs  struct{ now } // looks whose checks fall behind
	countArgs   struct{ now } // counts the checks of quarters of an hour
)

func (pollArgs) Kind() string    { return "poll" }
func (judgeArgs) Kind() string   { return "judge" }
func (monthlyArgs) Kind() string { return "monthly" }
func (tryArgs) Kind() string     { return "try_leaked" }
func (behindArgs) Kind() string  { return "behind" }
func (countArgs) Kind() string   { return "count_quarters" }

// now is a tick: the next one is the retry, and while one waits or works no second one is inserted.
type now struct{}

func (now) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: usageQueue, MaxAttempts: 1, UniqueOpts: river.UniqueOpts{ByState: []rivertype.JobState{
		rivertype.JobStateAvailable,
		rivertype.JobStatePending,
		rivertype.JobStateRunning,
		rivertype.JobStateRetryable,
		rivertype.JobStateScheduled,
	}}}
}

// ticker does what a tick is for.
type ticker[A river.JobArgs] struct {
	river.WorkerDefaults[A]
	do func(context.Context) error
}

func (w *ticker[A]) Work(ctx context.Context, _ *river.Job[A]) error { return w.do(ctx) }

// batch is what is checked at once.
type batch struct {
	provider checker.Provider
	creds    []credential.Credential
}

// batches groups credentials by provider and cuts the groups, in the order of what is due.
func batches(due []credential.Credential, providers map[string]checker.Provider) []batch {
	var all []batch
	open := map[string]int{} // provider → its last batch
	for _, c := range due {
		p, ok := providers[c.Provider]
		if !ok {
			p = checker.Provider{Name: c.Provider, Rate: maxBatch}
		}
		i, exists := open[c.Provider]
		if !exists || len(all[i].creds) >= batchSize(p) {
			all = append(all, batch{provider: p})
			i = len(all) - 1
			open[c.Provider] = i
		}
		all[i].creds = append(all[i].creds, c)
	}
	return all
}

func batchSize(p checker.Provider) int {
	return min(maxBatch, max(1, int(float64(p.Rate)*batchPace.Seconds())))
}

func (b batch) ids() []int64 {
	ids := make([]int64, len(b.creds))
	for i, c := range b.creds {
		ids[i] = c.ID
	}
	return ids
}

// stopSignal closes when the daemon stops or the batch has had its time.
func (r *Rounds) stopSignal() (<-chan struct{}, func()) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(batchShare*float64(r.JobTimeout)))
	go func() {
		select {
		case <-r.stopping:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx.Done(), cancel
}
