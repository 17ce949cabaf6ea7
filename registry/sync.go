package registry

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/secret"
)

// What a Change did.
const (
	Added   = "added"
	Changed = "changed"
	Rotated = "rotated"
	Retired = "retired"
	Revived = "revived" // registered again after it was retired
)

// Change is one thing that happened to a credential. The zero value, with What "", is that nothing did.
type Change struct {
	What       string
	Credential credential.Credential
	Fields     []string // that changed
	Anew       bool     // what was known of it no longer counts: another client, secret or provider
}

// Sync makes the credentials of the file those that are given, in tx: adds, changes, and retires the ones that left.
// It returns what changed, in the order of the file, then the retired ones by name. Nothing differs: none.
//
// Credentials that a command added are not touched, and one of theirs that is not retired, with the name of one in
// the file, is a *ConflictError. One sync at a time runs, over all replicas, and it locks every credential until tx
// ends. An error leaves tx to be rolled back.
func (s *Store) Sync(ctx context.Context, tx pgx.Tx, file []credential.Credential, now time.Time) ([]Change, error) {
	// One sync at a time, or two replicas would add the same rows.
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtext('keyrounds: registry.Sync'))`); err != nil {
		return nil, err
	}
	all, err := collect(ctx, tx, `SELECT `+columns+` FROM credentials ORDER BY id FOR UPDATE`)
	if err != nil {
		return nil, err
	}
	have := map[string]credential.Credential{}
	for _, c := range all {
		have[c.Name] = c
	}
	var changes []Change
	for _, c := range file {
		c.Source = credential.FromFile
		old, exists := have[c.Name]
		if exists && old.Source != credential.FromFile && old.Retired.IsZero() {
			return nil, &ConflictError{c.Name}
		}
		change, err := s.put(ctx, tx, old, c, now)
		if err != nil {
			return nil, err
		}
		if change.What != "" {
			changes = append(changes, change)
		}
		delete(have, c.Name)
	}
	for _, name := range slices.Sorted(maps.Keys(have)) {
		if c := have[name]; c.Source == credential.FromFile && c.Retired.IsZero() {
			if err := s.retire(ctx, tx, &c, now); err != nil {
				return nil, err
			}
			changes = append(changes, Change{What: Retired, Credential: c})
		}
	}
	return changes, nil
}

// ConflictError says that the file and a command name the same credential.
type ConflictError struct{ Name string }

func (e *ConflictError) Error() string {
	return fmt.Sprintf("the credential %q of the file is already registered by a command", e.Name)
}

// Hint says what a person does about it: rename the one, or retire the other.
func (e *ConflictError) Hint() string {
	return fmt.Sprintf("rename it in the file, or retire the other one: keyrounds credentials retire %s", e.Name)
}

// Add registers a credential that a command or the API brought, in tx; its first check is due at now. A name that
// exists is an error; one that is retired is taken over, with its id and history. c must be valid and have its sealed
// secret.
func (s *Store) Add(ctx context.Context, tx pgx.Tx, c credential.Credential, now time.Time) (Change, error) {
	c.Source = credential.FromCommand
	old, err := s.forUpdate(ctx, tx, c.Name)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return Change{}, err
	}
	if old.ID != 0 && old.Retired.IsZero() {
		return Change{}, fmt.Errorf("the credential %q exists already", c.Name)
	}
	return s.put(ctx, tx, old, c, now)
}

// Rotate replaces the sealed secret of a credential, and its client id where clientID is not "", in tx. expires is when
// the new one ends, zero where that is not said; the configuration file's word stays. Its next
// check is due at now, and what was known of it no longer counts (Change.Anew). It asks neither how its secret is
// named, which package action does, nor whether it is retired. The error wraps ErrNotFound where there is none of
// that name.
func (s *Store) Rotate(
	ctx context.Context,
	tx pgx.Tx,
	name, clientID string,
	expires time.Time,
	sealed []byte,
	now time.Time,
) (Change, error) {
	c, err := s.forUpdate(ctx, tx, name)
	if err != nil {
		return Change{}, err
	}
	fields, old := []string{"secret"}, c
	if clientID != "" && clientID != c.ClientID {
		c.ClientID, fields = clientID, append(fields, "client_id")
	}
	c.Sealed, c.Changed, c.NextCheck, c.NextWhy = sealed, now, now, whyNew
	c.KeyID = "" // the new secret is another key
	if c.Source != credential.FromFile && !c.Expires.Equal(expires) {
		c.Expires, fields = expires, append(fields, "expires")
	}
	_, err = tx.Exec(
		ctx,
		`UPDATE credentials SET sealed_secret = $2, changed_at = $3, next_check_at = $3, client_id = $4, next_check_why = $5,
			key_id = '', expires_at = $6 WHERE id = $1`,
		c.ID,
		sealed,
		now,
		c.ClientID,
		c.NextWhy,
		nullTime(c.Expires),
	)
	if err == nil {
		err = keepClient(ctx, tx, old, c, now)
	}
	return Change{What: Rotated, Credential: c, Fields: fields, Anew: true}, err
}

// Retire ends the registration of a credential, in tx. Its history stays; a sealed secret is deleted. One that is
// retired already is retired anew, at now. The error wraps ErrNotFound where there is none of that name.
func (s *Store) Retire(ctx context.Context, tx pgx.Tx, name string, now time.Time) (Change, error) {
	c, err := s.forUpdate(ctx, tx, name)
	if err != nil {
		return Change{}, err
	}
	return Change{What: Retired, Credential: c}, s.retire(ctx, tx, &c, now)
}

func (s *Store) retire(ctx context.Context, tx pgx.Tx, c *credential.Credential, now time.Time) error {
	c.Retired, c.Sealed = now, nil
	_, err := tx.Exec(ctx, `UPDATE credentials SET retired_at = $2, sealed_secret = NULL WHERE id = $1`, c.ID, now)
	return err
}

// forUpdate returns the locked row, or ErrNotFound.
func (s *Store) forUpdate(ctx context.Context, tx pgx.Tx, name string) (credential.Credential, error) {
	if _, err := tx.Exec(ctx, `SELECT FROM credentials WHERE name = $1 FOR UPDATE`, name); err != nil {
		return credential.Credential{}, err
	}
	return get(ctx, tx, name)
}

// put writes c over old, which is the zero Credential where there is none. An empty What: nothing
// differs.
func (s *Store) put(ctx context.Context, tx pgx.Tx, old, c credential.Credential, now time.Time) (Change, error) {
	change := Change{Fields: differences(old, c)}
	switch {
	case old.ID == 0:
		change.What, change.Anew = Added, true
		c.Registered = now
	case !old.Retired.IsZero():
		change.What, change.Anew = Revived, true
		c.Registered = old.Registered
	case len(change.Fields) == 0:
		return Change{}, nil
	default:
		change.What = Changed
		c.Registered = old.Registered
		change.Anew = slices.ContainsFunc(
			change.Fields,
			func(f string) bool { return f == "client_id" || f == "secret" || f == "provider" },
		)
	}
	c.Changed, c.NextCheck, c.NextWhy = old.Changed, old.NextCheck, old.NextWhy
	if change.Anew {
		c.Changed = now
	}
	switch {
	case change.Anew:
		c.NextCheck, c.NextWhy = now, whyNew
	case slices.Contains(change.Fields, "schedule"):
		c.NextCheck, c.NextWhy = c.Next(s.zone, now)
	}
	if c.Secret == secret.Sealed && c.Sealed == nil && old.Secret == secret.Sealed {
		c.Sealed = old.Sealed // another field changed
	}
	err := tx.QueryRow(ctx, putSQL, c.Name, c.Provider, c.ClientID, c.Secret.String(), c.Sealed, c.Description, orEmpty(c.Scopes), c.Owner,
		labels(c), c.Schedule, c.UnusedAfter, c.MaxAge, nullTime(c.Created), c.Canary, orEmpty(c.ExpectedNetworks), c.Source,
		c.Registered, c.Changed, c.NextCheck, c.NextWhy, c.KeyID, nullTime(c.Expires), c.KeyPassphrase.String()).Scan(&c.ID)
	change.Credential = c
	if err == nil {
		err = keepClient(ctx, tx, old, c, now)
	}
	return change, err
}

// keepClient remembers the client id that a credential had before.
func keepClient(ctx context.Context, tx pgx.Tx, old, c credential.Credential, now time.Time) error {
	if old.ID == 0 || old.ClientID == c.ClientID && old.Provider == c.Provider {
		return nil
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO credential_clients (credential_id, provider, client_id, until) VALUES ($1, $2, $3, $4)
		ON CONFLICT (provider, client_id, credential_id) DO UPDATE SET until = excluded.until`, c.ID, old.Provider, old.ClientID, now)
	return err
}

