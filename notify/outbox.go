package notify

import (
	"context"
	"log/slog"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
)

// Waker inserts the jobs by which a Notifier does its work soon, and not at the next tick. It is safe for concurrent
// use.
type Waker struct{ insert *river.Client[pgx.Tx] }

// NewWaker makes a Waker. It does not ask the database; an error is River's.
func NewWaker(pool *pgxpool.Pool) (*Waker, error) {
	insert, err := river.NewClient(riverpgxv5.New(pool), &river.Config{Logger: slog.New(slog.DiscardHandler)})
	return &Waker{insert}, err
}

// Wake has Attend look at the outbox as soon as tx commits (audit.Options.Wake). It inserts a job in tx.
func (w *Waker) Wake(ctx context.Context, tx pgx.Tx) error { return w.jobs(ctx, tx, AttendArgs{}) }

func (w *Waker) jobs(ctx context.Context, tx pgx.Tx, jobs ...river.JobArgs) error {
	if len(jobs) == 0 {
		return nil
	}
	many := make([]river.InsertManyParams, len(jobs))
	for i, j := range jobs {
		many[i] = river.InsertManyParams{Args: j}
	}
	_, err := w.insert.InsertManyFastTx(ctx, tx, many)
	return err
}
