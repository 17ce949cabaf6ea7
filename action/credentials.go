package action

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/leak"
	"github.com/keyrounds/keyrounds/registry"
	"github.com/keyrounds/keyrounds/secret"
	"github.com/keyrounds/keyrounds/usage/feed"
)

// Sync makes the registry what the configuration file says: credentials are added, changed and retired. passive are
// the providers whose credentials are never checked. It is done for actor: the daemon, at its start and at a reload, or who runs a
// command where no daemon runs.
//
// Credentials, feeds and passive providers are a transaction each, in this order: after an error those before it are
// done, and Sync can be called again. *registry.ConflictError says that a command registered one of creds.
func (a *Actions) Sync(
	ctx context.Context, actor string, creds []credential.Credential, feeds []feed.Feed, passive []string,
) error {
	err := a.register(ctx, actor, func(tx pgx.Tx) ([]registry.Change, error) {
		return a.Registry.Sync(ctx, tx, creds, a.Now())
	})
	if err == nil {
		err = a.inTx(ctx, func(tx pgx.Tx) error { return a.Usage.Sync(ctx, tx, feeds, a.Now()) })
	}
	if err != nil || len(passive) == 0 {
		return err
	}
	return a.inTx(ctx, func(tx pgx.Tx) error { return a.Audit.Watch(ctx, tx, passive, a.Now()) })
}

// Add registers credentials with their secrets, all or none, for actor. secrets has one for each of creds, in their
// order; they are sealed, and not wiped here. creds must be valid. An error that a name exists, or that nothing can
// be sealed, registers none. copied is told how many are on their way to the database; nil: nobody
// is.
func (a *Actions) Add(
	ctx context.Context,
	actor string,
	creds []credential.Credential,
	secrets []secret.Value,
	first FirstCheck,
	copied func(n int),
) error {
	return a.register(ctx, actor, func(tx pgx.Tx) ([]registry.Change, error) {
		sealer, err := a.Sealing.Hold(ctx, tx)
		if err != nil {
			return nil, err
		}
		sealed := slices.Clone(creds)
		for i := range sealed {
			sealed[i].Secret = secret.Sealed
			if sealed[i].Sealed, err = sealer.Seal(secrets[i], sealed[i].Name); err != nil {
				return nil, err
			}
		}
		changes, err := a.Registry.Add(ctx, tx, sealed, a.Now(), copied)
		if err != nil {
			return nil, err
		}
		return changes, a.postpone(ctx, tx, first, changes...)
	})
}

// Rotate replaces the sealed secret of a credential for actor, and its client id where clientID is not "". expires is when
// the new secret ends by itself; zero: that is not known. The old
// secret is kept, sealed, until it is proven dead (leak.Store.Keep says how long otherwise), unless it cannot be
// opened any more. v is not wiped here.
//
// A secret that is named by a reference into the host is changed there instead: *HostSecretError. A client id of the
// configuration file is changed there as well. The error wraps registry.ErrNotFound where there is no such
// credential.
func (a *Actions) Rotate(
	ctx context.Context,
	actor, name, clientID string,
	expires time.Time,
	v secret.Value,
	first FirstCheck,
) error {
	if _, err := a.Rotatable(ctx, name, clientID, expires); err != nil {
		return err
	}
	c, err := a.Registry.Get(ctx, name)
	if err != nil {
		return err
	}
	worked, err := a.everWorked(ctx, c)
	if err != nil {
		return err
	}
	return a.register(ctx, actor, func(tx pgx.Tx) ([]registry.Change, error) {
		if err := a.fits(ctx, tx, c.ID); err != nil {
			return nil, err
		}
		if (clientID == "" || clientID == c.Subject) && a.sealedAlready(c, v) {
			return nil, refusal("it is the secret that " + strconv.Quote(name) + " has already: nothing was rotated")
		}
		if err := a.keepOld(ctx, tx, c, v, worked); err != nil {
			return nil, err
		}
		sealer, err := a.Sealing.Hold(ctx, tx)
		if err != nil {
			return nil, err
		}
		sealed, err := sealer.Seal(v, name)
		if err != nil {
			return nil, err
		}
		change, err := a.Registry.Rotate(ctx, tx, name, clientID, expires, sealed, a.Now())
		if err != nil {
			return nil, err
		}
		return []registry.Change{change}, a.postpone(ctx, tx, first, change)
	})
}

// sealedAlready says whether a credential has this secret already.
func (a *Actions) sealedAlready(c credential.Credential, v secret.Value) bool {
	old, err := a.Sealing.Open(c.Sealed, c.Name)
	if err != nil {
		return false
	}
	defer old.Wipe()
	return old.Equal(v)
}

// Rotatable is a credential as Rotate would make it. The errors are those of Rotate.
func (a *Actions) Rotatable(ctx context.Context, name, clientID string, expires time.Time) (credential.Credential, error) {
	c, err := a.Registry.Get(ctx, name)
	switch {
	case err != nil:
		return c, err
	case !c.Retired.IsZero():
		return c, refusal(fmt.Sprintf("%q was retired on %s: nothing rotates it any more", name, c.Retired.UTC().Format(time.DateOnly)))
	case c.Secret != secret.Sealed:
		return c, &HostSecretError{c}
	case clientID != "" && clientID != c.Subject && c.Source == credential.FromFile:
		return c, refusal(fmt.Sprintf("the client id of %q is in the configuration file: change it there", name))
	case !expires.IsZero() && c.Source == credential.FromFile:
		return c, refusal(fmt.Sprintf("when %q expires is said in the configuration file: change it there", name))
	}
	if clientID != "" {
		c.Subject, c.KeyID = clientID, ""
		for _, p := range c.Validate() {
			if p.Field == "client_id" {
				return c, refusal("it is " + p.Message + "; it may be " + p.Hint)
			}
		}
	}
	if c.Source != credential.FromFile {
		c.Expires = expires
	}
	return c, nil
}

