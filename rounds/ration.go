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

// ration takes out of what was leased what its provider may not be asked for now, and moves it to when it may, which
// ends the lease: everything where the provider is passive, and what is more than the month's budget so far.
func (r *Rounds) ration(
	ctx context.Context,
	tx pgx.Tx,
	due []registry.Leased,
	p checker.Provider,
	now time.Time,
) ([]registry.Leased, error) {
	var (
		allowed []registry.Leased
		later   []registry.Settled
		spent   int
		err     error
	)
	if p.Budget > 0 {
		if spent, err = r.Registry.Spent(ctx, tx, p.Name, now); err != nil {
			return nil, err
		}
	}
	for _, l := range due {
		spent++
		load := Load{Requests: spent}
		if !p.Passive && !load.allows(p, now).After(now) {
			allowed = append(allowed, l)
			continue
		}
		at, why := Decide(l.Credential, p, verdict.State{}, load, r.schedules, now)
		later = append(later, settled(l.Credential, l.Lease, at, why))
	}
	return allowed, r.Registry.Settle(ctx, tx, later)
}

// settled says when c is due after a check, or after none was allowed.
func settled(c credential.Credential, l registry.Lease, at time.Time, why string) registry.Settled {
	return registry.Settled{Due: registry.Due{ID: c.ID, At: at, Why: why}, Was: c.NextCheck, Lease: l.Number}
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
