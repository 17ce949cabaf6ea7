package access

import (
	"context"
	"sync"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/secret"
)

// mostNoted is how many refusals a minute are written into the record. The next one after that minute says how many were
// not: who knocks without end does not fill the database.
const mostNoted = 30

type noted struct {
	mu     sync.Mutex
	minute int64
	n      int
	left   int // out of the record
}

// take reports whether one more is written, and how many before it were not.
func (n *noted) take(minute int64) (ok bool, left int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.minute != minute {
		n.minute, n.n = minute, 0
	}
	if n.n++; n.n > mostNoted {
		n.left++
		return false, 0
	}
	left, n.left = n.left, 0
	return true, left
}

// Refusal is something that somebody wanted and did not get.
type Refusal struct {
	Actor   string // who, where that is known; "": nobody
	Subject string // what he tried to be, or to do: "person ann", "POST /people"
	Why     string
	Address string
}

// Refused writes a refusal into the record, as access.refused. It is best effort, and bounded: of a flood the record says how large
// it was.
func (a *Access) Refused(ctx context.Context, r Refusal) {
	ok, left := a.noted.take(a.Now().Unix() / 60)
	if !ok {
		return
	}
	detail := map[string]any{"why": r.Why, "address": r.Address}
	if left > 0 {
		detail["not_recorded_before"] = left
	}
	if r.Actor == "" {
		r.Actor = "nobody"
	}
	clean := secret.Scrubber{}.Clean
	ctx = context.WithoutCancel(ctx) // who hangs up is written down all the same
	err := a.inTx(ctx, func(tx pgx.Tx) error {
		return a.Record(ctx, tx, clean(r.Actor, 200), "access.refused", clean(r.Subject, 200), detail)
	})
	if err != nil {
		a.Log.Warn("a refusal is not in the record", "error", err)
	}
}
