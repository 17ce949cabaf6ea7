package action

import (
	"context"
	"fmt"
	"time"

	"github.com/keyrounds/keyrounds/leak"
)

// UndoRotate gives a credential back, for actor, the secret that it had before the last rotation, with its client id, while that
// is kept: until it is proven dead, or for 30 days (leak.Store.Keep). The secret that it has now is kept in its place. When the old
// one ends by itself is not known. The error is a refusal where none is kept, and else those of Rotate.
func (a *Actions) UndoRotate(ctx context.Context, actor, name string, first FirstCheck) error {
	c, err := a.Rotatable(ctx, name, "", time.Time{})
	if err != nil {
		return err
	}
	rows, err := a.Leaks.Secrets(ctx, c.ID)
	if err != nil {
		return err
	}
	var last leak.SecretRow
	for _, r := range rows {
		if r.Kept && r.Dead.IsZero() && r.Replaced.After(last.Replaced) {
			last = r
		}
	}
	switch {
	case last.ID == 0:
		return refusal(fmt.Sprintf("No replaced secret of %q is kept: it was proven dead, is older than 30 days, or there was none.", name))
	case last.Leaked:
		return refusal(fmt.Sprintf("The secret that %q had before got out: it must not come back.", name))
	}
	v, err := a.Leaks.Open(last)
	if err != nil {
		return err
	}
	defer v.Wipe()
	return a.Rotate(ctx, actor, name, last.ClientID, time.Time{}, v, first)
}
