// Package notify tells receivers of findings: each finding in one message that is kept up to date, a burst of
// them in one message together. It remembers what each message last said.
//
// It decides nothing about findings; verdict and people do.
package notify

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/keyrounds/keyrounds/finding"
)

// The way of a notification:
//
//	(audit.Publish: a finding changed ─▶ the outbox, in the transaction of the change)
//	Attend:  the outbox ─▶ messages: which burst it belongs to, who is told; reminders, escalations, fallback
//	Tell:    the messages of a lane that are due, one after the other: hold, compare, write down the attempt,
//	         send, keep what was told

// Receiver delivers messages to people. It is safe for concurrent use, and keeps nothing: what it needs to know of a
// message is in it.
type Receiver interface {
	Name() string
	Traits() Traits
	// Send posts m or, where m.Told says that it was posted before and the receiver edits, updates that. Its
	// error never holds a secret; *RetryError and *RefusedError say more of it. A zero Receipt: m is over, and it
	// looked and found that it had not been posted.
	Send(ctx context.Context, m Message) (Receipt, error)
}

// Traits are what a receiver can do. They do not change. The zero value posts only, in its one channel, without a
// pace.
type Traits struct {
	Edits    bool          // it updates messages in place; otherwise what is new is another message
	Alerts   bool          // it takes alerts only: no digest and no report
	Channels bool          // a message can go to another channel than its own
	Pace     time.Duration // least time between two posts in one channel
	Again    time.Duration // it forgets what is not told again within this time; 0: it does not
}

// Message is what people see, as it is now, and where it was told before.
type Message struct {
	Key      string            // the same for the same message, and for no other of any installation
	Findings []finding.Finding // at least one, unless it is a letter
	Letter   *Letter           // nil: it is about findings
	Words    Words             // of the findings; times in it are UTC
	Zone     *time.Location    // for times, where the receiver does not know its readers'; nil: UTC
	Mention  string            // who is mentioned; "": nobody
	Channel  string            // as a route names it; "": the receiver's own
	Made     time.Time         // when it was decided to send it: it was not posted before
	Told     Receipt           // zero: not yet
	Same     bool              // it was told as it is; what is new is the turn
	LastSeen string            // channel where this lane last posted anything, as the receiver calls it; "": nothing yet
	Turn     string            // what happened since it was told, for the thread; "": nothing that is told there
	TurnKey  string            // the same for the same turn
	Occasion string            // why it is told again by a receiver that only posts, for its title: REMINDER; "": it is news, or over
	Loud     bool              // the turn is for everybody in the channel
	Unclear  bool              // an earlier send of it may have been done: look for it first
	Direct   bool              // no database knows of it: nobody can acknowledge it, and there is no page about it
}

// Receipt says where a message is, in the receiver's own words: what its next Send has as Told. The zero value is
// none.
type Receipt struct{ Channel, Ref string }

// RetryError asks for another try after a time, which the receiver's server named. Nothing was posted.
type RetryError struct {
	After time.Duration
	Err   error
}

func (e *RetryError) Error() string { return e.Err.Error() }
func (e *RetryError) Unwrap() error { return e.Err }

// RefusedError is the error of a send that surely was not done: the receiver's server said so.
type RefusedError struct {
	Err         error
	NeedsPerson bool   // it will be refused until a person mends it, and so will every other message there
	OnlyThis    bool   // it is about this message; others may pass
	Fix         string // what that person does; "": not known
}

func (e *RefusedError) Error() string { return e.Err.Error() }
func (e *RefusedError) Unwrap() error { return e.Err }

// Hint says what a person does about it (Fix); "" where that is not known.
func (e *RefusedError) Hint() string { return e.Fix }

// nothingPosted reports whether an error says that nothing was posted.
func nothingPosted(err error) bool {
	var refused *RefusedError
	var retry *RetryError
	return errors.As(err, &refused) || errors.As(err, &retry)
}

// Setup is the part of the options that a reload changes. No receivers: nobody is told. Their names differ.
type Setup struct {
	Receivers []Receiver
	Policy    Policy
	Templates *Templates                   // nil: keyrounds' own words
	Link      func(finding.Finding) string // to the page about it; nil: there is none
}

// Options are options of New. Pool, Findings, Record and Log are required.
type Options struct {
	Pool *pgxpool.Pool
	Setup
	Findings Findings
	Waker    *Waker // nil: one is made
	// Record appends to the record of who did what, in the transaction of the receipt.
	Record  func(ctx context.Context, tx pgx.Tx, action string, subject finding.Subject, detail any) error
	Backoff time.Duration         // before the second try, doubled for each one more; default 1 s
	Metrics prometheus.Registerer // nil: none
	Tracer  trace.Tracer          // nil: none
	Log     *slog.Logger
	Now     func() time.Time // default time.Now
}

