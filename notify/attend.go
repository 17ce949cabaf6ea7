package notify

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/keyrounds/keyrounds/finding"
)

// reopenWithin: what is found again so soon after it was resolved goes on in its old message.
const reopenWithin = time.Hour

// fallbackAfter is how long a lane may fail before others are told of it; one that needs a person is told
// of at once.
const fallbackAfter = 2 * time.Minute

// Attend looks at what changed and what is due: it makes messages of what is pending, or finds the ones it belongs
// to; tells places that the configuration names anew what is open already; reminds and escalates; tells the fallback
// what a failing receiver cannot; and wakes the lanes that have something to send. It sends nothing itself.
//
// All of it is one transaction, and one at a time over all replicas: a second one waits for the first. again is the
// time from now until the next burst is complete, 0 where none gathers. On an error nothing was done, and it can be
// called again.
func (n *Notifier) Attend(ctx context.Context) (again time.Duration, err error) {
	setup := n.setup.Load()
	err = pgx.BeginFunc(ctx, n.Pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtext('keyrounds notify attend'))`); err != nil {
			return err
		}
		a := attendance{n, tx, setup, n.Now()}
		err := a.catchUp(ctx)
		if err != nil {
			return err
		}
		if again, err = a.route(ctx); err != nil {
			return err
		}
		return errors.Join(a.nudge(ctx), a.failing(ctx), a.wakeLanes(ctx))
	})
	if err == nil {
		n.caughtUp.Store(setup)
	}
	return again, err
}

// attendance is one run of Attend, in its transaction.
type attendance struct {
	n     *Notifier
	tx    pgx.Tx
	setup *Setup
	now   time.Time
}

// change is a pending finding.
type change struct {
	f     finding.Finding
	since time.Time
	trace string // of the newest change
}

// mostPending bounds what one run takes out of the outbox; the rest comes with the next.
const mostPending = 5000

// route takes from the outbox what need not wait for the rest of its burst.
func (a attendance) route(ctx context.Context) (again time.Duration, err error) {
	pending, err := a.n.Findings.Pending(ctx, a.tx, mostPending)
	if err != nil {
		return 0, err
	}
	silences, err := a.n.Silences(ctx, false)
	if err != nil {
		return 0, err
	}
	var done []int64
	bursts := map[string][]change{}
	for _, p := range pending {
		f, err := a.n.Findings.Finding(ctx, p.Finding)
		if errors.Is(err, finding.ErrNotFound) {
			done = append(done, p.Finding)
			continue
		}
		if err != nil { // it waits, and holds nobody up
			a.n.Log.Error("a finding cannot be read, and nobody is told of it yet", "finding", p.Finding, "error", err)
			continue
		}
		c := change{f, p.Since, p.Trace}
		if f.Incident() != "" { // whoever reads it has the incident's own message by then
			if wait := p.Since.Add(a.setup.Policy.GroupWait + withdrawAfter).Sub(a.now); wait > 0 {
				again = soonest(again, wait)
				continue
			}
		}
		known, err := a.known(ctx, c.f, c.trace)
		if err == nil && known && urgent(c.f) && c.f.Kind != finding.ReceiverFailing {
			err = a.tellAlso(ctx, c)
		}
		if err != nil {
			return 0, err
		}
		if known || c.f.State == finding.Resolved || c.f.Severity == finding.Info && a.setup.Policy.Digest {
			done = append(done, f.ID)
			continue
		}
		// What is more severe is not found in a message of what is less; what is held for a while has a message of its own.
		key := string(c.f.Kind) + " " + c.f.Subject.Provider + " " + string(c.f.Severity)
		if until, _ := silenced(c.f, silences, a.now); !until.IsZero() {
			key += heldBurst
		}
		bursts[key] = append(bursts[key], c)
	}
	for key, burst := range bursts {
		oldest := slices.MinFunc(burst, func(a, b change) int { return a.since.Compare(b.since) }).since
		if wait := oldest.Add(a.setup.Policy.GroupWait).Sub(a.now); wait > 0 && burst[0].f.Kind != finding.ReceiverFailing {
			again = soonest(again, wait)
			continue
		}
		if err := a.announce(ctx, key, burst); err != nil {
			return 0, err
		}
		for _, c := range burst {
			done = append(done, c.f.ID)
		}
	}
	// What came meanwhile for the same finding goes as well: a message reads its findings when it is sent,
	// which is after this commits.
	return again, a.n.Findings.Done(ctx, a.tx, done)
}

// withdrawAfter is how long after an incident was told those are taken back that it takes in.
const withdrawAfter = time.Second

// soonest of two waits, where 0 is none.
func soonest(a, b time.Duration) time.Duration {
	if a == 0 {
		return b
	}
	return min(a, b)
}

// known marks the messages that f is in as due. If f is in none, and the same finding was resolved less than
// reopenWithin before f opened, f joins the messages of that one. It returns false if nobody was told of either.
func (a attendance) known(ctx context.Context, f finding.Finding, trace string) (bool, error) {
	tag, err := a.tx.Exec(ctx, `
		UPDATE notify_messages SET due_at = $2, version = version + 1, given_up = false, trace = $3
		WHERE id IN (SELECT message_id FROM notify_members WHERE finding_id = $1)`, f.ID, a.now, trace)
	if err != nil || tag.RowsAffected() > 0 || f.State == finding.Resolved {
		return tag.RowsAffected() > 0, err
	}
	before, err := a.n.Findings.Before(ctx, f, f.OpenedAt.Add(-reopenWithin))
	if err != nil || before == 0 {
		return false, err
	}
	tag, err = a.tx.Exec(ctx, `
		INSERT INTO notify_members (message_id, finding_id)
		SELECT message_id, $2 FROM notify_members JOIN notify_messages m ON m.id = message_id
		WHERE finding_id = $1 AND m.told_digest <> '' AND NOT m.escalation ON CONFLICT DO NOTHING`, before, f.ID)
	if err != nil || tag.RowsAffected() == 0 {
		return false, err
	}
	_, err = a.tx.Exec(ctx, `
		UPDATE notify_messages SET due_at = $2, version = version + 1, steps = 0, trace = $3
		WHERE id IN (SELECT message_id FROM notify_members WHERE finding_id = $1)`, f.ID, a.now, trace)
	return true, err
}

// tellAlso tells the places that the routes name for f and that have no message about it: it was less severe before.
func (a attendance) tellAlso(ctx context.Context, c change) error {
	for _, t := range a.setup.places(a.setup.Policy.Targets(c.f, a.setup.names())) {
		told, err := a.told(ctx, c.f.ID, t)
		if err == nil && !told {
			err = a.create(ctx, t, "more severe", []int64{c.f.ID}, c.trace)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// announce makes the messages of a burst: one for each place that is told of some of it, or adds to the one of the same
// key that a place was told lately.
func (a attendance) announce(ctx context.Context, key string, burst []change) error {
	of := map[Target][]int64{}
	for _, c := range burst {
		targets := a.setup.places(a.setup.Policy.Targets(c.f, a.setup.names()))
		if c.f.Kind == finding.ReceiverFailing {
			var err error
			if targets, err = a.spare(ctx); err != nil {
				return err
			}
		}
		for _, t := range targets {
			of[t] = append(of[t], c.f.ID)
		}
		if len(targets) == 0 {
			a.n.Log.Debug("no receiver is told of a finding", "finding", c.f.ID, "kind", c.f.Kind)
		}
	}
	for t, ids := range of {
		joined, err := a.join(ctx, t, key, ids, burst[0].trace)
		if err == nil && !joined {
			err = a.create(ctx, t, key, ids, burst[0].trace)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// join adds findings to the message of that key which t was told within the group interval; false: there is none. Where
// messages cannot be updated the others are told together when the interval is over.
func (a attendance) join(ctx context.Context, t Target, key string, findings []int64, trace string) (bool, error) {
	due := a.now
	if r, ok := a.n.receiver(t.Receiver); ok && !r.Traits().Edits {
		due = due.Add(a.setup.Policy.GroupInterval)
	}
	var id int64
	err := a.tx.QueryRow(ctx, `
		UPDATE notify_messages SET version = version + 1, trace = $6,
			due_at = least(due_at, greatest($4, least($5, made_at + ($5::timestamptz - $4::timestamptz))))
		WHERE id = (SELECT max(id) FROM notify_messages
			WHERE receiver = $1 AND channel = $2 AND mention = $8 AND burst = $3 AND NOT given_up
				AND made_at > $4::timestamptz - $7::interval)
		RETURNING id`, t.Receiver, t.Channel, key, a.now, due, trace, a.setup.Policy.GroupInterval, t.Mention).Scan(&id)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	_, err = a.tx.Exec(ctx, `
		INSERT INTO notify_members (message_id, finding_id) SELECT $1, f FROM unnest($2::bigint[]) AS f
		ON CONFLICT DO NOTHING`, id, findings)
	return true, err
}

// create inserts a message about findings. trace is the trace context of one of the changes that the message is about.
// key is what others need to join it; "": nothing joins it, it is an escalation. One of divertKey is told beside its place too.
func (a attendance) create(ctx context.Context, t Target, key string, findings []int64, trace string) error {
	_, err := a.tx.Exec(ctx, `
		WITH made AS (
			INSERT INTO notify_messages (receiver, channel, mention, made_at, due_at, escalation, trace, burst)
			VALUES ($1, $2, $3, $4, $4, $8, $6, $7) RETURNING id)
		INSERT INTO notify_members (message_id, finding_id) SELECT made.id, f FROM made, unnest($5::bigint[]) AS f`,
		t.Receiver, t.Channel, t.Mention, a.now, findings, trace, key, key == "" || key == divertKey)
	return err
}

// nudge sends the reminders of findings that nobody acknowledged, and escalates those that are due for it.
func (a attendance) nudge(ctx context.Context) error {
	if err := errors.Join(a.relieve(ctx), a.postpone(ctx)); err != nil {
		return err
	}
	_, err := a.tx.Exec(ctx, `
		UPDATE notify_messages SET nudge = $2, due_at = $1, version = version + 1, remind_at = NULL
		WHERE least(remind_at, escalate_at) <= $1 AND remind_at <= $1`, a.now, nudgeRemind)
	if err != nil {
		return err
	}
	rows, err := a.tx.Query(ctx, `
		UPDATE notify_messages SET nudge = $2, due_at = $1, version = version + 1, escalate_at = NULL, steps = steps + 1
		WHERE least(remind_at, escalate_at) <= $1 AND escalate_at <= $1 RETURNING id, steps - 1`, a.now, nudgeEscalate)
	if err != nil {
		return err
	}
	var (
		id    int64
		step  int
		steps = map[int][]int64{} // messages by the step that is due
	)
	_, err = pgx.ForEachRow(rows, []any{&id, &step}, func() error {
		steps[step] = append(steps[step], id)
		return nil
	})
	if err != nil {
		return err
	}
	for step, ids := range steps {
		err := a.tellMore(ctx, ids, "", func(f finding.Finding) ([]Target, error) {
			if !urgent(f) {
				return nil, nil
			}
			return a.setup.places(a.setup.Policy.Escalated(f, step, a.setup.names())), nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// relieve ends the reminders of what the fallback was told for another receiver, once that one has it.
func (a attendance) relieve(ctx context.Context) error {
	_, err := a.tx.Exec(ctx, `
		UPDATE notify_messages d SET remind_at = NULL, escalate_at = NULL
		WHERE burst = $2 AND least(remind_at, escalate_at) <= $1 AND NOT EXISTS (
			SELECT FROM notify_members m WHERE m.message_id = d.id AND NOT EXISTS (
				SELECT FROM notify_members o JOIN notify_messages other ON other.id = o.message_id
				WHERE o.finding_id = m.finding_id AND other.burst <> $2 AND other.told_digest <> ''))`, a.now, divertKey)
	return err
}

// postpone puts off the reminders and escalations of messages in which nobody is told now of anything that is open.
func (a attendance) postpone(ctx context.Context) error {
	rows, err := a.tx.Query(ctx, `
		SELECT id, ARRAY(SELECT finding_id FROM notify_members WHERE message_id = m.id)
		FROM notify_messages m WHERE least(remind_at, escalate_at) <= $1`, a.now)
	if err != nil {
		return err
	}
	type due struct {
		id       int64
		findings []int64
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (d due, err error) {
		err = row.Scan(&d.id, &d.findings)
		return d, err
	})
	if err != nil || len(list) == 0 {
		return err
	}
	silences, err := a.n.Silences(ctx, false)
	if err != nil {
		return err
	}
	for _, d := range list {
		until, err := a.heldUntil(ctx, d.findings, silences)
		if err == nil && !until.IsZero() {
			_, err = a.tx.Exec(ctx, `
				UPDATE notify_messages SET remind_at = CASE WHEN remind_at <= $2 THEN $3 ELSE remind_at END,
					escalate_at = CASE WHEN escalate_at <= $2 THEN $3 ELSE escalate_at END
				WHERE id = $1`, d.id, a.now, soon(until, a.now))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// heldUntil is when people are told of one of these findings again; zero: one of them is not held, or none is open.
func (a attendance) heldUntil(ctx context.Context, ids []int64, silences []Silence) (until time.Time, err error) {
	for _, id := range ids {
		f, err := a.n.Findings.Finding(ctx, id)
		if errors.Is(err, finding.ErrNotFound) || err == nil && !nagging(f) {
			continue
		}
		if err != nil { // it holds nobody up
			return time.Time{}, nil
		}
		h := a.setup.Policy.holdOf(f, silences, a.now)
		if h.until.IsZero() {
			return time.Time{}, nil
		}
		if until.IsZero() || h.until.Before(until) {
			until = h.until
		}
	}
	return until, nil
}

// tellMore has the findings of messages told in more places, where they are not told yet.
func (a attendance) tellMore(ctx context.Context, messages []int64, key string, where func(finding.Finding) ([]Target, error)) error {
	rows, err := a.tx.Query(ctx, `SELECT DISTINCT finding_id FROM notify_members WHERE message_id = ANY($1)`, messages)
	if err != nil {
		return err
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return err
	}
	of := map[Target][]int64{}
	for _, id := range ids {
		f, err := a.n.Findings.Finding(ctx, id)
		if errors.Is(err, finding.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		targets, err := where(f)
		if err != nil {
			return err
		}
		for _, t := range targets {
			told, err := a.told(ctx, id, t)
			if err != nil {
				return err
			}
			if !told {
				of[t] = append(of[t], id)
			}
		}
	}
	for t, ids := range of {
		if err := a.create(ctx, t, key, ids, ""); err != nil {
			return err
		}
	}
	return nil
}

// failingSQL chooses the lanes that others are told of; $1 is the time before which they must have failed.
const failingSQL = `failures > 0 AND (needs_person OR failing_since <= $1)`

// failing opens and closes the finding about receivers that fail, and has the fallback told of the urgent
// messages that they cannot take.
func (a attendance) failing(ctx context.Context) error {
	if _, err := a.tx.Exec(ctx, `DELETE FROM notify_lanes WHERE receiver <> ALL($1)`, orNone(a.setup.names())); err != nil {
		return err
	}
	rows, err := a.tx.Query(
		ctx,
		`SELECT receiver, channel, failing_since, error FROM notify_lanes WHERE `+failingSQL+` ORDER BY 1, 2`,
		a.now.Add(-fallbackAfter),
	)
	if err != nil {
		return err
	}
	type lane struct {
		Receiver, Channel string
		Since             time.Time
		Error             string
	}
	lanes, err := pgx.CollectRows(rows, pgx.RowToStructByPos[lane])
	if err != nil {
		return err
	}
	event := finding.Event{Op: finding.OpResolve, Kind: finding.ReceiverFailing, At: a.now, Why: "every receiver takes messages again"}
	if len(lanes) > 0 {
		event = finding.Event{
			Op:       finding.OpOpen,
			Kind:     finding.ReceiverFailing,
			At:       a.now,
			Evidence: finding.Evidence{Since: lanes[0].Since},
		}
		var why []string
		for _, l := range lanes {
			name := strings.TrimSpace(l.Receiver + " " + l.Channel)
			event.Evidence.Affected = append(event.Evidence.Affected, name)
			why = append(why, name+": "+strings.TrimPrefix(l.Error, l.Receiver+": "))
		}
		event.Evidence.Message = strings.Join(why, "; ")
	}
	if _, err := a.n.Findings.Publish(ctx, a.tx, []finding.Event{event}); err != nil {
		return err
	}
	for _, l := range lanes {
		if err := a.divert(ctx, l.Receiver, l.Channel); err != nil {
			return err
		}
	}
	return nil
}

// divertKey is the burst of what the fallback is told for another receiver.
const divertKey = "what another receiver cannot take"

// divert has the fallback told of what waits in a failing lane and cannot wait.
func (a attendance) divert(ctx context.Context, receiver, channel string) error {
	rows, err := a.tx.Query(ctx, `
		SELECT id FROM notify_messages
		WHERE receiver = $1 AND channel = $2 AND due_at <= $3 AND told_digest = '' AND letter = ''`, receiver, channel, a.now)
	if err != nil {
		return err
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil || len(ids) == 0 {
		return err
	}
	spare, err := a.spare(ctx)
	if err != nil {
		return err
	}
	silences, err := a.n.Silences(ctx, false)
	if err != nil {
		return err
	}
	return a.tellMore(ctx, ids, divertKey, func(f finding.Finding) ([]Target, error) {
		h := a.setup.Policy.holdOf(f, silences, a.now)
		if f.State == finding.Resolved || !h.until.IsZero() || f.Severity != finding.Critical && f.Subject != (finding.Subject{}) {
			return nil, nil
		}
		return spare, nil
	})
}

// spare returns where to send what a failing receiver cannot: the fallback, or, without one, the receivers that work.
func (a attendance) spare(ctx context.Context) ([]Target, error) {
	if p := a.setup.Policy; p.Fallback != "" {
		return []Target{{Receiver: p.Fallback}}, nil
	}
	rows, err := a.tx.Query(ctx, `SELECT DISTINCT receiver FROM notify_lanes WHERE failures > 0`)
	if err != nil {
		return nil, err
	}
	bad, err := pgx.CollectRows(rows, pgx.RowTo[string])
	var targets []Target
	for _, name := range a.setup.names() {
		if !slices.Contains(bad, name) {
			targets = append(targets, Target{Receiver: name})
		}
	}
	return targets, err
}

// wakeLanes starts a job for each lane that has a message due and is not waiting after a failure.
func (a attendance) wakeLanes(ctx context.Context) error {
	rows, err := a.tx.Query(ctx, `
		SELECT DISTINCT m.receiver, m.channel FROM notify_messages m LEFT JOIN notify_lanes l USING (receiver, channel)
		WHERE m.due_at <= $1 AND (l.next_at IS NULL OR l.next_at <= $1)`, a.now)
	if err != nil {
		return err
	}
	lanes, err := pgx.CollectRows(rows, pgx.RowToStructByPos[LaneArgs])
	if err != nil {
		return err
	}
	jobs := make([]river.JobArgs, len(lanes))
	for i, l := range lanes {
		jobs[i] = l
	}
	return a.n.Waker.jobs(ctx, a.tx, jobs...)
}

func orNone(names []string) []string {
	if names == nil {
		return []string{}
	}
	return names
}

// bySeverity orders findings by severity, those that are resolved last.
func bySeverity(a, b finding.Finding) int {
	over := func(f finding.Finding) int {
		if f.State == finding.Resolved {
			return 1
		}
		return 0
	}
	rank := func(f finding.Finding) int {
		return slices.Index([]finding.Severity{finding.Critical, finding.Warning, finding.Info}, f.Severity)
	}
	return cmp.Or(
		cmp.Compare(over(a), over(b)),
		cmp.Compare(rank(a), rank(b)),
		cmp.Compare(a.Subject.Key(), b.Subject.Key()),
		cmp.Compare(a.ID, b.ID),
	)
}
