package action

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/notify"
	"github.com/keyrounds/keyrounds/postgres"
	"github.com/keyrounds/keyrounds/registry"
	"github.com/keyrounds/keyrounds/rounds"
)

// Do does what a person asked for where a message was told, and returns what that person is told ("": nothing). The
// same Action.ID is done once, whichever replica gets it; a second one is told nothing. Of a message all findings
// that are not over are changed, in one transaction. An error with a method Public says why nothing was done.
func (a *Actions) Do(ctx context.Context, do notify.Action) (string, error) {
	text, err := a.do(ctx, do)
	return text, postgres.Plain(err)
}

func (a *Actions) do(ctx context.Context, do notify.Action) (string, error) {
	switch do.Do {
	case notify.Status:
		return a.statusText(ctx)
	case notify.Unused:
		return a.unusedText(ctx)
	case notify.Check:
		return a.checkForMessage(ctx, do)
	case notify.Decide:
		return a.decideText(ctx, do)
	case notify.DoSilence:
		return a.silenceText(ctx, do)
	case notify.DoEndSilence:
		return a.endSilenceText(ctx, do)
	case notify.DoSilences:
		return a.silencesText(ctx)
	}
	ids, err := a.Notifier.Members(ctx, do.Message)
	if err != nil {
		return "", err
	}
	if len(ids) == 0 {
		return "", refusal("This message is not about a finding of this keyrounds.")
	}
	return a.actOn(ctx, do, ids)
}

// actOn changes the findings of a message, all that are not over, in one transaction and once.
func (a *Actions) actOn(ctx context.Context, do notify.Action, ids []int64) (text string, err error) {
	err = a.inTx(ctx, func(tx pgx.Tx) error {
		fresh, err := a.Notifier.Once(ctx, tx, do.ID)
		if err != nil || !fresh {
			return err // Slack sent it twice
		}
		var (
			done bool
			why  []string
		)
		for _, id := range ids {
			_, err := a.change(ctx, tx, do, id)
			var refused refusal
			switch {
			case errors.As(err, &refused):
				why = append(why, string(refused))
			case err != nil:
				return err
			default:
				done = true
			}
		}
		if !done {
			return refusal(strings.Join(slices.Compact(why), " "))
		}
		return nil
	})
	return "", err
}

// change changes one finding. A refusal says that somebody was there before, or that it is over.
func (a *Actions) change(ctx context.Context, tx pgx.Tx, do notify.Action, id int64) (c finding.Change, err error) {
	switch do.Do {
	case notify.Acknowledge:
		c, err = a.Audit.Acknowledge(ctx, tx, do.Actor, id, a.Now())
		if err == nil && c.Finding.AcknowledgedBy != do.Actor {
			err = refusal(fmt.Sprintf("%s looks after it already.", c.Finding.AcknowledgedBy))
		}
	case notify.Snooze:
		now := a.Now()
		c, err = a.snooze(ctx, tx, do.Actor, id, now, now.Add(do.For))
	case notify.FalseAlarm:
		c, err = a.falseAlarm(ctx, tx, do.Actor, id, do.Reason)
		if err == nil && c.Finding.FalseAlarmBy != do.Actor {
			err = refusal(fmt.Sprintf("%s has said so already.", c.Finding.FalseAlarmBy))
		}
	default:
		err = fmt.Errorf("nobody knows how to %q", do.Do)
	}
	switch {
	case errors.Is(err, audit.ErrResolved):
		err = refusal("It is resolved already.")
	case errors.Is(err, finding.ErrNotFound):
		err = refusal("There is no such finding any more.")
	}
	return c, err
}

// checkForMessage checks the credentials of a message, or one by its name, now.
func (a *Actions) checkForMessage(ctx context.Context, do notify.Action) (string, error) {
	creds, err := a.toCheck(ctx, do)
	if err != nil {
		return "", err
	}
	fresh := false
	err = a.inTx(ctx, func(tx pgx.Tx) (err error) {
		if fresh, err = a.Notifier.Once(ctx, tx, do.ID); err != nil || !fresh {
			return err
		}
		e, err := audit.NewEntry(a.Now(), do.Actor, "check.asked", "slack", map[string]any{"credentials": names(creds)})
		if err != nil {
			return err
		}
		return a.Audit.Append(ctx, tx, e)
	})
	if err != nil || !fresh {
		return "", err
	}
	var lines []string
	err = a.Check(ctx, creds, func(js []rounds.Judged) {
		for _, j := range js {
			lines = append(
				lines,
				fmt.Sprintf("%s: %s, so it is %s. %s", j.Result.Credential, j.Result.Outcome, j.State.Status, j.Result.Message),
			)
		}
	})
	if err != nil {
		return "", refusal("The check did not end: " + postgres.Plain(err).Error() + ".")
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n"), nil
}

const mostChecked = 20 // by one press

func (a *Actions) toCheck(ctx context.Context, do notify.Action) ([]credential.Credential, error) {
	wanted := []string{do.Name}
	if do.Name == "" {
		wanted = nil
		ids, err := a.Notifier.Members(ctx, do.Message)
		if err != nil {
			return nil, err
		}
		for _, id := range ids {
			f, err := a.Audit.Finding(ctx, id)
			if err != nil {
				return nil, err
			}
			if f.Subject.Credential != "" && f.State != finding.Resolved {
				wanted = append(wanted, f.Subject.Credential)
			}
		}
	}
	if len(wanted) == 0 || len(wanted) > mostChecked {
		return nil, refusal(fmt.Sprintf("A press checks 1 to %d credentials, and this would be %d.", mostChecked, len(wanted)))
	}
	var creds []credential.Credential
	for _, name := range wanted {
		c, err := a.Registry.Get(ctx, name)
		if err == nil && !c.Retired.IsZero() {
			err = registry.ErrNotFound
		}
		if err != nil {
			return nil, notRegistered(name, err)
		}
		creds = append(creds, c)
	}
	return creds, nil
}

// notRegistered makes a refusal of an error that says that there is no credential of a name.
func notRegistered(name string, err error) error {
	if errors.Is(err, registry.ErrNotFound) {
		return refusal(fmt.Sprintf("No credential %q is registered.", name))
	}
	return err
}

func names(creds []credential.Credential) (list []string) {
	for _, c := range creds {
		list = append(list, c.Name)
	}
	return list
}
