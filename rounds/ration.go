package rounds

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/registry"
)

// ration takes out of what is due what its provider may not be asked for now, and moves it to when it
// may: nothing where it is passive, nobody sooner than min_interval, no more than the month's budget
// so far.
func (r *Rounds) ration(ctx context.Context, tx pgx.Tx, due []credential.Credential, providers map[string]checker.Provider, now time.Time) ([]credential.Credential, error) {
	var (
		allowed []credential.Credential
		later   []registry.Due
		spent   = map[string]int{}
	)
	for _, c := range due {
		p := providers[c.Provider]
		if p.Passive {
			continue // the claim moved it on
		}
		if p.Budget > 0 {
			if _, known := spent[p.Name]; !known {
				n, err := r.Registry.Spent(ctx, tx, p.Name, now)
				if err != nil {
					return nil, err
				}
				spent[p.Name] = n
			}
			spent[p.Name]++
			if at := affordable(p.Budget, spent[p.Name], now); at.After(now) {
				later = append(later, registry.Due{ID: c.ID, At: at})
				continue
			}
		}
		if scheduled := r.Registry.Next(c, now); r.nextSlot(p, c, now).After(scheduled) {
			later = append(later, registry.Due{ID: c.ID, At: r.nextSlot(p, c, now)})
		}
		allowed = append(allowed, c)
	}
	return allowed, r.Registry.Reschedule(ctx, tx, later)
}

// nextSlot is the first slot of c's schedule that is not sooner than its provider's min_interval allows.
func (r *Rounds) nextSlot(p checker.Provider, c credential.Credential, now time.Time) time.Time {
	if p.MinInterval > time.Second {
		now = now.Add(p.MinInterval - time.Second) // a slot that comes just in time counts
	}
	return r.Registry.Next(c, now)
}

// budgetAhead is the share of a budget that may be spent before its time, for confirmations and for
// checks by hand.
const budgetAhead = 0.05

// affordable returns when the n-th request of now's month (UTC) may be made, where a budget is spread
// evenly over the month. Beyond the budget that is the next month's beginning.
func affordable(budget, n int, now time.Time) time.Time {
	y, m, _ := now.UTC().Date()
	begin, end := time.Date(y, m, 1, 0, 0, 0, 0, time.UTC), time.Date(y, m+1, 1, 0, 0, 0, 0, time.UTC)
	if n > budget {
		return end
	}
	ahead := max(1, budgetAhead*float64(budget))
	share := max(0, float64(n)-ahead) / float64(budget)
	return begin.Add(time.Duration(share * float64(end.Sub(begin))))
}