// HostSecretError says that a secret is named by a reference into the host, so that nothing here can replace it.
type HostSecretError struct{ Credential credential.Credential }

func (e *HostSecretError) Error() string {
	return fmt.Sprintf(
		"the secret of %q is read from %s: change it there, or write \"secret: sealed:\" in the file first",
		e.Credential.Name,
		e.Credential.Secret,
	)
}

// Public says so to whoever asked.
func (e *HostSecretError) Public() string { return e.Error() }

// keepOld keeps the secret that next replaces. One that cannot be opened any more cannot be kept.
func (a *Actions) keepOld(ctx context.Context, tx pgx.Tx, c credential.Credential, next secret.Value, worked bool) error {
	if err := a.Registry.Lock(ctx, tx, []int64{c.ID}); err != nil || c.Sealed == nil {
		return err
	}
	old, err := a.Sealing.Open(c.Sealed, c.Name)
	if err != nil || old.Equal(next) {
		return nil
	}
	defer old.Wipe()
	return a.Leaks.Keep(ctx, tx, c, old, worked, a.Now())
}

// everWorked reports whether the present secret of a credential was ever seen to work; where nothing is known of it, it was.
func (a *Actions) everWorked(ctx context.Context, c credential.Credential) (bool, error) {
	st, known, err := a.Audit.StandingOf(ctx, c.ID)
	return !known || !st.NeverHealthy(), err
}

// Retire ends the registration of a credential for actor, and resolves its findings but that it leaked. A secret that
// got out is kept until it is proven dead (leak.Store.Keep). It does nothing at the provider.
//
// One of the configuration file, which leaves by leaving it, and one that is retired already are errors. The error
// wraps registry.ErrNotFound where there is no such credential.
func (a *Actions) Retire(ctx context.Context, actor, name string) error {
	c, err := a.Retirable(ctx, name)
	if err != nil {
		return err
	}
	secrets, err := a.Leaks.Secrets(ctx, c.ID)
	if err != nil {
		return err
	}
	return a.register(ctx, actor, func(tx pgx.Tx) ([]registry.Change, error) {
		if err := a.fits(ctx, tx, c.ID); err != nil {
			return nil, err
		}
		if slices.ContainsFunc(secrets, func(r leak.SecretRow) bool { return r.Leaked && r.Replaced.IsZero() && r.Dead.IsZero() }) {
			if err := a.keepOld(ctx, tx, c, secret.Value{}, true); err != nil {
				return nil, err
			}
		}
		change, err := a.Registry.Retire(ctx, tx, name, a.Now())
		return []registry.Change{change}, err
	})
}

// Retirable returns a credential that Retire would retire, or the error that it would return for its name.
func (a *Actions) Retirable(ctx context.Context, name string) (credential.Credential, error) {
	c, err := a.Registry.Get(ctx, name)
	switch {
	case err != nil:
		return c, err
	case !c.Retired.IsZero():
		return c, refusal(fmt.Sprintf("the credential %q is retired already", name))
	case c.Source == credential.FromFile:
		return c, refusal(fmt.Sprintf("the credential %q is in the configuration file: take it out there, and it is retired", name))
	}
	return c, nil
}

// register changes the registry, and in the same transaction what hangs on it: states begin or
// end, the findings of what is retired close, and the record says who did it.
func (a *Actions) register(ctx context.Context, actor string, change func(pgx.Tx) ([]registry.Change, error)) error {
	return a.inTx(ctx, func(tx pgx.Tx) error {
		now := a.Now()
		changes, err := change(tx)
		if err != nil {
			return err
		}
		if len(changes) == 0 {
			return nil
		}
		var (
			tracked = make([]audit.Tracked, len(changes))
			entries = make([]audit.Entry, len(changes))
			retired []finding.Subject
			gone    []int64 // were retired
			anew    []int64 // are registered again
		)
		for i, c := range changes {
			cred := c.Credential
			subject := finding.Subject{Credential: cred.Name, CredentialID: cred.ID, Provider: cred.Provider}
			tracked[i] = audit.Tracked{
				CredentialID: cred.ID, Credential: cred.Name, Provider: cred.Provider, Anew: c.Anew, Retired: c.What == registry.Retired,
			}
			entries[i], err = audit.NewEntry(
				now,
				actor,
				"credential."+c.What,
				subject.Key(),
				map[string]any{"fields": c.Fields, "provider": cred.Provider, "source": cred.Source},
			)
			if err != nil {
				return err
			}
			switch c.What {
			case registry.Retired:
				retired, gone = append(retired, subject), append(gone, cred.ID)
			case registry.Revived:
				anew = append(anew, cred.ID)
			}
		}
		if err := a.Audit.Append(ctx, tx, entries...); err != nil {
			return err
		}
		if _, err := a.Audit.CloseAll(ctx, tx, actor, retired, now, "the credential was retired"); err != nil {
			return err
		}
		if err := a.Audit.Track(ctx, tx, tracked, now); err != nil {
			return err
		}
		if err := a.undecide(ctx, tx, gone, anew); err != nil {
			return err
		}
		return a.Rounds.JudgeSoon(ctx, tx)
	})
}
