package action

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/decision"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/notify"
	"github.com/keyrounds/keyrounds/registry"
	"github.com/keyrounds/keyrounds/secret"
)

// Choice is what somebody decides of a credential.
type Choice struct {
	Choice decision.Choice
	Until  time.Time // a day in UTC, after today and within a year; zero: so many days from now as Choice.Days says
	Why    string    // required
	// If is asked of the credential once it is locked; an error decides nothing. nil: any.
	If func(credential.Credential) error
}

// Decide decides for actor what becomes of a credential, in place of what was decided of it before. What is kept is not told as
// unused until its day. The error wraps registry.ErrNotFound where there is no such credential; it is c.If's, or a refusal that
// says what is wrong.
func (a *Actions) Decide(ctx context.Context, actor, name string, c Choice) (d decision.Decision, err error) {
	err = a.inTx(ctx, func(tx pgx.Tx) error {
		d, err = a.decide(ctx, tx, actor, name, c)
		return err
	})
	return d, err
}

// DecideAll is Decide of several credentials by name, all or none, with why and until for all of them.
func (a *Actions) DecideAll(ctx context.Context, actor string, chosen map[string]decision.Choice, c Choice) error {
	names := slices.Sorted(maps.Keys(chosen))
	held, err := a.Registry.Named(ctx, names)
	if err != nil {
		return err
	}
	var ids []int64
	for _, cr := range held {
		ids = append(ids, cr.ID)
	}
	return a.inTx(ctx, func(tx pgx.Tx) error {
		if err := a.Registry.Lock(ctx, tx, ids); err != nil { // in their order, as everybody does
			return err
		}
		for _, name := range names {
			c.Choice = chosen[name]
			if _, err := a.decide(ctx, tx, actor, name, c); err != nil {
				return err
			}
		}
		return nil
	})
}

func (a *Actions) decide(ctx context.Context, tx pgx.Tx, actor, name string, c Choice) (d decision.Decision, err error) {
	now := a.Now()
	if c.Until.IsZero() {
		c.Until = now.AddDate(0, 0, c.Choice.Days())
	}
	d = decision.Decision{
		Credential: name, Choice: c.Choice, Until: decision.Day(c.Until), Why: secret.Scrubber{}.Clean(c.Why, mostReason),
		By: actor, At: now.UTC().Truncate(time.Microsecond),
	}
	switch {
	case !d.Choice.Known():
		return d, refusal("That is no choice: keep, revoke, rotate or drop_scopes.")
	case d.Why == "":
		return d, refusal("A decision says why, for those who review it.")
	case !d.Until.After(now):
		return d, refusal("A decision holds until a day to come.")
	case d.Until.After(decision.Longest(now)):
		return d, refusal("A decision holds for a year at most, until " + decision.Longest(now).Format("2 Jan 2006") + ".")
	}
	id, err := a.toDecide(ctx, tx, name, c.If)
	if err != nil {
		return d, err
	}
	if err := a.Decisions.Set(ctx, tx, id, d); err != nil {
		return d, err
	}
	return d, a.recordDecision(ctx, tx, actor, "decision.made", d)
}

// Undecide takes back for actor what was decided of a credential, and returns it. The errors are those of Decide; where nothing is
// decided it is a refusal. may is asked like Choice.If.
func (a *Actions) Undecide(
	ctx context.Context,
	actor, name string,
	may func(credential.Credential) error,
) (d decision.Decision, err error) {
	err = a.inTx(ctx, func(tx pgx.Tx) error {
		id, err := a.toDecide(ctx, tx, name, may)
		if err != nil {
			return err
		}
		decided, err := a.Decisions.Of(ctx, tx, a.Now(), []int64{id})
		if err != nil {
			return err
		}
		was, is := decided[id]
		if !is {
			return refusal(fmt.Sprintf("Nothing is decided of %q.", name))
		}
		d = was
		if err := a.Decisions.Forget(ctx, tx, []int64{id}); err != nil {
			return err
		}
		return a.recordDecision(ctx, tx, actor, "decision.withdrawn", d)
	})
	return d, err
}

// toDecide locks the credential that something is decided of.
func (a *Actions) toDecide(ctx context.Context, tx pgx.Tx, name string, may func(credential.Credential) error) (id int64, err error) {
	c, err := a.Registry.Get(ctx, name)
	if err == nil {
		err = a.Registry.Lock(ctx, tx, []int64{c.ID})
	}
	if err != nil {
		return 0, err
	}
	locked, err := a.Registry.ReadAll(ctx, tx, []int64{c.ID})
	switch {
	case err != nil:
		return 0, err
	case len(locked) == 0:
		return 0, fmt.Errorf("%w: %q", registry.ErrNotFound, name)
	case !locked[0].Retired.IsZero():
		return 0, refusal(fmt.Sprintf("%q is retired: there is nothing to decide.", name))
	case may != nil:
		err = may(locked[0])
	}
	return c.ID, err
}

// recordDecision writes down a decision, and has findings follow it.
func (a *Actions) recordDecision(ctx context.Context, tx pgx.Tx, actor, what string, d decision.Decision) error {
	e, err := audit.NewEntry(a.Now(), actor, what, finding.Subject{Credential: d.Credential}.Key(), map[string]any{
		"choice": d.Choice, "until": d.Until.Format(time.DateOnly), "why": d.Why, "decided_by": d.By, "decided_at": d.At,
	})
	if err != nil {
		return err
	}
	if err := a.Audit.Append(ctx, tx, e); err != nil {
		return err
	}
	return a.Rounds.JudgeSoon(ctx, tx)
}

// undecide has the decisions of what was retired end, and forgets those of what is registered again: that is another life.
func (a *Actions) undecide(ctx context.Context, tx pgx.Tx, retired, revived []int64) error {
	if len(retired) > 0 {
		if err := a.Decisions.End(ctx, tx, retired, a.Now()); err != nil {
			return err
		}
	}
	if len(revived) == 0 {
		return nil
	}
	return a.Decisions.Forget(ctx, tx, revived)
}

// decideText is Decide where a report was told: a second time with the same id it does nothing.
func (a *Actions) decideText(ctx context.Context, do notify.Action) (text string, err error) {
	err = a.inTx(ctx, func(tx pgx.Tx) error {
		fresh, err := a.Notifier.Once(ctx, tx, do.ID)
		if err != nil || !fresh {
			return err
		}
		d, err := a.decide(ctx, tx, do.Actor, do.Name, Choice{Choice: decision.Choice(do.Choice), Until: do.Until, Why: do.Reason})
		if err != nil {
			return err
		}
		text = fmt.Sprintf("%s: %s: %s", d.Credential, d.Words(), strings.TrimSuffix(d.Why, "."))
		return nil
	})
	return text, notRegistered(do.Name, err)
}
