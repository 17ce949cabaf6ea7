package action

import (
	"context"

	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/rounds"
)

// Check checks credentials now, whatever their schedules say, and gives each the results as they come. They are
// judged and recorded like those of any round. A daemon makes the checks, if one lives (rounds.CheckNow, which says
// the errors). Who asked is not in the record; CheckFor has him there.
func (a *Actions) Check(ctx context.Context, creds []credential.Credential, each func([]rounds.Judged)) error {
	return a.Rounds.CheckNow(ctx, creds, each)
}

// CheckFor is Check for actor, which is in the record.
func (a *Actions) CheckFor(ctx context.Context, actor string, creds []credential.Credential, each func([]rounds.Judged)) error {
	subject := "keyrounds"
	if len(creds) == 1 {
		subject = "credential/" + creds[0].Name
	}
	if err := a.Audit.Note(ctx, actor, "check.asked", subject, map[string]any{"credentials": names(creds)}); err != nil {
		return err
	}
	return a.Check(ctx, creds, each)
}
