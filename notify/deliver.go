package notify

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/traces"
)

// sent says what came of one delivery.
type sent struct {
	told bool          // the receiver took something
	pace time.Duration // until the next post; 0: nothing was posted
	err  error         // of the receiver
}

// stops reports whether the lane has to wait.
func (s sent) stops() bool {
	var refused *RefusedError
	return s.err != nil && !(errors.As(s.err, &refused) && refused.OnlyThis)
}

// A send whose answer was lost may have been done: the connection broke, or the process died. So a send is
// written down before it begins and taken out when its end is known. Where one is found the receiver looks
// for what was posted before it posts again.

// deliver brings a receiver up to date about one message. The lane is held.
func (n *Notifier) deliver(ctx context.Context, id int64) (sent, error) {
	r, err := n.load(ctx, id)
	if err != nil {
		return sent{}, err
	}
	receiver, ok := n.receiver(r.receiver)
	if !ok {
		return sent{}, n.giveUp(ctx, r, "the receiver is not configured any more")
	}
	traits := receiver.Traits()
	m, err := n.message(ctx, r, traits)
	if err != nil { // it waits, and holds nobody up
		n.Log.Error("a message cannot be written yet", "message", id, "error", err)
		return sent{}, n.tryLater(ctx, r, "it cannot be written yet; keyrounds' log says why")
	}
	if !slices.ContainsFunc(m.Findings, nagging) {
		r.nudge = ""
	}
	until, why, err := n.held(ctx, r, m)
	if err != nil {
		return sent{}, err
	}
	if !until.IsZero() {
		n.Log.Debug("a message is held", "message", id, "until", until, "why", why)
		return sent{}, n.putOff(ctx, r, until)
	}
	if why := r.nothingToTell(m, traits); why != "" {
		n.Log.Debug("nothing to tell", "message", id, "receiver", r.receiver, "why", why)
		return sent{}, n.settle(ctx, r, m, traits)
	}
	if _, err := n.Pool.Exec(ctx, `UPDATE notify_messages SET attempted_at = $2 WHERE id = $1`, id, n.Now()); err != nil {
		return sent{}, err
	}
	receipt, err := n.send(ctx, receiver, r, m)
	if err != nil {
		return sent{err: err}, n.failed(ctx, r, m, err)
	}
	if receipt == (Receipt{}) { // it was not there, and what is over is not posted
		_, err := n.Pool.Exec(ctx, `UPDATE notify_messages SET attempted_at = NULL WHERE id = $1`, id)
		return sent{told: true}, errors.Join(err, n.settle(ctx, r, m, traits))
	}
	n.metrics.sent(r.receiver, "ok")
	s := sent{told: true}
	if receipt != m.Told || m.Turn != "" || !traits.Edits {
		s.pace = traits.Pace
	}
	return s, n.keep(ctx, r, m, receipt, traits)
}

// send is the end of a trace that began with the sweep.
func (n *Notifier) send(ctx context.Context, receiver Receiver, r record, m Message) (Receipt, error) {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	ctx, span := n.Tracer.Start(traces.With(ctx, r.trace), "notify", trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		attribute.String(
			"keyrounds.receiver",
			r.receiver,
		),
		attribute.Int64("keyrounds.message", r.id),
		attribute.Int("keyrounds.findings", len(m.Findings)),
	))
	defer span.End()
	receipt, err := receiver.Send(ctx, m)
	if err != nil {
		span.SetStatus(codes.Error, "the receiver did not take it")
	}
	return receipt, err
}

// record is a row of notify_messages, with its members.
type record struct {
	id                           int64
	receiver, channel, mention   string
	letter                       string
	made                         time.Time
	version                      int64
	nudge                        string
	told                         Receipt
	digest                       string
	attempted, failing           *time.Time
	tries                        int
	posted, remindAt, escalateAt *time.Time
	steps                        int // of the escalation that were told
	escalation                   bool
	trace                        string
	was                          map[int64]told // by finding
}

// told is what a receiver knows of a finding. The zero value: nothing yet.
type told struct {
	state finding.State
	news  string
}

