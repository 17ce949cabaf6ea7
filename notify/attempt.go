package notify

import (
	"context"
	"errors"
	"time"
)

// A send whose answer was lost may have been done: the connection broke, or the process died. So a send is
// written down before it begins and taken out when its end is known. Where one is found the receiver looks
// for what was posted before it posts again.

// RefusedError is the error of a send that surely was not done: the receiver's server said so.
type RefusedError struct{ Err error }

func (e *RefusedError) Error() string { return e.Err.Error() }
func (e *RefusedError) Unwrap() error { return e.Err }

// surely reports whether an error says that nothing was posted.
func surely(err error) bool {
	var refused *RefusedError
	var retry *RetryError
	return errors.As(err, &refused) || errors.As(err, &retry)
}

// attempt writes down that a send begins. unclear: so did another one, and nobody knows how it ended.
func (n *Notifier) attempt(ctx context.Context, a Args) (unclear bool, err error) {
	err = n.Pool.QueryRow(ctx, `
		INSERT INTO notify_attempts (finding_id, receiver, attempted_at) VALUES ($1, $2, $3)
		ON CONFLICT (finding_id, receiver) DO UPDATE SET attempted_at = excluded.attempted_at
		RETURNING xmax <> 0`, a.FindingID, a.Receiver, n.Now()).Scan(&unclear)
	return unclear, err
}

// ended takes out an attempt whose end is known.
func (n *Notifier) ended(ctx context.Context, a Args) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if _, err := n.Pool.Exec(ctx, `DELETE FROM notify_attempts WHERE finding_id = $1 AND receiver = $2`, a.FindingID, a.Receiver); err != nil {
		n.Log.Debug("an attempt stays noted, and the next one looks for it", "finding", a.FindingID, "error", err)
	}
}
