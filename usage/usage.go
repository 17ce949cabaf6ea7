// Package usage tells what credentials are really used for: from the events that package feed reads it keeps
// daily rows of use by others, the spans of time in which the feeds were watching, and what providers' own
// logs say was done to credentials. Our own checks are taken out.
//
// It reads no file and asks no log API. It checks nothing, and a lack of events never means "unused" by itself: Assess says "not known"
// where the feeds were not watching.
package usage

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/credential"
)

// Options of New.
type Options struct {
	Pool *pgxpool.Pool
	Zone *time.Location // of days and months
	// Clients returns the credentials, retired ones among them, of a provider with any of these
	// client ids. Two credentials may share one.
	Clients func(ctx context.Context, tx pgx.Tx, provider string, clientIDs []string) ([]credential.Credential, error)
	// Ledger returns what our own checks of these credentials left in others' logs from a time to
	// another.
	Ledger func(ctx context.Context, tx pgx.Tx, credentialIDs []int64, from, to time.Time) ([]checker.Footprint, error)
}

// Store is the usage tables.
type Store struct {
	Options

	knownMu sync.Mutex
	known   map[known]time.Time // networks that were looked up lately
}

// New makes a Store. It is safe for concurrent use.
func New(o Options) *Store { return &Store{Options: o, known: map[known]time.Time{}} }

// Result says what became of a record.
type Result string

// The results. Those of our own use name the rule by which it was told, the surest first.
const (
	ResultUse          Result = "use"
	ResultFailure      Result = "failure" // what others were refused
	ResultOwnToken     Result = "own_token"
	ResultOwnNonce     Result = "own_nonce"
	ResultOwnAddress   Result = "own_address"
	ResultOwnTime      Result = "own_time"
	ResultLifecycle    Result = "lifecycle"
	ResultUnregistered Result = "unregistered"
	ResultOtherKey     Result = "other_key" // of a registered client, and of none of its credentials
	ResultNoClient     Result = "no_client" // the record names none
	ResultSkipped      Result = "skipped"   // about something else
	ResultOther        Result = "other"     // about a client, and no use of its secret
	ResultHeartbeat    Result = "heartbeat"
	ResultDuplicate    Result = "duplicate"
	ResultBad          Result = "bad" // could not be read
)

// Results lists all of them.
func Results() []Result {
	return []Result{
		ResultUse, ResultFailure, ResultOwnToken, ResultOwnNonce, ResultOwnAddress, ResultOwnTime, ResultLifecycle,
		ResultUnregistered, ResultOtherKey, ResultNoClient, ResultSkipped, ResultOther, ResultHeartbeat, ResultDuplicate, ResultBad,
	}
}

// Counts are records by result.
type Counts map[Result]int64

// Own is how many events were of our own checks.
func (c Counts) Own() int64 {
	return c[ResultOwnToken] + c[ResultOwnNonce] + c[ResultOwnAddress] + c[ResultOwnTime]
}

// Records is how many records c counts, of all results.
func (c Counts) Records() (n int64) {
	for _, v := range c {
		n += v
	}
	return n
}

func (c Counts) add(o Counts) {
	for k, v := range o {
		c[k] += v
	}
}