// knownOf is what whoever is told of f now knows.
func knownOf(f finding.Finding) told { return told{f.State, news(f)} }

func (n *Notifier) load(ctx context.Context, id int64) (record, error) {
	r := record{id: id, was: map[int64]told{}}
	err := n.Pool.QueryRow(ctx, `
		SELECT receiver, channel, mention, letter, made_at, version, nudge, posted_channel, ref, told_digest, attempted_at,
			failing_since, tries, posted_at, remind_at, escalate_at, steps, escalation, trace
		FROM notify_messages WHERE id = $1`, id).Scan(
		&r.receiver,
		&r.channel,
		&r.mention,
		&r.letter,
		&r.made,
		&r.version,
		&r.nudge,
		&r.told.Channel,
		&r.told.Ref,
		&r.digest,
		&r.attempted,
		&r.failing,
		&r.tries,
		&r.posted,
		&r.remindAt,
		&r.escalateAt,
		&r.steps,
		&r.escalation,
		&r.trace,
	)
	if err != nil {
		return r, err
	}
	rows, err := n.Pool.Query(ctx, `SELECT finding_id, told_state, told_news FROM notify_members WHERE message_id = $1`, id)
	if err != nil {
		return r, err
	}
	var (
		member int64
		was    told
	)
	_, err = pgx.ForEachRow(rows, []any{&member, &was.state, &was.news}, func() error { r.was[member] = was; return nil })
	return r, err
}

// message is what the receiver gets.
func (n *Notifier) message(ctx context.Context, r record, traits Traits) (Message, error) {
	m := Message{
		Key: fmt.Sprintf("%d-%d", r.id, r.made.UnixMicro()), Mention: r.mention, Channel: r.channel, Made: r.made, Told: r.told,
		Unclear: r.attempted != nil,
	}
	err := n.Pool.QueryRow(ctx, `
		SELECT coalesce((SELECT posted_channel FROM notify_messages
			WHERE receiver = $1 AND channel = $2 AND posted_channel <> '' ORDER BY sent_at DESC NULLS LAST LIMIT 1), '')`,
		r.receiver, r.channel).Scan(&m.LastSeen)
	if err != nil {
		return m, err
	}
	if r.letter != "" {
		letter, err := n.letters.Letter(ctx, r.letter)
		m.Letter = &letter
		return m, err
	}
	for id := range r.was {
		f, err := n.Findings.Finding(ctx, id)
		if errors.Is(err, finding.ErrNotFound) {
			continue
		}
		if err != nil {
			return m, err
		}
		m.Findings = append(m.Findings, f)
	}
	all := m.Findings
	m.Findings = r.worthTelling(newest(all))
	slices.SortFunc(m.Findings, bySeverity)
	m.Words, m.Zone = n.setup.Load().words(m.Findings), n.setup.Load().Policy.Zone
	m.Turn, m.Loud = r.turn(m.Findings, all, traits, n.Now())
	m.Same = r.digest == digest(m, traits) && !m.Unclear
	m.TurnKey = m.Key + "-" + digest(m, traits) + "-" + r.nudge
	return m, nil
}

// worthTelling leaves out what was held back and was over before anybody was told of it, unless all of it was.
func (r record) worthTelling(fs []finding.Finding) []finding.Finding {
	left := slices.DeleteFunc(slices.Clone(fs), func(f finding.Finding) bool {
		return f.State == finding.Resolved && r.was[f.ID].state == ""
	})
	if len(left) == 0 {
		return fs
	}
	return left
}

// newest leaves out what was found again since.
func newest(fs []finding.Finding) (list []finding.Finding) {
	last := map[string]int64{}
	about := func(f finding.Finding) string { return string(f.Kind) + " " + f.Subject.Key() }
	for _, f := range fs {
		last[about(f)] = max(last[about(f)], f.ID)
	}
	for _, f := range fs {
		if last[about(f)] == f.ID {
			list = append(list, f)
		}
	}
	return list
}

