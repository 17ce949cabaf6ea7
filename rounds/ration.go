package rounds

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/registry"
	"github.com/keyrounds/keyrounds/verdict"
)

// ration takes out of what is due what its provider may not be asked for now, and moves it to when it
// may: nothing where it is passive, nobody sooner than min_interval, no more than the month's budget
// so far.
func (r *Rounds) ration(
	ctx context.Context,
	tx pgx.Tx,
	due []credential.Credential,
	providers map[string]checker.Provider,
	now time.Time,
) ([]credential.Credential, error) {
	var (
		allowed []credential.Credential
		later   []registry.Due
		spent   = map[string]int{}
	)
	for _, c := range due {
		p := providers[c.Provider]
		if p.Passive {
			at, why := Decide(c, p, verdict.State{}, Load{}, r.Registry.Zone(), now)
			later = append(later, registry.Due{ID: c.ID, At: at, Why: why})
			continue
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
		}
		load := Load{Requests: spent[p.Name]}
		at, why := Decide(c, p, verdict.State{}, load, r.Registry.Zone(), now)
		if scheduled, _ := c.Next(r.Registry.Zone(), now); !at.Equal(scheduled) {
			later = append(later, registry.Due{ID: c.ID, At: at, Why: why})
		}
		if !load.allows(p, now).After(now) {
			allowed = append(allowed, c)
		}
	}
	return allowed, r.Registry.Reschedule(ctx, tx, later)
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
