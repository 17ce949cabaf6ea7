package api

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/registry"
	"github.com/keyrounds/keyrounds/usage"
)

// UsageJSON is the answer to whether a credential is used, here and in the commands. Its names are a promise: scripts
// of users depend on them. DaysUnused and LastUsedAt are null where no use is known.
type UsageJSON struct {
	Credential     string     `json:"credential"`
	Provider       string     `json:"provider"`
	Owner          string     `json:"owner"`
	Usage          string     `json:"usage"`
	LastUsedAt     *time.Time `json:"last_used_at"`
	LastUsedFrom   string     `json:"last_used_from"`
	LastUsedBy     string     `json:"last_used_by"`
	DaysUnused     *int       `json:"days_unused"`
	Coverage       string     `json:"coverage"`
	CoverageReason string     `json:"coverage_reason"`
	Reason         string     `json:"reason"`
	UnusedScopes   []string   `json:"unused_scopes"`
	Rhythm         string     `json:"rhythm"`
	QuietHours     string     `json:"quiet_hours"`
	FirstUsedAt    *time.Time `json:"first_used_at"`
	Uses           int64      `json:"uses"`        // in the time that counts, by whole days
	NotAllowed     int64      `json:"not_allowed"` // in its months: the client was verified, what it asked for not allowed
	Attempts       int64      `json:"attempts"`    // that were refused, in the time that counts
	FirstAttemptAt *time.Time `json:"first_attempt_at"`
	LastAttemptAt  *time.Time `json:"last_attempt_at"`
}

// NewUsageJSON makes the JSON of an answer about c. w is where c was last used from; the zero Where: not known. Times
// are in UTC.
func NewUsageJSON(c credential.Credential, a usage.Answer, w usage.Where) UsageJSON {
	u := UsageJSON{
		Credential: c.Name, Provider: c.Provider, Owner: c.Owner, Usage: string(a.State), Coverage: a.Coverage(), Reason: a.Reason,
		UnusedScopes: append([]string{}, a.Unscoped...), Rhythm: a.Rhythm.String(), QuietHours: a.QuietHours,
		Attempts: a.Attempts, NotAllowed: a.NotAllowed,
	}
	if !a.FirstUse.IsZero() {
		first := a.FirstUse.UTC()
		u.FirstUsedAt = &first
	}
	if a.State == usage.NotKnown {
		u.CoverageReason = a.Reason
	}
	if !a.LastAttempt.IsZero() {
		first, last := a.FirstAttempt.UTC(), a.LastAttempt.UTC()
		u.FirstAttemptAt, u.LastAttemptAt = &first, &last
	}
	if !a.LastUse.IsZero() {
		at, days := a.LastUse.UTC(), a.DaysIdle
		u.LastUsedAt, u.DaysUnused, u.LastUsedBy = &at, &days, w.UserAgent
		switch {
		case w.Address.IsValid():
			u.LastUsedFrom = w.Address.String()
		case w.Network.IsValid() && w.Network != usage.Anywhere:
			u.LastUsedFrom = w.Network.String()
		}
	}
	return u
}

// Usages answers for each of cs, in their order, as of a time. It reads the database outside of any transaction.
func Usages(ctx context.Context, s *usage.Store, cs []credential.Credential, at time.Time) ([]UsageJSON, error) {
	book, err := s.Open(ctx, s.Pool, cs)
	if err != nil {
		return nil, err
	}
	return usages(ctx, s, book, cs, "", at)
}

// usages answers for those of cs whose state it is ("": any), which book is open at.
func usages(
	ctx context.Context, s *usage.Store, book *usage.Book, cs []credential.Credential, state usage.State, at time.Time,
) ([]UsageJSON, error) {
	var (
		chosen  []credential.Credential
		ids     []int64
		answers = map[int64]usage.Answer{}
	)
	for _, c := range cs {
		if a := book.Assess(c, at); state == "" || a.State == state {
			chosen, ids, answers[c.ID] = append(chosen, c), append(ids, c.ID), a
		}
	}
	all := []UsageJSON{}
	if len(chosen) == 0 {
		return all, nil
	}
	where, err := s.LastFrom(ctx, s.Pool, ids, at)
	if err != nil {
		return nil, err
	}
	in, err := s.InTime(ctx, s.Pool, answers, 0)
	for _, c := range chosen {
		u := NewUsageJSON(c, answers[c.ID], where[c.ID])
		u.Uses, u.Attempts = in[c.ID].Uses, in[c.ID].Attempts
		all = append(all, u)
	}
	return all, err
}

// UsageQuery chooses credentials that are not retired. The zero value chooses all.
type UsageQuery struct {
	registry.Choice
	State usage.State // "": any
}

// usagesAtOnce is how many credentials are held at once with what is known of their use.
const usagesAtOnce = 500

// EachUsage calls each for the credentials that q chooses, by name, as of a time. Where q.Limit leaves some out, next is the
// name that they come after. It reads the credentials in pages by name; a state is known only once it is judged, so where
// one is asked for, all those of other states are read as well.
func EachUsage(
	ctx context.Context, registered *registry.Store, used *usage.Store, at time.Time, q UsageQuery, each func(UsageJSON),
) (next string, err error) {
	page := q.Choice
	page.Limit = usagesAtOnce
	if q.Limit > 0 && q.State == "" {
		page.Limit = min(page.Limit, q.Limit+1)
	}
	var book *usage.Book
	for n := 0; ; {
		cs, err := registered.Choose(ctx, page)
		if err != nil || len(cs) == 0 {
			return "", err
		}
		if book == nil {
			book, err = used.Open(ctx, used.Pool, cs)
		} else {
			err = book.Turn(ctx, used.Pool, cs)
		}
		if err != nil {
			return "", err
		}
		all, err := usages(ctx, used, book, cs, q.State, at)
		if err != nil {
			return "", err
		}
		for _, u := range all {
			if q.Limit > 0 && n == q.Limit {
				return next, nil
			}
			each(u)
			n, next = n+1, u.Credential
		}
		if len(cs) < page.Limit {
			return "", nil
		}
		page.After = cs[len(cs)-1].Name
	}
}

// ParseUsageState reads the state that a list is asked for, as its status; "" is any. The error says which there are.
func ParseUsageState(s string) (usage.State, error) {
	if s == "" || slices.Contains(usage.States(), usage.State(s)) {
		return usage.State(s), nil
	}
	var states []string
	for _, known := range usage.States() {
		states = append(states, string(known))
	}
	return "", fmt.Errorf("status %q is none of %s", s, strings.Join(states, ", "))
}
