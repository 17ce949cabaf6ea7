package notify

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// Letter is a message that is not about single findings: the monthly report, the digest. It is posted
// once and does not change.
type Letter struct {
	Title string
	Lines []string // plain text
	Asks  []Ask    // after the lines
	Tail  []string // lines after the asks
	File  *File    // nil: none
}

// Ask is a line that asks what becomes of a credential. A receiver with buttons lets people answer there (Decide).
type Ask struct {
	Text       string // the line
	Credential string
	Options    []Option // what may be answered, the recommended first
}

// Option is what may be answered to an Ask.
type Option struct {
	Choice string // Action.Choice
	Label  string // of the button
	Days   int    // how long it holds unless somebody says otherwise
}

// All are all lines, for receivers without buttons.
func (l Letter) All() []string {
	lines := slices.Clone(l.Lines)
	for _, a := range l.Asks {
		lines = append(lines, a.Text)
	}
	return append(lines, l.Tail...)
}

// File is attached to a letter by receivers that can; others name it.
type File struct {
	Name    string
	Content []byte
}

// Letters writes the letters of keys that were given to EnqueueLetter. It is asked at each try to send, so a key has
// to give the same letter each time. An error has the letter wait, and is tried again later.
type Letters interface {
	Letter(ctx context.Context, key string) (Letter, error)
}

// Announce has l write the letters. Call it once, before the first Tell; it is not safe for concurrent use.
func (n *Notifier) Announce(l Letters) { n.letters = l }

// EnqueueLetter puts a letter for each receiver into the outbox, once for a key, in tx: false where it was there
// before. Left out are receivers that take alerts only (Traits.Alerts), and the fallback, unless it is the only
// receiver.
func (n *Notifier) EnqueueLetter(ctx context.Context, tx pgx.Tx, key string) (bool, error) {
	tag, err := tx.Exec(ctx, `INSERT INTO notify_letters (key, enqueued_at) VALUES ($1, $2) ON CONFLICT DO NOTHING`, key, n.Now())
	if err != nil || tag.RowsAffected() == 0 {
		return false, err
	}
	return true, n.post(ctx, tx, key, n.setup.Load().readers(Owner{}))
}

// EnqueueForOwner is EnqueueLetter for the place that the configuration names for an owner of credentials: its receivers,
// in its channel. false as well where it names none.
func (n *Notifier) EnqueueForOwner(ctx context.Context, tx pgx.Tx, key, owner string) (bool, error) {
	s := n.setup.Load()
	place, named := s.Policy.Owners[owner]
	if !named {
		return false, nil
	}
	tag, err := tx.Exec(ctx, `INSERT INTO notify_letters (key, enqueued_at) VALUES ($1, $2) ON CONFLICT DO NOTHING`, key, n.Now())
	if err != nil || tag.RowsAffected() == 0 {
		return false, err
	}
	return true, n.post(ctx, tx, key, s.readers(place))
}

// Owners are those for whom the configuration names a place, by name.
func (n *Notifier) Owners() []string { return slices.Sorted(maps.Keys(n.setup.Load().Policy.Owners)) }

// readers are the places that get a letter: all receivers but those that know alerts only, and the fallback, unless it is
// the only one; of an owner, its receivers where it names some, and else those that have its channel.
func (s *Setup) readers(o Owner) (list []Target) {
	for _, r := range s.Receivers {
		named := slices.Contains(o.Receivers, r.Name())
		switch traits := r.Traits(); {
		case traits.Alerts, len(o.Receivers) > 0 && !named, !named && r.Name() == s.Policy.Fallback && len(s.Receivers) > 1:
		case o.Channel != "" && !traits.Channels && !named:
		default:
			list = append(list, Target{r.Name(), o.Place})
		}
	}
	return s.places(list)
}

func (n *Notifier) post(ctx context.Context, tx pgx.Tx, key string, to []Target) error {
	for _, t := range to {
		_, err := tx.Exec(ctx, `
			INSERT INTO notify_messages (receiver, channel, mention, letter, made_at, due_at) VALUES ($1, $2, $3, $4, $5, $5)`,
			t.Receiver, t.Channel, t.Mention, key, n.Now())
		if err != nil {
			return err
		}
	}
	return n.Waker.jobs(ctx, tx, AttendArgs{})
}

// LastLetter returns when the newest letter whose key begins with prefix was put into the outbox, the zero Time where
// there is none.
func (n *Notifier) LastLetter(ctx context.Context, prefix string) (time.Time, error) {
	var at *time.Time
	err := n.Pool.QueryRow(ctx, `SELECT max(enqueued_at) FROM notify_letters WHERE starts_with(key, $1)`, prefix).Scan(&at)
	if at == nil {
		return time.Time{}, err
	}
	return *at, err
}
