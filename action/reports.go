package action

import (
	"context"
	"errors"

	"github.com/keyrounds/keyrounds/report"
)

// Freeze makes the report of a month that is over, for ever, for actor; anyway: also where nothing was watched. The error is a
// refusal that says why not.
func (a *Actions) Freeze(ctx context.Context, actor string, month report.Month, anyway bool) error {
	made, err := a.Reports.Freeze(ctx, month, report.Order{Actor: actor, Anyway: anyway}, a.Now())
	if err == nil && !made {
		return refusal("The report " + month.String() + " was frozen before: amend it, and there is another edition.")
	}
	return refusedReport(err)
}

// Amend makes another edition of a report that was frozen, for actor, and says its number. The error is a refusal that says why
// not.
func (a *Actions) Amend(ctx context.Context, actor string, month report.Month, why string) (edition int, err error) {
	edition, err = a.Reports.Amend(ctx, month, report.Order{Actor: actor, Why: why, Anyway: true}, a.Now())
	return edition, refusedReport(err)
}

// refusedReport makes refusals of the errors that say why a report is not made.
func refusedReport(err error) error {
	var (
		early     *report.NotOverError
		unwatched *report.UnwatchedError
		none      *report.NotFrozenError
	)
	switch {
	case errors.As(err, &early):
		return refusal("The month " + early.Month.String() + " is not over.")
	case errors.As(err, &unwatched):
		return refusal("No feed watched in the month " + unwatched.Month.String() + ": its report would say of every credential that " +
			"it is not known. Import logs first, or freeze it anyway.")
	case errors.As(err, &none):
		return refusal("The report " + none.Month.String() + " was not frozen.")
	}
	return err
}