// Findings is where findings are: the store of package audit.
type Findings interface {
	// Finding loads a finding as it is now, with what a message says about its credential, or returns an
	// error that wraps finding.ErrNotFound.
	Finding(ctx context.Context, id int64) (finding.Finding, error)
	// Before returns the finding of the same kind and subject that was resolved last before f opened, if that
	// was after since; 0: there is none.
	Before(ctx context.Context, f finding.Finding, since time.Time) (int64, error)
	// Pending and Done are the outbox.
	Pending(ctx context.Context, tx pgx.Tx, limit int) ([]finding.Pending, error)
	Done(ctx context.Context, tx pgx.Tx, findings []int64) error
	// OpenOf returns the findings of some kinds that are not resolved, without what Finding adds.
	OpenOf(ctx context.Context, tx pgx.Tx, kinds ...finding.Kind) ([]finding.Finding, error)
	// Publish opens and ends findings about receivers themselves.
	Publish(ctx context.Context, tx pgx.Tx, evs []finding.Event) ([]finding.Change, error)
}

// Notifier works off the outbox: it tells receivers of what changed. It is safe for concurrent use, also by several
// replicas, but for Announce.
type Notifier struct {
	Options
	setup atomic.Pointer[Setup]
	// caughtUp is the setup whose places have all heard what is open.
	caughtUp atomic.Pointer[Setup]
	letters  Letters
	metrics  *metrics
}

// New makes a Notifier and registers its metrics. It does not ask the database, and runs nothing by itself: the
// workers of AttendArgs and LaneArgs do. The only error is a Waker that cannot be made.
func New(o Options) (*Notifier, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Backoff <= 0 {
		o.Backoff = time.Second
	}
	if o.Tracer == nil {
		o.Tracer = noop.Tracer{}
	}
	if o.Waker == nil {
		var err error
		if o.Waker, err = NewWaker(o.Pool); err != nil {
			return nil, err
		}
	}
	n := &Notifier{Options: o, metrics: newMetrics(o.Metrics)}
	n.Reload(o.Setup)
	return n, nil
}

// Reload puts another setup in force for what is told from now on; a send under way ends with the old one. What was
// told stays where it is. Messages to receivers that are not in it any more are given up when they are due.
func (n *Notifier) Reload(s Setup) { n.setup.Store(&s) }

func (n *Notifier) receiver(name string) (Receiver, bool) {
	rs := n.setup.Load().Receivers
	if i := slices.IndexFunc(rs, func(r Receiver) bool { return r.Name() == name }); i >= 0 {
		return rs[i], true
	}
	return nil, false
}

func (s *Setup) names() []string {
	var names []string
	for _, r := range s.Receivers {
		names = append(names, r.Name())
	}
	return names
}

// places leaves out channels of receivers that have none, and then places that come twice.
func (s *Setup) places(targets []Target) []Target {
	for i, t := range targets {
		j := slices.IndexFunc(s.Receivers, func(r Receiver) bool { return r.Name() == t.Receiver })
		if j >= 0 && !s.Receivers[j].Traits().Channels {
			targets[i].Channel = ""
		}
	}
	return once(targets)
}

func (s *Setup) words(fs []finding.Finding) Words {
	w := s.Templates.Describe(fs)
	if s.Link != nil && len(fs) > 0 && fs[0].ID > 0 { // what is not stored has no page
		w.Link = s.Link(fs[0])
	}
	return w
}

// Queue is the River queue of both kinds of jobs.
const Queue = "notify"

// AttendArgs is a job: look at what changed and what is due.
type AttendArgs struct{}

// Kind names the job for River; it is stored with it.
func (AttendArgs) Kind() string { return "attend" }

// InsertOpts puts the job into Queue and has it tried once: the next tick is the retry.
func (AttendArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: Queue, MaxAttempts: 1}
}

// AttendWorker is the River worker of AttendArgs, which calls Notifier.Attend.
type AttendWorker struct {
	river.WorkerDefaults[AttendArgs]
	Notifier *Notifier
}

// Work calls Attend, and again when the next burst is complete, if that is within 5 seconds; later ones are the next
// tick's.
func (w *AttendWorker) Work(ctx context.Context, _ *river.Job[AttendArgs]) error {
	again, err := w.Notifier.Attend(ctx)
	if err == nil && again > 0 && again < 5*time.Second { // longer than that, the next tick does
		return river.JobSnooze(again)
	}
	return err
}

// LaneArgs is a job: work off what is due on this way to people. Channel is as a route names it; "": the receiver's
// own.
type LaneArgs struct {
	Receiver string `json:"receiver"`
	Channel  string `json:"channel"`
}

// Kind names the job for River; it is stored with it.
func (LaneArgs) Kind() string { return "lane" }

// InsertOpts puts the job into Queue and has it tried once: the next tick is the retry.
func (LaneArgs) InsertOpts() river.InsertOpts { return AttendArgs{}.InsertOpts() }

// LaneWorker is the River worker of LaneArgs, which calls Notifier.Tell.
type LaneWorker struct {
	river.WorkerDefaults[LaneArgs]
	Notifier *Notifier
}

// Work calls Tell for the lane of the job.
func (w *LaneWorker) Work(ctx context.Context, job *river.Job[LaneArgs]) error {
	return w.Notifier.Tell(ctx, job.Args)
}

type metrics struct{ total *prometheus.CounterVec }

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "keyrounds_notifications_total",
		Help: "Notifications tried by this process, by receiver and result (ok, limited, error, gave_up).",
	}, []string{"receiver", "result"})}
	if reg != nil {
		reg.MustRegister(m.total)
	}
	return m
}

func (m *metrics) sent(receiver, result string) { m.total.WithLabelValues(receiver, result).Inc() }
