package action

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/secret"
)

// mostReason bounds the words of a person about a finding, in characters.
const mostReason = 300

// Acknowledge says for actor that someone looks after a finding, and returns it. One that is acknowledged already
// stays with the first. The errors wrap finding.ErrNotFound and audit.ErrResolved.
func (a *Actions) Acknowledge(ctx context.Context, actor string, id int64) (finding.Finding, error) {
	return a.act(ctx, func(tx pgx.Tx) (finding.Change, error) { return a.Audit.Acknowledge(ctx, tx, actor, id, a.Now()) })
}

// Snooze puts a finding aside for actor, from now for a time, which must be positive and of 90 days at most. The errors are those of
// Acknowledge.
func (a *Actions) Snooze(ctx context.Context, actor string, id int64, long time.Duration) (finding.Finding, error) {
	now := a.Now()
	return a.act(ctx, func(tx pgx.Tx) (finding.Change, error) { return a.snooze(ctx, tx, actor, id, now, now.Add(long)) })
}

// Unacknowledge takes back for actor that somebody looks after a finding, or that it was a false alarm. The errors are
// those of Acknowledge, and wrap ErrNotSo where it is not acknowledged.
func (a *Actions) Unacknowledge(ctx context.Context, actor string, id int64) (finding.Finding, error) {
	return a.act(ctx, func(tx pgx.Tx) (finding.Change, error) {
		c, err := a.Audit.Unacknowledge(ctx, tx, actor, id, a.Now())
		return c, was(finding.Acknowledged, c, err)
	})
}

// Unsnooze ends for actor the time for which a finding is put aside. The errors are those of Unacknowledge.
func (a *Actions) Unsnooze(ctx context.Context, actor string, id int64) (finding.Finding, error) {
	return a.act(ctx, func(tx pgx.Tx) (finding.Change, error) {
		c, err := a.Audit.Unsnooze(ctx, tx, actor, id, a.Now())
		return c, was(finding.Snoozed, c, err)
	})
}

// ErrNotSo is wrapped by the errors of what cannot be taken back, since it is not so.
var ErrNotSo = errors.New("is not")

func was(state finding.State, c finding.Change, err error) error {
	if err == nil && c.From != state {
		err = fmt.Errorf("finding %d %w %s", c.Finding.ID, ErrNotSo, state)
	}
	return err
}

// FalseAlarm says for actor that a finding was none, and why; of a leak, the evidence is put aside with it. What
// happened once is resolved by that; what still holds is acknowledged. The errors are those of Acknowledge.
func (a *Actions) FalseAlarm(ctx context.Context, actor string, id int64, why string) (finding.Finding, error) {
	return a.act(ctx, func(tx pgx.Tx) (finding.Change, error) { return a.falseAlarm(ctx, tx, actor, id, why) })
}

func (a *Actions) act(ctx context.Context, do func(pgx.Tx) (finding.Change, error)) (f finding.Finding, err error) {
	err = a.inTx(ctx, func(tx pgx.Tx) error {
		change, err := do(tx)
		f = change.Finding
		return err
	})
	return f, err
}

// snooze puts a finding aside until a time. A refusal says that the time is over, or too far.
func (a *Actions) snooze(ctx context.Context, tx pgx.Tx, actor string, id int64, now, until time.Time) (finding.Change, error) {
	switch {
	case !until.After(now):
		return finding.Change{}, refusal("A finding is put aside until a time to come.")
	case until.Sub(now) > longestSilence:
		return finding.Change{}, refusal("A finding is put aside for 90 days at most; what is none is a false alarm.")
	}
	return a.Audit.Snooze(ctx, tx, actor, id, now, until)
}

func (a *Actions) falseAlarm(ctx context.Context, tx pgx.Tx, actor string, id int64, why string) (finding.Change, error) {
	why = secret.Scrubber{}.Clean(why, mostReason)
	if why == "" {
		return finding.Change{}, refusal("A false alarm says why, for those who wonder.")
	}
	c, err := a.Audit.FalseAlarm(ctx, tx, actor, id, why, a.Now())
	if err == nil && c.Finding.Kind == finding.Leaked {
		err = a.Leaks.Settle(ctx, tx, c.Finding.Subject.CredentialID, a.Now())
	}
	return c, err
}
