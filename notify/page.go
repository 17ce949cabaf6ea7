package notify

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// SilencePage chooses silences, and a page of them, the newest first.
type SilencePage struct {
	All        bool     // also those that are over
	Credential []string // only those that name one of these; nil: any
	After      int64    // the number that the page comes after; 0: from the newest
	Limit      int
}

// PageOfSilences returns a page of silences, and how many there are on all pages.
func (n *Notifier) PageOfSilences(ctx context.Context, p SilencePage) (total int, list []Silence, err error) {
	const chosen = ` FROM notify_silences WHERE ($1 OR ended_at IS NULL AND until > $2) AND ($3::text[] IS NULL OR credential = ANY($3))`
	now := n.Now()
	if err = n.Pool.QueryRow(ctx, `SELECT count(*)`+chosen, p.All, now, p.Credential).Scan(&total); err != nil {
		return 0, nil, err
	}
	rows, err := n.Pool.Query(ctx, `SELECT `+silenceColumns+chosen+` AND ($4 = 0 OR id < $4) ORDER BY id DESC LIMIT $5`,
		p.All, now, p.Credential, p.After, p.Limit)
	if err != nil {
		return 0, nil, err
	}
	list, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Silence])
	return total, list, err
}

// DeliveryPage chooses messages, and a page of them, the newest first.
type DeliveryPage struct {
	Receiver string  // "": any
	State    string  // Delivery.State; "": any
	Findings []int64 // only those of one of these findings; nil: any
	Shown    []int64 // of their findings only these are shown, and counted; nil: all
	After    int64   // the number that the page comes after; 0: from the newest
	Limit    int
}

// Deliveries as they stand; $1 is now.
const deliveriesSQL = `
	(SELECT m.id, m.receiver, m.letter,
		CASE WHEN m.given_up THEN 'given_up'
			WHEN m.due_at IS NULL OR m.told_digest <> '' AND m.due_at > $1 THEN 'sent'
			WHEN m.failing_since IS NOT NULL OR l.failing_since IS NOT NULL THEN 'failing' ELSE 'waiting' END AS state,
		m.posted_at, m.sent_at, greatest(m.tries, l.failures, 0) AS tries,
		CASE WHEN m.due_at IS NULL OR m.told_digest <> '' AND m.due_at > $1 THEN coalesce(m.sent_at, m.made_at)
			ELSE greatest(m.due_at, nullif(l.next_at, '-infinity')) END AS at,
		coalesce(nullif(m.error, ''), l.error, '') AS error, coalesce(nullif(m.posted_channel, ''), m.channel) AS channel, m.ref
	FROM notify_messages m LEFT JOIN notify_lanes l USING (receiver, channel)) d
	WHERE ($2 = '' OR receiver = $2) AND ($3 = '' OR state = $3)
		AND ($4::bigint[] IS NULL OR EXISTS (SELECT FROM notify_members b WHERE b.message_id = d.id AND b.finding_id = ANY($4)))`

// PageOfDeliveries returns a page of messages as they stand, and how many there are on all pages.
func (n *Notifier) PageOfDeliveries(ctx context.Context, p DeliveryPage) (total int, list []Delivery, err error) {
	now := n.Now()
	err = n.Pool.QueryRow(ctx, `SELECT count(*) FROM `+deliveriesSQL, now, p.Receiver, p.State, p.Findings).Scan(&total)
	if err != nil {
		return 0, nil, err
	}
	rows, err := n.Pool.Query(ctx, `
		SELECT id, receiver,
			ARRAY(SELECT finding_id FROM notify_members
				WHERE message_id = d.id AND ($7::bigint[] IS NULL OR finding_id = ANY($7)) ORDER BY 1),
			letter, state, CASE state WHEN 'failing' THEN tries ELSE 0 END, at,
			CASE WHEN state IN ('failing', 'given_up') THEN error ELSE '' END, channel, ref,
			coalesce(posted_at, 'epoch'), CASE WHEN posted_at IS NULL THEN 'epoch' ELSE coalesce(sent_at, 'epoch') END, '', ''
		FROM `+deliveriesSQL+` AND ($5 = 0 OR id < $5) ORDER BY id DESC LIMIT $6`,
		now, p.Receiver, p.State, p.Findings, p.After, p.Limit, p.Shown)
	if err != nil {
		return 0, nil, err
	}
	if list, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Delivery]); err != nil {
		return 0, nil, err
	}
	silences, err := n.Silences(ctx, false)
	for i := range list {
		n.about(ctx, &list[i], silences)
		list[i].Posted, list[i].Updated = fromEpoch(list[i].Posted), fromEpoch(list[i].Updated)
	}
	return total, list, err
}
