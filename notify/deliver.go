package notify

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
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
	m, err := n.message(ctx, &r, traits)
	if err != nil { // it waits, and holds nobody up
		n.Log.Error("a message cannot be written yet", "message", id, "error", err)
		return sent{}, n.tryLater(ctx, r, "it cannot be written yet; keyrounds' log says why")
	}
	if !slices.ContainsFunc(m.Findings, nagging) {
		r.nudge = ""
	}
	if until, why := r.held(m); !until.IsZero() {
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
	burst                        string
	was                          map[int64]told // by finding
	holds                        map[int64]hold // likewise, of what nobody is told of now
	unsaid                       map[int64]bool // of these, what is new and is said when the hold is over
}

// hold is until when nobody is told of a finding, and why.
type hold struct {
	until time.Time
	why   string
}

// told is what a receiver knows of a finding. The zero value: nothing yet.
type told struct {
	state finding.State
	news  string
}

// knownOf is what whoever is told of f now knows.
func knownOf(f finding.Finding) told { return told{f.State, news(f)} }

func (n *Notifier) load(ctx context.Context, id int64) (record, error) {
	r := record{id: id, was: map[int64]told{}, holds: map[int64]hold{}, unsaid: map[int64]bool{}}
	err := n.Pool.QueryRow(ctx, `
		SELECT receiver, channel, mention, letter, made_at, version, nudge, posted_channel, ref, told_digest, attempted_at,
			failing_since, tries, posted_at, remind_at, escalate_at, steps, escalation, trace, burst
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
		&r.burst,
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

// message is what the receiver gets. What nobody is told of now, and was not in the message before, is put into one of its
// own that waits; it leaves r.
func (n *Notifier) message(ctx context.Context, r *record, traits Traits) (Message, error) {
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
	all, err := n.setAside(ctx, r, m.Findings)
	if err != nil {
		return m, err
	}
	m.Findings = r.worthTelling(newest(all))
	slices.SortFunc(m.Findings, bySeverity)
	m.Words, m.Zone = n.setup.Load().words(m.Findings), n.setup.Load().Policy.Zone
	if strings.TrimSuffix(r.burst, heldBurst) == catchUpKey && Ended(m.Findings) == "" {
		m.Words.Title = openAlready(m.Findings)
	}
	m.Turn, m.Loud = r.turn(m.Findings, all, traits, n.Now())
	if !traits.Edits {
		m.Occasion = r.occasion(m.Findings, all)
	}
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

// holdOf returns until when nobody is told of f, since its provider is worked on, the hour is quiet or a person silenced it;
// the zero hold: it is told.
func (p Policy) holdOf(f finding.Finding, silences []Silence, now time.Time) hold {
	until, why := p.Hold(f, now)
	if quiet, by := silenced(f, silences, now); quiet.After(until) {
		until, why = quiet, by
	}
	return hold{until, why}
}

// setAside notes which of fs nobody is told of now. Those that the message did not have yet go into another one, which waits
// until they may be told, so that the others need not wait and a later end is told aloud. It returns what stays.
func (n *Notifier) setAside(ctx context.Context, r *record, fs []finding.Finding) ([]finding.Finding, error) {
	silences, err := n.Silences(ctx, false)
	if err != nil {
		return nil, err
	}
	now, p := n.Now(), n.setup.Load().Policy
	var waits, stays []finding.Finding
	var ids []int64
	var until time.Time
	others := r.digest != "" // what is not held
	for _, f := range fs {
		h := p.holdOf(f, silences, now)
		if h.until.IsZero() || f.State == finding.Resolved {
			others = others || f.State != finding.Resolved
			stays = append(stays, f)
			continue
		}
		r.holds[f.ID] = h
		if r.was[f.ID].state != "" {
			stays = append(stays, f)
			continue
		}
		waits, ids = append(waits, f), append(ids, f.ID)
		if until.IsZero() || h.until.Before(until) {
			until = h.until
		}
	}
	if len(waits) == 0 || !others || r.attempted != nil { // all of it waits, or nobody knows what was told
		return fs, nil
	}
	_, err = n.Pool.Exec(ctx, `
		WITH made AS (
			INSERT INTO notify_messages (receiver, channel, mention, made_at, due_at, escalation, trace, burst)
			SELECT receiver, channel, mention, $2, $3, escalation, trace,
				CASE WHEN burst = '' OR burst LIKE '%' || $5 THEN burst ELSE burst || $5 END
			FROM notify_messages WHERE id = $1 RETURNING id)
		UPDATE notify_members SET message_id = made.id FROM made WHERE message_id = $1 AND finding_id = ANY($4)`,
		r.id, now, soon(until, now), ids, heldBurst)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		delete(r.was, id)
		delete(r.holds, id)
	}
	return stays, nil
}

// heldBurst ends the burst of what waits: what is not held does not join it.
const heldBurst = " silenced"

// held returns until when the message is not posted, and why: all in it waits. What is posted already is kept up to date.
func (r record) held(m Message) (until time.Time, why string) {
	if m.Letter != nil || r.digest != "" {
		return time.Time{}, ""
	}
	for _, f := range m.Findings {
		h := r.holds[f.ID]
		if f.State == finding.Resolved {
			continue
		}
		if h.until.IsZero() {
			return time.Time{}, ""
		}
		if until.IsZero() || h.until.Before(until) {
			until, why = h.until, h.why
		}
	}
	return until, why
}

// next is when what is unsaid can be told; nil: nothing is.
func (r record) next(now time.Time) *time.Time {
	var at *time.Time
	for id := range r.unsaid {
		if until := soon(r.holds[id].until, now); at == nil || until.Before(*at) {
			at = &until
		}
	}
	return at
}

// soon is until, and at the latest a minute from now: a hold may end sooner than it said.
func soon(until, now time.Time) time.Time {
	if most := now.Add(time.Minute); until.After(most) {
		return most
	}
	return until
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
	case r.escalation && r.digest == "" && !m.Unclear && !slices.ContainsFunc(m.Findings, nagging):
		return "somebody looks after it by now"
	case r.digest == digest(m, traits) && r.nudge == "" && !m.Unclear && !m.Loud:
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

// putOff looks again when a hold is over, at the latest after a minute.
func (n *Notifier) putOff(ctx context.Context, r record, until time.Time) error {
	_, err := n.Pool.Exec(ctx, `UPDATE notify_messages SET due_at = $2 WHERE id = $1 AND version = $3`,
		r.id, soon(until, n.Now()), r.version)
	return err
}

// settle notes that there is nothing to do until something changes. What was not worth a message to a receiver that only posts
// is known there all the same: that it is open again is news then.
func (n *Notifier) settle(ctx context.Context, r record, m Message, traits Traits) error {
	due := r.again(m, traits, n.Now())
	return pgx.BeginFunc(ctx, n.Pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			UPDATE notify_messages SET due_at = CASE WHEN version = $2 THEN $3 ELSE due_at END,
				nudge = CASE WHEN version = $2 THEN '' ELSE nudge END,
				remind_at = CASE WHEN $4 THEN remind_at END, escalate_at = CASE WHEN $5 THEN escalate_at END
			WHERE id = $1`, r.id, r.version, due, slices.ContainsFunc(m.Findings, nagging), slices.ContainsFunc(m.Findings, urgent))
		for _, f := range m.Findings {
			if err == nil && r.looksAfter(f) {
				_, err = tx.Exec(ctx, `
					UPDATE notify_members SET told_state = $3 WHERE message_id = $1 AND finding_id = $2`, r.id, f.ID, f.State)
			}
		}
		return err
	})
}

