package rounds

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/secret"
)

// Exposure follows secrets that got out, and takes part in the rounds. It is safe for concurrent use.
type Exposure interface {
	// Seen is told each secret as it is read, before it is used.
	Seen(context.Context, credential.Credential, secret.Value)
	// Weigh returns the findings about leaks that results and other findings make, in their transaction.
	Weigh(context.Context, pgx.Tx, []checker.Result, []finding.Event) ([]finding.Event, error)
	// Died returns when the last former secret of these credentials was proven dead, of those that have one.
	Died(context.Context, pgx.Tx, []int64) (map[int64]time.Time, error)
	// Try is a tick: the secrets that got out are tried.
	Try(context.Context) error
}

// Follow has x take part in the rounds. Call it before Start and before the first check, or not at all: then nobody
// follows leaks.
func (r *Rounds) Follow(x Exposure) { r.exposure = x }

// nobody follows leaks.
type nobody struct{}

func (nobody) Seen(context.Context, credential.Credential, secret.Value)          {}
func (nobody) Died(context.Context, pgx.Tx, []int64) (map[int64]time.Time, error) { return nil, nil }
func (nobody) Try(context.Context) error                                          { return nil }
func (nobody) Weigh(context.Context, pgx.Tx, []checker.Result, []finding.Event) ([]finding.Event, error) {
	return nil, nil
}

func (r *Rounds) weigh(ctx context.Context, tx pgx.Tx, rs []checker.Result, events []finding.Event) ([]finding.Event, error) {
	more, err := r.exposure.Weigh(ctx, tx, rs, events)
	return append(events, more...), err
}

// ErrNoProbe says that a provider has no probe, so that no API can be asked whether a token works.
var ErrNoProbe = errors.New("the provider has no probe")

// Present asks whether an API still takes a token of Attempt (checker.Present). No token is requested, so of the
// protections only Passive and Ledger hold. token is not wiped here.
//
// Without a probe to ask with it is ErrNoProbe; a provider that is passive, or knows its clients by certificates, is
// ErrNotExchanged.
func (r *Rounds) Present(ctx context.Context, c credential.Credential, token secret.Value) (checker.TokenState, error) {
	if err := r.exchangeable(c); err != nil {
		return checker.TokenUnknown, err
	}
	p := r.settings.Load().Providers[c.Provider]
	if p.Passive {
		return checker.TokenUnknown, fmt.Errorf("the provider %q is passive: %w", p.Name, ErrNotExchanged)
	}
	if len(p.Probes) == 0 {
		return checker.TokenUnknown, ErrNoProbe
	}
	targets, err := r.intend(ctx, Order{Purpose: leaked, Provider: p.Name, Credentials: []credential.Credential{c}})
	if err != nil {
		return checker.TokenUnknown, err
	}
	return r.Checker.Present(ctx, p, targets[0], token), nil
}
