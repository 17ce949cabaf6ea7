package rounds

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/notify"
)

// Engine is how the job engine stands, as one look at the database saw it.
type Engine struct {
	Jobs      map[string]int   // that are not done, of all replicas, by state
	Queues    map[string]Queue // by name
	Leader    bool             // this process is the leader
	LastSweep time.Time        // by whichever replica; zero: none is remembered
}

// Queue is what waits for a worker in one queue.
type Queue struct {
	Waiting int
	Oldest  time.Time // since when the one that waits longest does; zero: none
}

// Engine returns how the job engine stands. Every queue and every usual state is in it, also where there are 0 jobs.
// LastSweep is remembered for an hour.
func (r *Rounds) Engine(ctx context.Context) (Engine, error) {
	e := Engine{
		Jobs:   map[string]int{"available": 0, "running": 0, "retryable": 0, "scheduled": 0, "discarded": 0},
		Queues: map[string]Queue{sweepQueue: {}, usageQueue: {}, batchQueue: {}, byHandQueue: {}, notify.Queue: {}},
	}
	rows, err := r.Pool.Query(ctx, `
		SELECT state::text, queue, count(*), min(scheduled_at) FROM river_job WHERE state NOT IN ('completed', 'cancelled') GROUP BY 1, 2`)
	if err != nil {
		return e, err
	}
	var (
		state, queue string
		n            int
		oldest       time.Time
	)
	_, err = pgx.ForEachRow(rows, []any{&state, &queue, &n, &oldest}, func() error {
		e.Jobs[state] += n
		if state == "available" {
			e.Queues[queue] = Queue{n, oldest}
		}
		return nil
	})
	if err != nil {
		return e, err
	}
	var sweep *time.Time
	err = r.Pool.QueryRow(ctx, `
		SELECT EXISTS (SELECT FROM river_leader WHERE leader_id = $1 AND expires_at > now()),
			(SELECT max(finalized_at) FROM river_job WHERE kind = $2 AND state = 'completed')`,
		r.client.ID(), sweepArgs{}.Kind()).Scan(&e.Leader, &sweep)
	if sweep != nil {
		e.LastSweep = *sweep
	}
	return e, err
}