// looksAfter reports whether somebody looks after f who did not when it was told.
func (r record) looksAfter(f finding.Finding) bool {
	return r.was[f.ID].state == finding.Open && (f.State == finding.Acknowledged || f.State == finding.Snoozed)
}

// again is when a message is looked at again by itself: the receiver forgets, or something in it is unsaid; nil: it need not
// be.
func (r record) again(m Message, traits Traits, now time.Time) *time.Time {
	if traits.Again == 0 || m.over() {
		return r.next(now)
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
	posted := r.posted
	if posted == nil {
		posted = &now
	}
	remind, escalate := r.nudges(p, m, traits, now)
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
			if r.was[f.ID] == knownOf(f) || r.unsaid[f.ID] {
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

// nudges are when people are reminded of the message next, and when others are told; nil: never. Both count from when it was
// told as critical: a quiet warning before that takes none of the time.
func (r record) nudges(p Policy, m Message, traits Traits, now time.Time) (remind, escalate *time.Time) {
	in := func(d time.Duration) *time.Time {
		at := now.Add(d)
		return &at
	}
	told := slices.DeleteFunc(slices.Clone(m.Findings), func(f finding.Finding) bool { return r.unsaid[f.ID] })
	isUrgent := slices.ContainsFunc(told, urgent)
	becomes := isUrgent && !slices.ContainsFunc(told, func(f finding.Finding) bool { return urgent(f) && r.was[f.ID] == knownOf(f) })
	remind, escalate = r.remindAt, r.escalateAt
	switch every := p.remindEvery(m.Findings); {
	case every == 0 || traits.Again > 0:
		remind = nil
	case remind == nil || becomes || remind.Sub(now) > every:
		remind = in(every)
	}
	switch steps := p.Escalation; {
	case !isUrgent || r.escalation || r.steps >= len(steps):
		escalate = nil
	case escalate != nil && !becomes:
	case r.steps == 0:
		escalate = in(steps[0].After)
	default:
		escalate = in(steps[r.steps].After - steps[r.steps-1].After)
	}
	return remind, escalate
}
