package action

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/secret"
)

// What can be done about findings.
const (
	Acknowledge   = "acknowledge"
	Unacknowledge = "unacknowledge"
	Snooze        = "snooze"
	Unsnooze      = "unsnooze"
	FalseAlarm    = "false_alarm"
	Assign        = "assign"
	Comment       = "comment"
)

// Response is what somebody does about findings.
type Response struct {
	Do    string
	Until time.Time // of Snooze: after now, by 90 days at most
	Text  string    // of FalseAlarm why, of Assign to whom ("": to nobody), of Comment the comment
	// If is asked of each finding once it is locked; an error leaves it as it is. nil: any.
	If func(finding.Finding) error
}

const (
	mostComment = 2000 // characters
	mostName    = 200  // likewise, of whom a finding is assigned to
)

// Left is a finding that stays as it is, and why, in words for whoever asked.
type Left struct {
	ID  int64
	Why string
}

// Respond does about a finding what r says, for actor, and returns it. An undo of what is not so changes nothing. The errors are
// those of Acknowledge, of r.If, and refusals.
func (a *Actions) Respond(ctx context.Context, actor string, id int64, r Response) (f finding.Finding, err error) {
	err = a.inTx(ctx, func(tx pgx.Tx) error {
		f, err = a.respond(ctx, tx, actor, id, r)
		return err
	})
	return f, err
}

// RespondAll does it about several, in one transaction. Those that are resolved, or not there, stay as they are.
func (a *Actions) RespondAll(ctx context.Context, actor string, ids []int64, r Response) (done []finding.Finding, left []Left, err error) {
	ids = slices.Clone(ids)
	slices.Sort(ids) // as everybody locks them
	err = a.inTx(ctx, func(tx pgx.Tx) error {
		done, left = nil, nil
		for _, id := range slices.Compact(ids) {
			f, err := a.respond(ctx, tx, actor, id, r)
			switch {
			case errors.Is(err, audit.ErrResolved):
				left = append(left, Left{id, "It is resolved already."})
			case errors.Is(err, finding.ErrNotFound):
				left = append(left, Left{id, "There is no such finding, or not for you."})
			case err != nil:
				return err
			default:
				done = append(done, f)
			}
		}
		return nil
	})
	return done, left, err
}

func (a *Actions) respond(ctx context.Context, tx pgx.Tx, actor string, id int64, r Response) (finding.Finding, error) {
	now := a.Now()
	f, err := a.Audit.LockFinding(ctx, tx, id)
	if err == nil && r.If != nil {
		err = r.If(f)
	}
	if err != nil {
		return f, err
	}
	var c finding.Change
	switch r.Do {
	case Acknowledge:
		c, err = a.Audit.Acknowledge(ctx, tx, actor, id, now)
	case Unacknowledge:
		c, err = a.Audit.Unacknowledge(ctx, tx, actor, id, now)
	case Snooze:
		c, err = a.snooze(ctx, tx, actor, id, now, r.Until)
	case Unsnooze:
		c, err = a.Audit.Unsnooze(ctx, tx, actor, id, now)
	case FalseAlarm:
		c, err = a.falseAlarm(ctx, tx, actor, id, r.Text)
	case Assign:
		return a.Audit.Assign(ctx, tx, actor, id, secret.Scrubber{}.Clean(r.Text, mostName), now)
	case Comment:
		text := secret.Scrubber{}.Clean(r.Text, mostComment)
		if text == "" {
			return f, refusal("A comment says something.")
		}
		return a.Audit.Comment(ctx, tx, actor, id, text, now)
	default:
		err = fmt.Errorf("nobody knows how to %q", r.Do)
	}
	return c.Finding, err
}