// held returns until when nothing is posted. What is posted already is kept up to date.
func (n *Notifier) held(ctx context.Context, r record, m Message) (until time.Time, why string, err error) {
	if m.Letter != nil || r.digest != "" && !m.Loud {
		return time.Time{}, "", nil
	}
	silences, err := n.Silences(ctx, false)
	if err != nil {
		return time.Time{}, "", err
	}
	p := n.setup.Load().Policy
	for _, f := range m.Findings {
		end, because := p.Hold(f, n.Now())
		if quiet, by := silenced(f, silences, n.Now()); quiet.After(end) {
			end, because = quiet, by
		}
		if f.State == finding.Resolved {
			continue
		}
		if end.IsZero() {
			return time.Time{}, "", nil
		}
		if until.IsZero() || end.Before(until) {
			until, why = end, because
		}
	}
	return until, why, nil
}

// nothingToTell returns why a receiver need not be told, or "".
func (r record) nothingToTell(m Message, traits Traits) string {
	switch {
	case m.Letter != nil && r.digest != "":
		return "it was posted"
	case m.Letter != nil:
		return ""
	case len(m.Findings) == 0:
		return "there is no such finding any more"
	case r.digest == "" && m.over() && !m.Unclear:
		return "it was resolved before anybody was told"
	case traits.Again > 0 && !m.over():
		return ""
	case r.digest == digest(m, traits) && r.nudge == "" && !m.Unclear:
		return "the receiver knows it as it is"
	case !traits.Edits && r.digest != "" && !m.over() && !m.Loud:
		return "it does not edit, and nothing in it is worth another message"
	}
	return ""
}

// over reports whether nothing in it is open any more.
func (m Message) over() bool {
	return !slices.ContainsFunc(m.Findings, func(f finding.Finding) bool { return f.State != finding.Resolved })
}

// digest is the same for what reads the same.
func digest(m Message, traits Traits) string {
	h := sha256.New()
	enc := json.NewEncoder(h)
	for _, f := range m.Findings {
		f.UpdatedAt, f.Evidence.NextCheck = time.Time{}, time.Time{} // it moves with every look
		if !traits.Edits {
			f = finding.Finding{ID: f.ID, ResolvedAt: f.ResolvedAt, Evidence: finding.Evidence{Answer: finding.Answer{Message: news(f)}}}
		}
		_ = enc.Encode(f)
	}
	_ = enc.Encode(m.Words)
	return hex.EncodeToString(h.Sum(nil)[:8])
}

const (
	nudgeRemind   = "remind"
	nudgeEscalate = "escalate"
)

// putOff looks again at the latest after a minute: the reason may end sooner than it said.
func (n *Notifier) putOff(ctx context.Context, r record, until time.Time) error {
	if most := n.Now().Add(time.Minute); until.After(most) {
		until = most
	}
	_, err := n.Pool.Exec(ctx, `UPDATE notify_messages SET due_at = $2 WHERE id = $1 AND version = $3`, r.id, until, r.version)
	return err
}

// settle notes that there is nothing to do until something changes.
func (n *Notifier) settle(ctx context.Context, r record, m Message, traits Traits) error {
	due := r.again(m, traits, n.Now())
	_, err := n.Pool.Exec(ctx, `
		UPDATE notify_messages SET due_at = CASE WHEN version = $2 THEN $3 ELSE due_at END,
			nudge = CASE WHEN version = $2 THEN '' ELSE nudge END,
			remind_at = CASE WHEN $4 THEN remind_at END, escalate_at = CASE WHEN $5 THEN escalate_at END
		WHERE id = $1`, r.id, r.version, due, slices.ContainsFunc(m.Findings, nagging), slices.ContainsFunc(m.Findings, urgent))
	return err
}

// again is when a receiver that forgets is told again; nil: it need not be.
func (r record) again(m Message, traits Traits, now time.Time) *time.Time {
	if traits.Again == 0 || m.over() {
		return nil
	}
	at := now.Add(traits.Again)
	return &at
}

func (n *Notifier) giveUp(ctx context.Context, r record, why string) error {
	n.metrics.sent(r.receiver, "gave_up")
	n.Log.Error("a message is given up", "message", r.id, "receiver", r.receiver, "error", why)
	_, err := n.Pool.Exec(ctx, `UPDATE notify_messages SET due_at = NULL, given_up = true, error = $2 WHERE id = $1`, r.id, why)
	return err
}

