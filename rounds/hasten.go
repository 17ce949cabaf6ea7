package rounds

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/registry"
	"github.com/keyrounds/keyrounds/verdict"
)

const (
	whyPeer      = "out of turn, to see whether its provider accepts others than those it refuses"
	whyRecovered = "out of turn, since its provider accepts again what it refused"
)

// hasten has the credentials checked out of turn that the verdict wants looked at, as far as their providers may be asked:
// not where one is passive, or its budget is used up so far, and no sooner than its min_interval allows. Its rate and
// concurrency hold as for all that is due.
func (r *Rounds) hasten(ctx context.Context, tx pgx.Tx, s *Settings, wishes []verdict.Wish) error {
	now := r.Now()
	groups := map[registry.Hasten][]registry.Due{}
	for _, w := range wishes {
		p, known := s.Providers[w.Provider]
		if !known || p.Passive {
			continue
		}
		h := registry.Hasten{Provider: p.Name, Now: now, Rested: p.MinInterval, Wait: w.Again, Why: whyPeer}
		if w.Again {
			h.Rested, h.Why = max(p.MinInterval, s.Policy.Apart()), whyRecovered
		}
		at := w.At
		if at.Before(now) {
			at = now
		}
		groups[h] = append(groups[h], registry.Due{ID: w.CredentialID, At: at})
	}
	for h, dues := range groups {
		if budget := s.Providers[h.Provider].Budget; budget > 0 {
			spent, err := r.Registry.Spent(ctx, tx, h.Provider, now)
			if err != nil {
				return err
			}
			afford := 0
			for afford < len(dues) && !affordable(budget, spent+afford+1, now).After(now) {
				afford++
			}
			dues = dues[:afford]
		}
		if err := r.Registry.Hasten(ctx, tx, h, dues); err != nil {
			return err
		}
	}
	return nil
}
