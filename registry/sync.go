package registry

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
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
// It returns what changed, in the order of the file, then the retired ones by name. Nothing differs: none, and nothing is
// written.
//
// Credentials that a command added are not touched, and one of theirs that is not retired, with the name of one in
// the file, is a *ConflictError. One sync at a time runs, over all replicas. It locks the credentials that differ, by
// id, and no others. file must have each name once. An error leaves tx to be rolled back.
func (s *Store) Sync(ctx context.Context, tx pgx.Tx, file []credential.Credential, now time.Time) ([]Change, error) {
	p, err := s.compare(ctx, tx, incoming{file, credential.FromFile, now, nil})
	if err != nil {
		return nil, err
	}
	for _, c := range file {
		if old := p.old[c.Name]; old.ID != 0 && old.Source != credential.FromFile && old.Retired.IsZero() {
			return nil, &ConflictError{c.Name}
		}
	}
	changes, err := s.write(ctx, tx, p)
	if err != nil || len(p.left) == 0 {
		return changes, err
	}
	slices.SortFunc(p.left, func(a, b credential.Credential) int { return strings.Compare(a.Name, b.Name) })
	for i := range p.left {
		p.left[i].Retired, p.left[i].Sealed = now, nil
		changes = append(changes, Change{What: Retired, Credential: p.left[i]})
	}
	return changes, retire(ctx, tx, p.left, now)
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

// Add registers credentials that a command or the API brought, in tx, all or none, and returns what changed in their
// order; their first checks are due at now. A name that exists is an error; one that is retired is taken over, with its id
// and history. cs must be valid, have their sealed secrets, and each name once. copied is told how many are on their way
// to the database; nil: nobody is.
func (s *Store) Add(
	ctx context.Context, tx pgx.Tx, cs []credential.Credential, now time.Time, copied func(n int),
) ([]Change, error) {
	p, err := s.compare(ctx, tx, incoming{cs, credential.FromCommand, now, copied})
	if err != nil {
		return nil, err
	}
	for _, c := range cs {
		if old := p.old[c.Name]; old.ID != 0 && old.Retired.IsZero() {
			return nil, fmt.Errorf("the credential %q %w", c.Name, ErrExists)
		}
	}
	return s.write(ctx, tx, p)
}

// ErrExists is wrapped by the errors of Add for a name that is registered and not retired.
var ErrExists = errors.New("exists already")

// Edit makes of a credential that a command or the API brought what edit makes of it, in tx. Its sealed secret stays; edit is
// called once it is locked, and its error is Edit's. The zero Change: nothing differs. The error wraps ErrNotFound where there is
// none of that name.
func (s *Store) Edit(
	ctx context.Context, tx pgx.Tx, name string, edit func(credential.Credential) (credential.Credential, error), now time.Time,
) (Change, error) {
	if _, err := tx.Exec(ctx, lockSQL); err != nil { // before the row, as compare does
		return Change{}, err
	}
	c, err := s.forUpdate(ctx, tx, name)
	if err == nil {
		c, err = edit(c)
	}
	if err != nil {
		return Change{}, err
	}
	c.Sealed = nil
	p, err := s.compare(ctx, tx, incoming{[]credential.Credential{c}, credential.FromCommand, now, nil})
	if err != nil {
		return Change{}, err
	}
	changes, err := s.write(ctx, tx, p)
	if err != nil || len(changes) == 0 {
		return Change{}, err
	}
	return changes[0], nil
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
	if clientID != "" && clientID != c.Subject {
		c.Subject, fields = clientID, append(fields, "client_id")
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
		c.Subject,
		c.NextWhy,
		nullTime(c.Expires),
	)
	if err == nil && c.Subject != old.Subject {
		err = keepClients(ctx, tx, []former{{old.ID, old.Provider, old.Subject}}, now)
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
	c.Retired, c.Sealed = now, nil
	return Change{What: Retired, Credential: c}, retire(ctx, tx, []credential.Credential{c}, now)
}

func retire(ctx context.Context, tx pgx.Tx, cs []credential.Credential, now time.Time) error {
	ids := make([]int64, len(cs))
	for i, c := range cs {
		ids[i] = c.ID
	}
	_, err := tx.Exec(ctx, `UPDATE credentials SET retired_at = $2, sealed_secret = NULL WHERE id = ANY($1)`, ids, now)
	return err
}

// forUpdate returns the locked row, or ErrNotFound.
func (s *Store) forUpdate(ctx context.Context, tx pgx.Tx, name string) (credential.Credential, error) {
	if _, err := tx.Exec(ctx, `SELECT FROM credentials WHERE name = $1 FOR UPDATE`, name); err != nil {
		return credential.Credential{}, err
	}
	return get(ctx, tx, name)
}

// change says what registering c over old, the zero Credential where there is none, comes to, with what is known of old
// kept. An empty What: nothing differs.
func (s *Store) change(old, c credential.Credential, now time.Time) Change {
	change := Change{Fields: differences(old, c)}
	switch {
	case old.ID == 0:
		change.What, change.Anew = Added, true
		c.Registered = now
	case !old.Retired.IsZero():
		change.What, change.Anew = Revived, true
		c.Registered = old.Registered
	case len(change.Fields) == 0:
		return Change{}
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
	change.Credential = c
	return change
}

// former is what a credential was before it changed.
type former struct {
	id                 int64
	provider, clientID string
}

// keepClients remembers the client ids that credentials had before.
func keepClients(ctx context.Context, tx pgx.Tx, fs []former, now time.Time) error {
	fs = slices.DeleteFunc(fs, func(f former) bool { return f.clientID == "" }) // of an API key that had no name
	if len(fs) == 0 {
		return nil
	}
	ids, providers, clients := make([]int64, len(fs)), make([]string, len(fs)), make([]string, len(fs))
	for i, f := range fs {
		ids[i], providers[i], clients[i] = f.id, f.provider, f.clientID
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO credential_clients (credential_id, provider, client_id, until)
		SELECT id, provider, client_id, $4 FROM unnest($1::bigint[], $2::text[], $3::text[]) AS f (id, provider, client_id)
		ON CONFLICT (provider, client_id, credential_id) DO UPDATE SET until = excluded.until`, ids, providers, clients, now)
	return err
}

// whyNew: its first answer is wanted at once.
const whyNew = "at once, since it is new here, or its client id, secret or provider changed"

func differences(a, b credential.Credential) []string {
	var fields []string
	add := func(differ bool, name string) {
		if differ {
			fields = append(fields, name)
		}
	}
	add(a.Provider != b.Provider, "provider")
	add(a.Subject != b.Subject, "client_id")
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
