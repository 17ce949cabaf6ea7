// Package audit keeps what happened: results, states, findings, and the append-only record of who
// did what.
//
// It judges nothing; the package verdict does. The one door through which findings open, change
// and end is Publish, which also queues them to be told; telling is the package notify's business.
package audit

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Store is the audit's tables. It is safe for concurrent use, also by several replicas. Methods that take a
// transaction take effect when it commits; those without one have their own. An error of theirs is Postgres' unless
// they say otherwise.
type Store struct {
	pool *pgxpool.Pool
	wake func(context.Context, pgx.Tx) error
	now  func() time.Time
}

// Options are options of New. Pool is required.
type Options struct {
	Pool *pgxpool.Pool
	// Wake is called in the transaction that fills the outbox, and starts its processing as soon as that commits.
	// nil: new findings are processed at the next poll.
	Wake func(context.Context, pgx.Tx) error
	Now  func() time.Time // when a change was queued; default time.Now
}

// New makes a Store. It does not ask the database, and there is nothing to close.
func New(o Options) *Store {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Store{pool: o.Pool, wake: o.Wake, now: o.Now}
}

func nullTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func fromNull(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}
