package action

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/registry"
	"github.com/keyrounds/keyrounds/rounds"
)

// FirstCheck says when a credential that was registered, or has a new secret, is checked for the first time.
type FirstCheck int

// The times of a first check. AtOnce is the default.
const (
	AtOnce FirstCheck = iota
	AsScheduled
)

// postpone has the first checks of what was changed in tx made when first says.
func (a *Actions) postpone(ctx context.Context, tx pgx.Tx, first FirstCheck, changes ...registry.Change) error {
	if first == AtOnce {
		return nil
	}
	due := make([]registry.Due, len(changes))
	for i, c := range changes {
		at, why := c.Credential.Next(a.Registry.Zone(), a.Now())
		due[i] = registry.Due{ID: c.Credential.ID, At: at, Why: why}
	}
	return a.Registry.Reschedule(ctx, tx, due)
}

// firstPatience is how long whoever registers a credential waits for its first answer.
const firstPatience = 30 * time.Second

// First says what came of the first checks of credentials that were just registered, or got a new secret, by name; the
// errors are those of rounds.First. It waits for half a minute at most where a daemon makes the checks.
func (a *Actions) First(ctx context.Context, names []string, each func([]rounds.Judged)) error {
	creds := make([]credential.Credential, len(names))
	for i, name := range names {
		var err error
		if creds[i], err = a.Registry.Get(ctx, name); err != nil {
			return err
		}
	}
	return a.Rounds.First(ctx, creds, firstPatience, each)
}
