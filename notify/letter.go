package notify

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
)

// Letter is a message that is not about a single finding: the monthly report, the digest. It is posted
// once and does not change.
type Letter struct {
	Title string
	Lines []string // plain text
	File  *File    // nil: none
}

// File is attached to a letter.
type File struct {
	Name    string
	Content []byte
}

// LetterArgs is a job of the outbox: post this letter to this receiver.
type LetterArgs struct {
	Key      string `json:"key"` // such as report/2026-10
	Receiver string `json:"receiver"`
}

// Kind names the job.
func (LetterArgs) Kind() string { return "letter" }

// InsertOpts are those of notifications.
func (LetterArgs) InsertOpts() river.InsertOpts { return Args{}.InsertOpts() }

// EnqueueLetter puts a letter for each receiver into the outbox, once for a key: false where it was
// there before.
func (n *Notifier) EnqueueLetter(ctx context.Context, tx pgx.Tx, key string) (bool, error) {
	tag, err := tx.Exec(ctx, `INSERT INTO notify_letters (key, receiver, enqueued_at) VALUES ($1, '', $2) ON CONFLICT DO NOTHING`, key, n.Now())
	if err != nil || tag.RowsAffected() == 0 {
		return false, err
	}
	var jobs []river.InsertManyParams
	for _, r := range *n.receivers.Load() {
		jobs = append(jobs, river.InsertManyParams{Args: LetterArgs{key, r.Name()}})
	}
	if len(jobs) == 0 {
		return true, nil
	}
	_, err = n.insert.InsertManyFastTx(ctx, tx, jobs)
	return true, err
}

// LastLetter returns when the newest letter whose key begins with prefix was put into the outbox, zero
// where there is none.
func (n *Notifier) LastLetter(ctx context.Context, prefix string) (time.Time, error) {
	var at *time.Time
	err := n.Pool.QueryRow(ctx, `SELECT max(enqueued_at) FROM notify_letters WHERE receiver = '' AND starts_with(key, $1)`, prefix).Scan(&at)
	if at == nil {
		return time.Time{}, err
	}
	return *at, err
}

// Post posts a letter to one receiver, unless it has it.
func (n *Notifier) Post(ctx context.Context, a LetterArgs) error {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	r, ok := n.receiver(a.Receiver)
	if !ok {
		return river.JobCancel(errors.New("the receiver " + a.Receiver + " is not configured any more"))
	}
	letter, err := n.Letter(ctx, a.Key)
	if err != nil {
		return err
	}
	tx, err := n.Pool.Begin(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	tag, err := tx.Exec(ctx, `INSERT INTO notify_letters (key, receiver, enqueued_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`, a.Key, a.Receiver, n.Now())
	if err != nil || tag.RowsAffected() == 0 {
		return err // it was posted before
	}
	receipt, err := r.Post(ctx, letter)
	if err != nil {
		n.metrics.sent(a.Receiver, "error")
		n.Log.Warn("a letter could not be posted", "letter", a.Key, "receiver", a.Receiver, "error", err)
		return retryLater(err)
	}
	n.metrics.sent(a.Receiver, "ok")
	if _, err := tx.Exec(ctx, `UPDATE notify_letters SET channel = $3, message_ref = $4 WHERE key = $1 AND receiver = $2`, a.Key, a.Receiver, receipt.Channel, receipt.Ref); err != nil {
		return err
	}
	return tx.Commit(ctx)
}

// retryLater turns an error that names a time into one that River keeps to.
func retryLater(err error) error {
	var retry *RetryError
	if errors.As(err, &retry) {
		return river.JobSnooze(min(max(retry.After, time.Second), time.Hour))
	}
	return err
}

// LetterWorker is the River worker of letters.
type LetterWorker struct {
	river.WorkerDefaults[LetterArgs]
	Notifier *Notifier
}

// Work posts one letter.
func (w *LetterWorker) Work(ctx context.Context, job *river.Job[LetterArgs]) error {
	return w.Notifier.Post(ctx, job.Args)
}

// Timeout of one post.
func (w *LetterWorker) Timeout(*river.Job[LetterArgs]) time.Duration {
	return sendTimeout + 5*time.Second
}
