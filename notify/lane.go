package notify

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
)

// Rules of a lane, which is a receiver and a channel of it:
//
//  1. One sender at a time, whichever replica: it holds the lane's row. Where it hangs the database lets the
//     row go after idleTimeout.
//  2. The oldest that is due comes first; what was posted is not followed faster than the receiver's pace.
//  3. What the receiver says of all messages (a limit, a dead token, no answer) stops the lane for a time;
//     what it says of one message puts off that one only.

const (
	turnTime    = 12 * time.Second // a worker has a lane for so long, then lets others in; with a send less than idleTimeout
	idleTimeout = 45 * time.Second
	sendTimeout = 30 * time.Second
	longestWait = 5 * time.Minute // between tries of a lane that fails
	backlogMost = 20              // messages that wait to be posted in a lane; more are put into one
)

// lane is a row of notify_lanes.
type lane struct {
	LaneArgs
	next    time.Time
	fails   int
	failing *time.Time
	person  bool
	err     string
}

// Tell works off what is due on a lane, the oldest first, for about 12 seconds. It does nothing, without an error, if
// another worker or replica has the lane, or if the lane has to wait. What a receiver says is kept with the lane and
// its messages, and is not an error of Tell; an error is one of the database, or ctx ended.
//
// It holds the lane's row in a transaction meanwhile, on a connection of its own beside those that it works with.
func (n *Notifier) Tell(ctx context.Context, a LaneArgs) error {
	_, err := n.Pool.Exec(ctx, `
		INSERT INTO notify_lanes (receiver, channel, next_at) VALUES ($1, $2, '-infinity') ON CONFLICT DO NOTHING`,
		a.Receiver, a.Channel)
	if err != nil {
		return err
	}
	tx, err := n.Pool.Begin(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	if _, err := tx.Exec(ctx, `SELECT set_config('idle_in_transaction_session_timeout', $1, true)`, idleTimeout.String()); err != nil {
		return err
	}
	l, err := lockLane(ctx, tx, a)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && l.next.After(n.Now()) {
		return nil
	}
	if err != nil {
		return err
	}
	before := l
	err = n.work(ctx, &l)
	if l != before {
		err = errors.Join(err, l.store(ctx, tx))
	}
	return errors.Join(err, tx.Commit(ctx))
}

func lockLane(ctx context.Context, tx pgx.Tx, a LaneArgs) (lane, error) {
	l := lane{LaneArgs: a}
	err := tx.QueryRow(ctx, `
		SELECT CASE WHEN next_at = '-infinity' THEN 'epoch' ELSE next_at END, failures, failing_since, needs_person, error
		FROM notify_lanes WHERE receiver = $1 AND channel = $2 FOR UPDATE SKIP LOCKED`, a.Receiver, a.Channel).
		Scan(&l.next, &l.fails, &l.failing, &l.person, &l.err)
	return l, err
}

func (l lane) store(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, `
		UPDATE notify_lanes SET next_at = $3, failures = $4, failing_since = $5, needs_person = $6, error = $7
		WHERE receiver = $1 AND channel = $2`,
		l.Receiver, l.Channel, l.next, l.fails, l.failing, l.person, l.err)
	return err
}

// work sends what is due until nothing is, the lane stops, or the worker's time is over.
func (n *Notifier) work(ctx context.Context, l *lane) error {
	end := time.Now().Add(turnTime)
	for {
		id, err := n.next(ctx, l.LaneArgs)
		if err != nil || id == 0 {
			return err
		}
		s, err := n.deliver(ctx, id)
		if err != nil {
			return err
		}
		l.note(s, n.Now(), n.Backoff)
		wait := l.next.Sub(n.Now())
		if s.stops() || time.Now().Add(wait).After(end) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}

// next returns the message that is to be looked at now, 0 where there is none. Where more than backlogMost
// wait to be posted they become one first.
func (n *Notifier) next(ctx context.Context, a LaneArgs) (id int64, err error) {
	rows, err := n.Pool.Query(ctx, `
		SELECT id FROM notify_messages
		WHERE receiver = $1 AND channel = $2 AND due_at <= $3 AND told_digest = '' AND letter = '' AND attempted_at IS NULL
		ORDER BY due_at, id LIMIT 1000`, a.Receiver, a.Channel, n.Now())
	if err != nil {
		return 0, err
	}
	unposted, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err == nil && len(unposted) > backlogMost {
		err = n.join(ctx, unposted)
	}
	if err != nil {
		return 0, err
	}
	err = n.Pool.QueryRow(ctx, `
		SELECT id FROM notify_messages WHERE receiver = $1 AND channel = $2 AND due_at <= $3
		ORDER BY due_at, id LIMIT 1`, a.Receiver, a.Channel, n.Now()).Scan(&id)
	if errors.Is(err, pgx.ErrNoRows) {
		err = nil
	}
	return id, err
}

// join makes one message of several that nobody has seen yet.
func (n *Notifier) join(ctx context.Context, ids []int64) error {
	return pgx.BeginFunc(ctx, n.Pool, func(tx pgx.Tx) error {
		_, err1 := tx.Exec(ctx, `
			INSERT INTO notify_members (message_id, finding_id)
			SELECT $1, finding_id FROM notify_members WHERE message_id = ANY($2) ON CONFLICT DO NOTHING`, ids[0], ids[1:])
		_, err2 := tx.Exec(ctx, `
			UPDATE notify_messages SET version = version + 1,
				mention = coalesce((SELECT max(mention) FROM notify_messages WHERE id = ANY($2)), '')
			WHERE id = $1`, ids[0], ids)
		_, err3 := tx.Exec(ctx, `DELETE FROM notify_messages WHERE id = ANY($1)`, ids[1:])
		return errors.Join(err1, err2, err3)
	})
}

// note keeps what a send says of the lane.
func (l *lane) note(s sent, now time.Time, first time.Duration) {
	var retry *RetryError
	var refused *RefusedError
	switch {
	case s.err == nil && s.pace > 0:
		l.next = now.Add(s.pace)
	case errors.As(s.err, &retry):
		l.next = now.Add(min(max(retry.After, first), time.Hour))
		return
	case errors.As(s.err, &refused) && refused.OnlyThis:
		return
	case s.err != nil:
		l.fails++
		l.person = refused != nil && refused.NeedsPerson
		if l.err = s.err.Error(); refused != nil && refused.Fix != "" {
			l.err += "; to fix it: " + refused.Fix
		}
		if l.failing == nil {
			l.failing = &now
		}
		l.next = now.Add(backoff(first, l.fails))
		return
	}
	if s.told {
		l.fails, l.failing, l.person, l.err = 0, nil, false, ""
	}
}

// backoff grows from first to longestWait, and differs a little each time.
func backoff(first time.Duration, fails int) time.Duration {
	d := min(first<<min(fails-1, 20), longestWait)
	return d - rand.N(d/4)
}
