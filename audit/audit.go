// Package audit keeps what happened: results, states, findings, and the append-only record of who
// did what.
//
// It judges nothing; the package verdict does. The one door through which findings open, change
// and close is Apply.
package audit

import (
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// Store is the audit's tables.
type Store struct{ pool *pgxpool.Pool }

// New makes a Store.
func New(pool *pgxpool.Pool) *Store { return &Store{pool} }

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
