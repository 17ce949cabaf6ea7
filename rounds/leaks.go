package rounds

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/audit"
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

// Attempt exchanges a secret that may have got out, for the credential that it belongs or belonged to, and hands
// over the token, if one is issued. It is no check: nothing is judged by it. It is written down as our own use.
func (r *Rounds) Attempt(ctx context.Context, c credential.Credential, v secret.Value) (secret.Value, checker.Result, error) {
	p, t, err := r.attempted(ctx, c)
	if err != nil {
		return secret.Value{}, checker.Result{}, err
	}
	t.Secret = func(context.Context) (secret.Value, error) { return secret.New([]byte(v.Reveal())), nil } // which is wiped
	token, res := r.Checker.Token(ctx, p, t)
	return token, res, nil
}

// Present asks whether an API still takes a token of Attempt.
func (r *Rounds) Present(ctx context.Context, c credential.Credential, token secret.Value) (checker.TokenState, error) {
	p, t, err := r.attempted(ctx, c)
	if err != nil {
		return checker.TokenUnknown, err
	}
	return r.Checker.Present(ctx, p, t, token), nil
}

// ErrNotExchanged says that a provider's credentials are never exchanged, so that nothing can be tried there.
var ErrNotExchanged = errors.New("its credentials are never exchanged")

func (r *Rounds) attempted(ctx context.Context, c credential.Credential) (checker.Provider, checker.Target, error) {
	p, ok := r.settings.Load().Providers[c.Provider]
	switch {
	case !ok:
		return p, checker.Target{}, fmt.Errorf("the provider %q is not in the configuration", c.Provider)
	case p.Passive:
		return p, checker.Target{}, fmt.Errorf("the provider %q is passive: %w", c.Provider, ErrNotExchanged)
	case slices.Contains([]checker.AuthMethod{checker.TLSClientAuth, checker.SelfSignedTLSClientAuth}, p.AuthMethod):
		return p, checker.Target{}, fmt.Errorf("the provider %q knows its clients by certificates: %w here", c.Provider, ErrNotExchanged)
	}
	t := checker.Target{ID: uuid.Must(uuid.NewV7()), Credential: c}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	return p, t, r.Audit.Intend(ctx, []audit.Intent{{Check: t.ID, CredentialID: c.ID, At: r.Now()}})
}

// Resolve reads the secret that a credential has now.
func (r *Rounds) Resolve(ctx context.Context, c credential.Credential) (secret.Value, error) {
	return r.resolve(ctx, c)
}
