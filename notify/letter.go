package notify

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// Letter is a message that is not about single findings: the monthly report, the digest. It is posted
// once and does not change.
type Letter struct {
	Title string
	Lines []string // plain text
	File  *File    // nil: none
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
// before. Left out are receivers that take alerts only (Traits.Again), and the fallback, unless it is the only
// receiver.
func (n *Notifier) EnqueueLetter(ctx context.Context, tx pgx.Tx, key string) (bool, error) {
	tag, err := tx.Exec(ctx, `INSERT INTO notify_letters (key, enqueued_at) VALUES ($1, $2) ON CONFLICT DO NOTHING`, key, n.Now())
	if err != nil || tag.RowsAffected() == 0 {
		return false, err
	}
	s := n.setup.Load()
	for _, r := range s.Receivers {
		if r.Traits().Again > 0 || r.Name() == s.Policy.Fallback && len(s.Receivers) > 1 { // the first knows alerts only
			continue
		}
		_, err := tx.Exec(ctx, `INSERT INTO notify_messages (receiver, letter, made_at, due_at) VALUES ($1, $2, $3, $3)`,
			r.Name(), key, n.Now())
		if err != nil {
			return false, err
		}
	}
	return true, n.Waker.jobs(ctx, tx, AttendArgs{})
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
