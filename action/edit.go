package action

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/registry"
	"github.com/keyrounds/keyrounds/secret"
)

// If returns Actions whose Edit, Rotate and Retire ask match of the credential once it is locked: an error leaves it as it is,
// and is theirs.
func (a *Actions) If(match func(credential.Credential) error) *Actions {
	return &Actions{a.Options, match}
}

// fits locks a credential and asks whether it is as whoever asked expects.
func (a *Actions) fits(ctx context.Context, tx pgx.Tx, id int64) error {
	if a.match == nil {
		return nil
	}
	if err := a.Registry.Lock(ctx, tx, []int64{id}); err != nil {
		return err
	}
	c, err := a.Registry.Read(ctx, tx, id)
	if err != nil {
		return err
	}
	return a.match(c)
}

// Edit changes what is said of a credential, for actor: what edit makes of it, which must be valid, but for its provider, its
// client id and its secret, which Rotate changes. Nothing that differs: nothing is done. The error is a refusal where it is
// retired, or of the configuration file, and wraps registry.ErrNotFound where there is none of that name.
func (a *Actions) Edit(
	ctx context.Context, actor, name string, edit func(credential.Credential) (credential.Credential, error),
) (credential.Credential, error) {
	c, err := a.Editable(ctx, name)
	if err != nil {
		return c, err
	}
	err = a.register(ctx, actor, func(tx pgx.Tx) ([]registry.Change, error) {
		change, err := a.Registry.Edit(ctx, tx, name, func(old credential.Credential) (credential.Credential, error) {
			if a.match != nil {
				if err := a.match(old); err != nil {
					return old, err
				}
			}
			next, err := edit(old)
			next.Provider, next.Subject, next.Secret = old.Provider, old.Subject, old.Secret
			return next, err
		}, a.Now())
		if err != nil || change.What == "" {
			return nil, err
		}
		return []registry.Change{change}, nil
	})
	if err != nil {
		return c, err
	}
	return a.Registry.Get(ctx, name)
}

// Editable returns a credential that Edit would change, or the error that it would return for its name.
func (a *Actions) Editable(ctx context.Context, name string) (credential.Credential, error) {
	c, err := a.Registry.Get(ctx, name)
	switch {
	case err != nil:
		return c, err
	case !c.Retired.IsZero():
		return c, refusal(fmt.Sprintf("%q was retired: restore it first.", name))
	case c.Source == credential.FromFile:
		return c, refusal(fmt.Sprintf("%q is in the configuration file: change it there.", name))
	}
	return c, nil
}

// Restore registers a retired credential again, for actor, as it was, with a secret, since a retired one keeps none. v is sealed,
// and not wiped here. The error is a refusal where it is not retired, or was of the configuration file.
func (a *Actions) Restore(ctx context.Context, actor, name string, v secret.Value, first FirstCheck) error {
	c, err := a.Restorable(ctx, name)
	if err != nil {
		return err
	}
	if a.match != nil {
		if err := a.match(c); err != nil {
			return err
		}
	}
	return a.Add(ctx, actor, []credential.Credential{c}, []secret.Value{v}, first, nil)
}

// Restorable returns a credential that Restore would register again, or the error that it would return for its name.
func (a *Actions) Restorable(ctx context.Context, name string) (credential.Credential, error) {
	c, err := a.Registry.Get(ctx, name)
	switch {
	case err != nil:
		return c, err
	case c.Retired.IsZero():
		return c, refusal(fmt.Sprintf("%q is not retired.", name))
	case c.Source == credential.FromFile:
		return c, refusal(fmt.Sprintf("%q was in the configuration file: write it there again, and it is registered again.", name))
	}
	return c, nil
}

// Try asks the provider for a token with a secret for a credential, for actor: it says whether the secret would work. Nothing is
// judged by it, and neither secret nor token is kept. It counts as a request at the provider. The errors are those of
// rounds.Attempt.
func (a *Actions) Try(ctx context.Context, actor, name string, v secret.Value) (checker.Result, error) {
	c, err := a.Registry.Get(ctx, name)
	if err != nil {
		return checker.Result{}, err
	}
	if !c.Retired.IsZero() {
		return checker.Result{}, refusal(fmt.Sprintf("%q was retired: it is not tried any more.", name))
	}
	if err := a.Audit.Note(ctx, actor, "credential.tried", "credential/"+name, map[string]any{"provider": c.Provider}); err != nil {
		return checker.Result{}, err
	}
	token, result, err := a.Rounds.Attempt(ctx, c, v)
	token.Wipe()
	return result, err
}
