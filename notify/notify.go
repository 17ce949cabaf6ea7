// Package notify tells receivers of findings, each finding in one message that is kept up to
// date, and remembers what each receiver was last told.
//
// It decides nothing about findings; verdict and people do.
package notify

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"github.com/keyrounds/keyrounds/finding"
)

// Receiver delivers messages: Slack, and others to come.
type Receiver interface {
	Name() string
	// Send posts m or, where m.Told says what was posted before, updates that. Its error never
	// holds a secret; a *RetryError says when to try again.
	Send(ctx context.Context, m Message) (Receipt, error)
	// Post posts a letter, which is never updated. Its errors are like those of Send.
	Post(ctx context.Context, l Letter) (Receipt, error)
}

// Message is a finding as it is now, and where it was told before.
type Message struct {
	Finding finding.Finding
	Told    Receipt // zero: not yet
	Channel string  // where this receiver last posted anything; "": nothing yet
	Turn    string  // what happened since it was told, for the thread; "": nothing that is told there
	Unclear bool    // an earlier send of it may have been done: look for it first
}

// Receipt says where a message is.
type Receipt struct{ Channel, Ref string }

// RetryError asks for another try after a time, which the receiver's server named.
type RetryError struct {
	After time.Duration
	Err   error
}

func (e *RetryError) Error() string { return e.Err.Error() }
func (e *RetryError) Unwrap() error { return e.Err }

// Options of New.
type Options struct {
	Pool      *pgxpool.Pool
	Receivers []Receiver
	// Finding loads a finding as it is now, with what a message says about its credential.
	Finding func(ctx context.Context, id int64) (finding.Finding, error)
	// Letter writes the letter of a key that was given to EnqueueLetter.
	Letter func(ctx context.Context, key string) (Letter, error)
	// Digest reports whether low severities are told by a digest: then none of them is told alone.
	Digest func() bool
	// Record appends to the record of who did what, in the transaction of the receipt.
	Record  func(ctx context.Context, tx pgx.Tx, action string, subject finding.Subject, detail any) error
	Metrics prometheus.Registerer // nil: none
	Log     *slog.Logger
	Now     func() time.Time // default time.Now
}

// Notifier puts notifications into the outbox and works it off.
type Notifier struct {
	Options
	insert    *river.Client[pgx.Tx]
	receivers atomic.Pointer[[]Receiver]
	metrics   *metrics
}