// giveUpAfter is how long a message is tried that the receiver refuses while it takes others.
const giveUpAfter = 24 * time.Hour

// failed notes what the receiver says of this message; what it says of the lane is the lane's.
func (n *Notifier) failed(ctx context.Context, r record, m Message, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	n.Log.Warn("a notification failed", "message", r.id, "receiver", r.receiver, "channel", r.channel, "error", cause)
	if nothingPosted(cause) && !m.Unclear {
		if _, err := n.Pool.Exec(ctx, `UPDATE notify_messages SET attempted_at = NULL WHERE id = $1`, r.id); err != nil {
			return err // it stays noted, and the next try looks for it
		}
	}
	var retry *RetryError
	if errors.As(cause, &retry) {
		n.metrics.sent(r.receiver, "limited")
		return nil
	}
	n.metrics.sent(r.receiver, "error")
	var refused *RefusedError
	if !errors.As(cause, &refused) || !refused.OnlyThis {
		return nil
	}
	if r.failing != nil && n.Now().Sub(*r.failing) > giveUpAfter {
		return n.giveUp(ctx, r, cause.Error())
	}
	return n.tryLater(ctx, r, cause.Error())
}

// tryLater puts off one message that failed, longer each time.
func (n *Notifier) tryLater(ctx context.Context, r record, why string) error {
	now := n.Now()
	_, err := n.Pool.Exec(ctx, `
		UPDATE notify_messages SET tries = tries + 1, failing_since = coalesce(failing_since, $2), error = $3, due_at = $4 WHERE id = $1`,
		r.id, now, why, now.Add(backoff(n.Backoff, r.tries+1)))
	return err
}

// keep writes down what was told, and when people are told again.
func (n *Notifier) keep(ctx context.Context, r record, m Message, receipt Receipt, traits Traits) error {
	now, p := n.Now(), n.setup.Load().Policy
	told := "posted"
	if m.Letter == nil {
		told = digest(m, traits)
	}
	posted, remind, escalate := r.posted, r.remindAt, r.escalateAt
	if posted == nil {
		posted = &now
	}
	switch every := p.remindEvery(m.Findings); {
	case every == 0 || traits.Again > 0:
		remind = nil
	case remind == nil:
		at := now.Add(every)
		remind = &at
	}
	if escalate = nil; slices.ContainsFunc(m.Findings, urgent) && r.steps < len(p.Escalation) && !r.escalation {
		at := posted.Add(p.Escalation[r.steps].After)
		escalate = &at
	}
	return pgx.BeginFunc(ctx, n.Pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			UPDATE notify_messages SET posted_channel = $3, ref = $4, told_digest = $5, posted_at = $6, sent_at = $7,
				attempted_at = NULL, tries = 0, failing_since = NULL, error = '', remind_at = $8, escalate_at = $9,
				nudge = CASE WHEN version = $2 THEN '' ELSE nudge END,
				due_at = CASE WHEN version = $2 THEN $10 ELSE due_at END
			WHERE id = $1`, r.id, r.version, receipt.Channel, receipt.Ref, told, posted, now, remind, escalate, r.again(m, traits, now))
		if err != nil {
			return err
		}
		for _, f := range m.Findings {
			was := r.was[f.ID]
			if was == knownOf(f) {
				continue
			}
			_, err := tx.Exec(ctx, `
				UPDATE notify_members SET told_state = $3, told_news = $4 WHERE message_id = $1 AND finding_id = $2`,
				r.id, f.ID, f.State, news(f))
			if err != nil {
				return err
			}
			action := "notification.sent"
			if r.digest != "" {
				action = "notification.updated"
			}
			what := map[string]any{"finding": f.ID, "receiver": r.receiver, "channel": receipt.Channel, "state": f.State}
			if err := n.Record(ctx, tx, action, f.Subject, what); err != nil {
				return err
			}
		}
		return nil
	})
}
