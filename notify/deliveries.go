package notify

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/finding"
)

// Delivery is a message as it stands with its receiver, also as JSON.
type Delivery struct {
	Message  int64     `json:"message"`
	Receiver string    `json:"receiver"`
	Findings []int64   `json:"findings"` // none: it is a letter
	Letter   string    `json:"letter,omitempty"`
	State    string    `json:"state"` // sent, waiting, failing or given_up
	Tries    int       `json:"tries"` // that failed in a row
	At       time.Time `json:"at"`    // when it was sent, or is looked at next
	Error    string    `json:"error,omitempty"`
	Channel  string    `json:"channel,omitempty"`
	Ref      string    `json:"ref,omitempty"`
	Posted   time.Time `json:"posted_at,omitzero"`  // when it was first posted; zero: it was not
	Updated  time.Time `json:"updated_at,omitzero"` // when it was last posted or updated
	About    string    `json:"about,omitempty"`     // kind and subject of the first finding
	Waits    string    `json:"waits_for,omitempty"` // why it waits: a silence, maintenance, quiet hours; "": it is on its way
}

// mostAbout bounds how many deliveries say what they are about.
const mostAbout = 500

// Deliveries lists what waits, fails or was given up, the oldest first and at most 10,000, and then the newest that
// were sent, at most limit of these.
func (n *Notifier) Deliveries(ctx context.Context, limit int) ([]Delivery, error) {
	rows, err := n.Pool.Query(ctx, `
		WITH d AS (
			SELECT m.id, m.receiver, m.letter,
				CASE WHEN m.given_up THEN 'given_up'
					WHEN m.due_at IS NULL OR m.told_digest <> '' AND m.due_at > $2 THEN 'sent'
					WHEN m.failing_since IS NOT NULL OR l.failing_since IS NOT NULL THEN 'failing' ELSE 'waiting' END AS state,
				m.posted_at, m.sent_at, greatest(m.tries, l.failures, 0) AS tries,
				CASE WHEN m.due_at IS NULL OR m.told_digest <> '' AND m.due_at > $2 THEN coalesce(m.sent_at, m.made_at)
					ELSE greatest(m.due_at, nullif(l.next_at, '-infinity')) END AS at,
				coalesce(nullif(m.error, ''), l.error, '') AS error, coalesce(nullif(m.posted_channel, ''), m.channel) AS channel, m.ref
			FROM notify_messages m LEFT JOIN notify_lanes l USING (receiver, channel))
		SELECT id, receiver, ARRAY(SELECT finding_id FROM notify_members WHERE message_id = d.id ORDER BY 1), letter, state,
			CASE state WHEN 'failing' THEN tries ELSE 0 END, at,
			CASE WHEN state IN ('failing', 'given_up') THEN error ELSE '' END, channel, ref,
			coalesce(posted_at, 'epoch'), CASE WHEN posted_at IS NULL THEN 'epoch' ELSE coalesce(sent_at, 'epoch') END, '', ''
		FROM ((SELECT * FROM d WHERE state <> 'sent' ORDER BY id LIMIT 10000)
			UNION ALL (SELECT * FROM d WHERE state = 'sent' ORDER BY at DESC LIMIT $1)) AS d
		ORDER BY state = 'sent', CASE WHEN state <> 'sent' THEN id END, at DESC`, limit, n.Now())
	if err != nil {
		return nil, err
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Delivery])
	if err != nil {
		return nil, err
	}
	silences, err := n.Silences(ctx, false)
	for i := range list[:min(len(list), mostAbout)] {
		n.about(ctx, &list[i], silences)
	}
	for i := range list {
		list[i].Posted, list[i].Updated = fromEpoch(list[i].Posted), fromEpoch(list[i].Updated)
	}
	return list, err
}

// about says what d is about, and why it waits.
func (n *Notifier) about(ctx context.Context, d *Delivery, silences []Silence) {
	ids, now := d.Findings, n.Now()
	if d.State != "waiting" {
		ids = ids[:min(len(ids), 1)]
	}
	for i, id := range ids {
		f, err := n.Findings.Finding(ctx, id)
		if err != nil { // it is gone, or cannot be read; the rest is shown
			continue
		}
		if i == 0 {
			d.About = string(f.Kind) + " " + f.Subject.Who()
		}
		h := n.setup.Load().Policy.holdOf(f, silences, now)
		if d.Waits == "" && d.State == "waiting" && !h.until.IsZero() && f.State != finding.Resolved {
			d.Waits = h.why + ", until " + clock(h.until)
		}
	}
}

func fromEpoch(t time.Time) time.Time {
	if t.Unix() == 0 {
		return time.Time{}
	}
	return t
}

// LaneState is how a way to people is: a receiver, and a channel of it ("": its own).
type LaneState struct {
	Receiver, Channel string
	Waiting           int       // messages that are due
	Oldest            time.Time // since when the oldest of them is; zero: none
	FailingSince      time.Time // zero: it works
}

// Lanes returns how the ways to people are, by receiver and channel: each that was tried, and each that has a message
// which is due or will be; and of each other receiver its own channel, so that there is something to see from the start.
func (n *Notifier) Lanes(ctx context.Context) ([]LaneState, error) {
	rows, err := n.Pool.Query(ctx, `
		SELECT receiver, channel, count(m.id) FILTER (WHERE m.due_at <= $1),
			coalesce(min(m.due_at) FILTER (WHERE m.due_at <= $1), 'epoch'), coalesce(max(l.failing_since), 'epoch')
		FROM notify_lanes l FULL JOIN (SELECT * FROM notify_messages WHERE due_at IS NOT NULL) m USING (receiver, channel)
		GROUP BY 1, 2 ORDER BY 1, 2`, n.Now())
	if err != nil {
		return nil, err
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[LaneState])
	for i := range list {
		list[i].Oldest, list[i].FailingSince = fromEpoch(list[i].Oldest), fromEpoch(list[i].FailingSince)
	}
	for _, name := range n.setup.Load().names() {
		if !slices.ContainsFunc(list, func(l LaneState) bool { return l.Receiver == name }) {
			list = append(list, LaneState{Receiver: name})
		}
	}
	slices.SortFunc(list, func(a, b LaneState) int {
		return cmp.Or(cmp.Compare(a.Receiver, b.Receiver), cmp.Compare(a.Channel, b.Channel))
	})
	return list, err
}