// whyNew: its first answer is wanted at once.
const whyNew = "at once, since it is new here, or its client id, secret or provider changed"

const putSQL = `
	INSERT INTO credentials (name, provider, client_id, secret_ref, sealed_secret, description, scopes, owner, labels, schedule,
		unused_after, max_age, created_on, canary, expected_networks, source, registered_at, changed_at, next_check_at, next_check_why,
		key_id, expires_at, key_passphrase_ref)
	VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23)
	ON CONFLICT (name) DO UPDATE SET
		provider = excluded.provider, client_id = excluded.client_id,
		secret_ref = excluded.secret_ref, sealed_secret = excluded.sealed_secret,
		description = excluded.description, scopes = excluded.scopes, owner = excluded.owner, labels = excluded.labels,
		schedule = excluded.schedule, unused_after = excluded.unused_after, max_age = excluded.max_age, created_on = excluded.created_on,
		canary = excluded.canary, expected_networks = excluded.expected_networks, source = excluded.source,
		changed_at = excluded.changed_at, next_check_at = excluded.next_check_at,
		next_check_why = excluded.next_check_why, key_id = excluded.key_id, expires_at = excluded.expires_at,
		key_passphrase_ref = excluded.key_passphrase_ref, retired_at = NULL
	RETURNING id`

func differences(a, b credential.Credential) []string {
	var fields []string
	add := func(differ bool, name string) {
		if differ {
			fields = append(fields, name)
		}
	}
	add(a.Provider != b.Provider, "provider")
	add(a.ClientID != b.ClientID, "client_id")
	add(a.KeyID != b.KeyID, "key_id")
	add(a.Secret != b.Secret || b.Sealed != nil, "secret")
	add(a.KeyPassphrase != b.KeyPassphrase, "key_passphrase")
	add(a.Description != b.Description, "description")
	add(!slices.Equal(a.Scopes, b.Scopes), "scopes")
	add(a.Owner != b.Owner, "owner")
	add(!maps.Equal(a.Labels, b.Labels), "labels")
	add(a.Schedule != b.Schedule, "schedule")
	add(a.UnusedAfter != b.UnusedAfter, "unused_after")
	add(a.MaxAge != b.MaxAge, "max_age")
	add(!a.Created.Equal(b.Created), "created")
	add(!a.Expires.Equal(b.Expires), "expires")
	add(a.Canary != b.Canary, "canary")
	add(!slices.Equal(a.ExpectedNetworks, b.ExpectedNetworks), "expected_networks")
	return fields
}

func labels(c credential.Credential) map[string]string {
	if c.Labels == nil {
		return map[string]string{}
	}
	return c.Labels
}

func orEmpty[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

func nullTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
