package notify

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
)

// Delivery is a notification of the outbox, or one that was sent.
type Delivery struct {
	Receiver  string    `json:"receiver"`
	FindingID int64     `json:"finding,omitempty"`
	Letter    string    `json:"letter,omitempty"`
	State     string    `json:"state"` // sent, or River's: available, running, retryable, scheduled, discarded
	Tries     int       `json:"tries"`
	At        time.Time `json:"at"` // when it was sent, or is tried next
	Error     string    `json:"error,omitempty"`
	Channel   string    `json:"channel,omitempty"`
	Ref       string    `json:"ref,omitempty"`
}

// Deliveries lists what waits or failed, the oldest first, and then the newest that were sent, at most limit
// of these.
func (n *Notifier) Deliveries(ctx context.Context, limit int) ([]Delivery, error) {
	rows, err := n.Pool.Query(ctx, `
		SELECT args, state::text, attempt, scheduled_at, coalesce(errors[array_upper(errors, 1)]->>'error', '')
		FROM river_job WHERE kind IN ('notify', 'letter') AND state NOT IN ('completed', 'cancelled') ORDER BY id`)
	if err != nil {
		return nil, err
	}
	waiting, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (d Delivery, err error) {
		var args []byte
		if err := row.Scan(&args, &d.State, &d.Tries, &d.At, &d.Error); err != nil {
			return d, err
		}
		var (
			a Args
			l LetterArgs
		)
		err = errors.Join(json.Unmarshal(args, &a), json.Unmarshal(args, &l))
		d.Receiver, d.FindingID, d.Letter = a.Receiver, a.FindingID, l.Key
		return d, err
	})
	if err != nil {
		return nil, err
	}
	rows, err = n.Pool.Query(ctx, `
		SELECT receiver, finding_id, '', sent_at, channel, message_ref FROM notify_messages
		UNION ALL SELECT receiver, 0, key, enqueued_at, channel, message_ref FROM notify_letters WHERE receiver <> ''
		ORDER BY 4 DESC LIMIT $1`, limit)
	if err != nil {
		return nil, err
	}
	sent, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (d Delivery, err error) {
		d.State = "sent"
		return d, row.Scan(&d.Receiver, &d.FindingID, &d.Letter, &d.At, &d.Channel, &d.Ref)
	})
	return append(waiting, sent...), err
}
