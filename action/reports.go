package action

import (
	"context"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/report"
	"github.com/keyrounds/keyrounds/secret"
)

// Freeze makes the report of a month that is over, for ever, for actor; anyway: also where nothing was watched. The error is a
// refusal that says why not.
func (a *Actions) Freeze(ctx context.Context, actor string, month report.Month, anyway bool) error {
	made, err := a.Reports.Freeze(ctx, month, report.Order{Actor: actor, Anyway: anyway}, a.Now())
	if err == nil && !made {
		return refusal("The report " + month.String() + " was frozen before: amend it, and there is another edition.")
	}
	return Refused(err)
}

// Amend makes another edition of a report that was frozen, for actor, and says its number. The error is a refusal that says why
// not.
func (a *Actions) Amend(ctx context.Context, actor string, month report.Month, why string) (edition int, err error) {
	if strings.TrimSpace(why) == "" {
		return 0, refusal("Another edition says why, for those who compare it.")
	}
	edition, err = a.Reports.Amend(ctx, month, report.Order{Actor: actor, Why: why, Anyway: true}, a.Now())
	return edition, Refused(err)
}

// SignOff notes that r.By went through the frozen report of a month. The error is a refusal that says why not.
func (a *Actions) SignOff(ctx context.Context, month report.Month, r report.Review) (s report.SignOff, err error) {
	r.Note = secret.Scrubber{}.Clean(r.Note, mostReason)
	err = a.inTx(ctx, func(tx pgx.Tx) error {
		if s, err = a.Reports.SignOff(ctx, tx, month, r, a.Now()); err != nil {
			return err
		}
		e, err := audit.NewEntry(a.Now(), r.By, "report.signed_off", "report/"+month.String(), s)
		if err != nil {
			return err
		}
		return a.Audit.Append(ctx, tx, e)
	})
	return s, Refused(err)
}

// refusedError is a refusal that is made of another error, whose hint a command shows.
type refusedError struct {
	error
	public string
}

func (e *refusedError) Unwrap() error  { return e.error }
func (e *refusedError) Public() string { return e.public }

// Refused makes refusals of the errors that say why a report is not made, with their hints; others stay.
func Refused(err error) error {
	var (
		early     *report.NotOverError
		unwatched *report.UnwatchedError
		none      *report.NotFrozenError
		undecided *report.UndecidedError
		signed    *report.SignedError
		owner     *report.OwnerError
		edition   *report.EditionError
	)
	switch {
	case errors.As(err, &early):
		return &refusedError{err, sentence(err) + "."}
	case errors.As(err, &unwatched):
		return &refusedError{err, "No feed watched in the month " + unwatched.Month.String() + ": its report would say of every " +
			"credential that it is not known. Import logs first, or freeze it anyway."}
	case errors.As(err, &none):
		return &refusedError{err, sentence(err) + "."}
	case errors.As(err, &undecided):
		return &refusedError{err, sentence(err) + ". Decide, or sign it off with them."}
	case errors.As(err, &signed):
		return &refusedError{err, err.Error() + ". Amend it, and the new edition is signed off anew."}
	case errors.As(err, &edition):
		return &refusedError{err, sentence(err) + ". Read the new one first."}
	case errors.As(err, &owner):
		return &refusedError{err, sentence(err) + "."}
	}
	return err
}

// sentence begins an error with a capital.
func sentence(err error) string {
	text := err.Error()
	return strings.ToUpper(text[:1]) + text[1:]
}
