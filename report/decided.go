package report

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/decision"
)

// Rules of decisions in a report:
//
//  1. What is recommended stays as it is; a decision stands beside it.
//  2. A report shows what is decided when it is made, whatever month it is of. A frozen one keeps that.
//  3. A credential is undecided where its recommendation asks what becomes of it and no decision holds. Nobody decides away that a
//     canary was used.

// asking are the recommendations that ask what becomes of a credential.
var asking = []Recommendation{Revoke, Retire, Rotate, FindCaller, CheckJob, DropScopes}

// asks reports whether the recommendation asks what becomes of a credential.
func (r Row) asks() bool { return slices.Contains(asking, r.Recommendation) }

// tripped reports whether somebody used or tried a canary: no decision covers that.
func (r Row) tripped() bool { return r.Canary && r.Recommendation == Revoke }

// Holds reports whether a decision of it holds.
func (r Row) Holds() bool { return r.Decision != nil && !r.Decision.Over && !r.tripped() }

// decide takes in what is decided of a credential.
func (r *Row) decide(c credential.Credential, d decision.Decision, decided bool) {
	if decided {
		r.Decision = &Decision{d.Choice, d.Until.UTC(), d.Why, d.By, d.At.UTC().Truncate(time.Second), d.Over}
	}
	r.Undecided = r.asks() && !r.Holds() && c.Retired.IsZero()
}

// Words say a decision to a person, with why.
func (d Decision) Words() string {
	return decision.Decision{Choice: d.Choice, Until: d.Until, By: d.By, Over: d.Over}.Words() + ": " + d.Why
}

// count counts a credential that is decided, or undecided.
func (r *Report) count(row Row) {
	switch {
	case row.Undecided:
		r.Undecided++
	case row.Holds():
		r.Decided++
	}
}

// DecisionWords say how many are undecided, and how many decided; "": neither.
func (r *Report) DecisionWords() string {
	if r.Undecided+r.Decided == 0 {
		return ""
	}
	return fmt.Sprintf("%d undecided, %d decided", r.Undecided, r.Decided)
}

// decisions are what is decided of credentials at now, by their ids.
func (m *Maker) decisions(ctx context.Context, ids []int64, now time.Time) (map[int64]decision.Decision, error) {
	if m.Decisions == nil {
		return nil, nil
	}
	return m.Decisions.Of(ctx, m.Pool, now, ids)
}
