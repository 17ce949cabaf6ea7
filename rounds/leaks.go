package rounds

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/secret"
)

// Leaks is how those who follow leaks take part in the rounds.
type Leaks struct {
	// Seen is told each secret as it is read, before it is used.
	Seen func(context.Context, credential.Credential, secret.Value)
	// Weigh returns the findings about leaks that results and other findings make, in their transaction.
	Weigh func(context.Context, pgx.Tx, []checker.Result, []finding.Event) ([]finding.Event, error)
	// Try is a tick: the secrets that got out are tried.
	Try func(context.Context) error
}

func (r *Rounds) weigh(ctx context.Context, tx pgx.Tx, rs []checker.Result, events []finding.Event) ([]finding.Event, error) {
	if r.Leaks.Weigh == nil {
		return events, nil
	}
	more, err := r.Leaks.Weigh(ctx, tx, rs, events)
	return append(events, more...), err
}

// Present asks whether an API still takes a token of Attempt.
func (r *Rounds) Present(ctx context.Context, c credential.Credential, token secret.Value) (checker.TokenState, error) {
	if err := r.exchangeable(c); err != nil {
		return checker.TokenUnknown, err
	}
	p := r.settings.Load().Providers[c.Provider]
	if p.Passive {
		return checker.TokenUnknown, fmt.Errorf("the provider %q is passive: %w", p.Name, ErrNotExchanged)
	}
	targets, err := r.intend(ctx, Order{Purpose: leaked, Provider: p.Name, Credentials: []credential.Credential{c}})
	if err != nil {
		return checker.TokenUnknown, err
	}
	return r.Checker.Present(ctx, p, targets[0], token), nil
}