// New makes a Notifier.
func New(o Options) (*Notifier, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	insert, err := river.NewClient(riverpgxv5.New(o.Pool), &river.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	n := &Notifier{Options: o, insert: insert, metrics: newMetrics(o.Metrics)}
	n.Reload(o.Receivers)
	return n, nil
}

// Reload takes other receivers.
func (n *Notifier) Reload(rs []Receiver) { n.receivers.Store(&rs) }

func (n *Notifier) receiver(name string) (Receiver, bool) {
	rs := *n.receivers.Load()
	if i := slices.IndexFunc(rs, func(r Receiver) bool { return r.Name() == name }); i >= 0 {
		return rs[i], true
	}
	return nil, false
}

// Queue is where notifications wait.
const Queue = "notify"

// Args is a job of the outbox: tell this receiver of this finding, as it will be then.
type Args struct {
	FindingID int64  `json:"finding_id"`
	Receiver  string `json:"receiver"`
}

// Kind names the job.
func (Args) Kind() string { return "notify" }

// InsertOpts: 25 tries with River's growing waits last for days.
func (Args) InsertOpts() river.InsertOpts { return river.InsertOpts{Queue: Queue, MaxAttempts: 25} }

// Enqueue puts a notification of each change for each receiver into the outbox, in the transaction
// of the change: none is told of what did not happen, and none is forgotten.
func (n *Notifier) Enqueue(ctx context.Context, tx pgx.Tx, cs []finding.Change) error {
	var jobs []river.InsertManyParams
	for _, c := range cs {
		if c.Finding.Severity == finding.Info && n.Digest != nil && n.Digest() {
			continue
		}
		for _, r := range *n.receivers.Load() {
			jobs = append(jobs, river.InsertManyParams{Args: Args{c.Finding.ID, r.Name()}})
		}
	}
	if len(jobs) == 0 {
		return nil
	}
	_, err := n.insert.InsertManyFastTx(ctx, tx, jobs)
	return err
}

const sendTimeout = 30 * time.Second

// Deliver brings one receiver up to date about one finding. Deliveries of one finding to one
// receiver come one after the other, whichever replica works them.
func (n *Notifier) Deliver(ctx context.Context, a Args) error {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	r, ok := n.receiver(a.Receiver)
	if !ok {
		return river.JobCancel(fmt.Errorf("the receiver %q is not configured any more", a.Receiver))
	}
	tx, err := n.Pool.Begin(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtext($1), $2::bigint::int)`, "notify "+a.Receiver, a.FindingID%(1<<31)); err != nil {
		return err
	}
	f, err := n.Finding(ctx, a.FindingID)
	if err != nil {
		return err
	}
	told, err := loadTold(ctx, tx, a)
	if err != nil {
		return err
	}
	if why := nothingToTell(f, told); why != "" {
		n.Log.Debug("nothing to tell", "finding", f.ID, "receiver", a.Receiver, "why", why)
		return nil
	}
	m := Message{Finding: f, Told: told.receipt, Turn: turn(f, told)}
	if m.Channel, err = lastChannel(ctx, tx, a.Receiver); err != nil {
		return err
	}
	if m.Unclear, err = n.attempt(ctx, a); err != nil {
		return err
	}
	receipt, err := r.Send(ctx, m)
	if err != nil {
		if surely(err) && !m.Unclear {
			n.ended(ctx, a)
		}
		return n.failed(f, a, err)
	}
	n.metrics.sent(a.Receiver, "ok")
	if err := n.keep(ctx, tx, a, f, told, receipt); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `DELETE FROM notify_attempts WHERE finding_id = $1 AND receiver = $2`, a.FindingID, a.Receiver); err != nil {
		return err
	}
	return tx.Commit(ctx)
}

// turn is what happened to a finding since it was told, in words; "": nothing that a thread keeps.
func turn(f finding.Finding, t told) string {
	switch {
	case t.digest == "" || t.state == f.State:
		return ""
	case f.State == finding.Open:
		return "open again"
	}
	return standing(f)
}

// lastChannel is where a receiver last posted, as it calls it.
func lastChannel(ctx context.Context, tx pgx.Tx, receiver string) (channel string, err error) {
	err = tx.QueryRow(ctx, `SELECT coalesce((SELECT channel FROM notify_messages WHERE receiver = $1 ORDER BY sent_at DESC LIMIT 1), '')`, receiver).Scan(&channel)
	return channel, err
}

func (n *Notifier) failed(f finding.Finding, a Args, err error) error {
	n.metrics.sent(a.Receiver, "error")
	n.Log.Warn("notification failed", "finding", f.ID, "receiver", a.Receiver, "error", err)
	return retryLater(err)
}

// told is what a receiver was last told.
type told struct {
	receipt Receipt
	digest  string
	state   finding.State
}

// nothingToTell returns why a receiver need not be told, or "".
func nothingToTell(f finding.Finding, t told) string {
	switch {
	case t.digest == "" && f.State == finding.Resolved:
		return "it was resolved before anybody was told"
	case t.digest == digest(f):
		return "the receiver knows it as it is"
	}
	return ""
}

// digest is the same for what reads the same.
func digest(f finding.Finding) string {
	f.UpdatedAt = time.Time{}
	b, _ := json.Marshal(f)
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

func loadTold(ctx context.Context, tx pgx.Tx, a Args) (t told, err error) {
	err = tx.QueryRow(ctx, `SELECT channel, message_ref, told_digest, told_state FROM notify_messages WHERE finding_id = $1 AND receiver = $2`,
		a.FindingID, a.Receiver).Scan(&t.receipt.Channel, &t.receipt.Ref, &t.digest, &t.state)
	if errors.Is(err, pgx.ErrNoRows) {
		err = nil
	}
	return t, err
}

func (n *Notifier) keep(ctx context.Context, tx pgx.Tx, a Args, f finding.Finding, before told, r Receipt) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO notify_messages (finding_id, receiver, channel, message_ref, told_state, told_digest, sent_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (finding_id, receiver) DO UPDATE SET channel = excluded.channel, message_ref = excluded.message_ref,
			told_state = excluded.told_state, told_digest = excluded.told_digest, sent_at = excluded.sent_at`,
		a.FindingID, a.Receiver, r.Channel, r.Ref, f.State, digest(f), n.Now())
	if err != nil {
		return err
	}
	action := "notification.sent"
	if before.digest != "" {
		action = "notification.updated"
	}
	return n.Record(ctx, tx, action, f.Subject, map[string]any{"finding": f.ID, "receiver": a.Receiver, "state": f.State})
}

// Worker is the River worker of the outbox.
type Worker struct {
	river.WorkerDefaults[Args]
	Notifier *Notifier
}

// Work delivers one notification.
func (w *Worker) Work(ctx context.Context, job *river.Job[Args]) error {
	return w.Notifier.Deliver(ctx, job.Args)
}

// Timeout of one delivery.
func (w *Worker) Timeout(*river.Job[Args]) time.Duration { return sendTimeout + 5*time.Second }

type metrics struct{ total *prometheus.CounterVec }

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "keyrounds_notifications_total", Help: "Notifications tried, by receiver and result (ok, error).",
	}, []string{"receiver", "result"})}
	if reg != nil {
		reg.MustRegister(m.total)
	}
	return m
}

func (m *metrics) sent(receiver, result string) { m.total.WithLabelValues(receiver, result).Inc() }
