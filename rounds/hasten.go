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

// hasten has the credentials checked at once that the verdict wants looked at, as far as their providers may be asked:
// not where one is passive, or its budget is used up so far, and no sooner than its min_interval allows. Its rate and
// concurrency hold as for all that is due.
func (r *Rounds) hasten(ctx context.Context, tx pgx.Tx, s *Settings, wishes []verdict.Wish) error {
	now := r.Now()
	groups := map[registry.Hasten][]int64{}
	for _, w := range wishes {
		p, known := s.Providers[w.Provider]
		if !known || p.Passive {
			continue
		}
		h := registry.Hasten{Provider: p.Name, At: now, Rested: p.MinInterval, Why: whyPeer}
		if w.Again {
			h.Why = whyRecovered
		}
		groups[h] = append(groups[h], w.CredentialID)
	}
	for h, ids := range groups {
		if budget := s.Providers[h.Provider].Budget; budget > 0 {
			spent, err := r.Registry.Spent(ctx, tx, h.Provider, now)
			if err != nil {
				return err
			}
			afford := 0
			for afford < len(ids) && !affordable(budget, spent+afford+1, now).After(now) {
				afford++
			}
			ids = ids[:afford]
		}
		if err := r.Registry.Hasten(ctx, tx, h, ids); err != nil {
			return err
		}
	}
	return nil
}
