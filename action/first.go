package action

import (
	"context"
	"time"

	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/rounds"
)

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
