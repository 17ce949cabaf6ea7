package rounds

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/credential"
)

// First gives each the first answers of credentials that were just registered, or have a new secret, as they come: they
// are due at once. Where a daemon lives it makes those checks, and First looks for them until patience is over or they
// are there; otherwise this process makes them, within rate and budget. What is passive is not waited for.
//
// What had no answer is not an error here; one of CheckNow says why not.
func (r *Rounds) First(ctx context.Context, creds []credential.Credential, patience time.Duration, each func([]Judged)) error {
	lives, err := r.DaemonLives(ctx)
	if err != nil {
		return err
	}
	if !lives {
		return r.checkNow(ctx, firstCheck, creds, each)
	}
	var passive []error
	creds = slices.DeleteFunc(slices.Clone(creds), func(c credential.Credential) bool {
		p := r.settings.Load().Providers[c.Provider]
		if why := fmt.Errorf("the provider %q is passive: %w", p.Name, ErrNotExchanged); p.Passive && len(passive) == 0 {
			passive = append(passive, why)
		}
		return p.Passive
	})
	for end := time.Now().Add(patience); len(creds) > 0 && time.Now().Before(end); {
		answered := map[int64]bool{}
		for _, c := range creds {
			st, ok, err := r.Audit.StandingOf(ctx, c.ID)
			if err != nil {
				return err
			}
			if !ok || st.LastCheck.Before(c.Changed) {
				continue
			}
			answered[c.ID] = true
			each([]Judged{{Result: checker.Result{
				CredentialID: c.ID, Credential: c.Name, Provider: c.Provider, At: st.LastCheck, Unproven: st.Unproven,
				Reading: checker.Reading{Outcome: st.Outcome, Reason: st.Reason, Message: st.Message},
			}, State: st.State}})
		}
		creds = slices.DeleteFunc(creds, func(c credential.Credential) bool { return answered[c.ID] })
		if len(creds) > 0 {
			if err := r.pass(ctx, firstLook); err != nil {
				return err
			}
		}
	}
	return errors.Join(passive...)
}

const firstLook = 300 * time.Millisecond
