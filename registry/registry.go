// Package registry keeps the credentials in Postgres: who they are and when each is due.
//
// It knows nothing of what checks say; the package audit does.
package registry

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/secret"
)

// ErrNotFound is wrapped by the errors for a name or an id that was never registered.
var ErrNotFound = errors.New("no such credential")

// Store is the registry. Schedules are in its zone. It is safe for concurrent use, also by several replicas. Methods
// that take a transaction take effect when it commits; the others read, or have their own.
type Store struct {
	pool *pgxpool.Pool
	zone *time.Location
}

// New makes a Store whose schedules are in zone, which must not be nil. It does not ask the database.
func New(pool *pgxpool.Pool, zone *time.Location) *Store { return &Store{pool, zone} }

const columns = `id, name, provider, client_id, secret_ref, sealed_secret, description, scopes, owner, labels, schedule,
	unused_after, max_age, created_on, canary, expected_networks, source, registered_at, changed_at, retired_at,
	next_check_at, next_check_why, key_id, expires_at, key_passphrase_ref`

func scan(row pgx.CollectableRow) (c credential.Credential, err error) {
	var (
		ref, passphrase           string
		created, retired, expires *time.Time
		networks                  []netip.Prefix
	)
	err = row.Scan(&c.ID, &c.Name, &c.Provider, &c.Subject, &ref, &c.Sealed, &c.Description, &c.Scopes, &c.Owner, &c.Labels, &c.Schedule,
		&c.UnusedAfter, &c.MaxAge, &created, &c.Canary, &networks, &c.Source, &c.Registered, &c.Changed, &retired, &c.NextCheck, &c.NextWhy,
		&c.KeyID, &expires, &passphrase)
	if err != nil {
		return c, err
	}
	c.ExpectedNetworks = networks
	if created != nil {
		c.Created = *created
	}
	if expires != nil {
		c.Expires = expires.UTC()
	}
	if retired != nil {
		c.Retired = *retired
	}
	if passphrase != "" {
		if c.KeyPassphrase, err = secret.ParseReference(passphrase); err != nil {
			return c, err
		}
	}
	c.Secret, err = secret.ParseReference(ref)
	return c, err
}

// Querier is a pool or a transaction, for methods that read in either.
type Querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

func collect(ctx context.Context, q Querier, sql string, args ...any) ([]credential.Credential, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scan)
}

// List returns the credentials, sorted by name; retired ones only if asked for. Secrets are sealed or references in
// them.
func (s *Store) List(ctx context.Context, retired bool) ([]credential.Credential, error) {
	return collect(ctx, s.pool, `SELECT `+columns+` FROM credentials WHERE $1 OR retired_at IS NULL ORDER BY name`, retired)
}

// Page returns up to limit credentials, sorted by name, of those whose name is after that one; retired ones only if asked for.
// "" is before all.
func (s *Store) Page(ctx context.Context, retired bool, after string, limit int) ([]credential.Credential, error) {
	return collect(ctx, s.pool, `
		SELECT `+columns+` FROM credentials WHERE name > $2 AND ($1 OR retired_at IS NULL) ORDER BY name LIMIT $3`, retired, after, limit)
}

// Choice chooses credentials that are not retired, and a page of them. The zero value chooses all, and no limit.
type Choice struct {
	Provider string
	Search   string   // a part of the name, in any case
	After    string   // the name that the page begins after; "" is before all
	Limit    int      // 0: none
	Owners   []string // whose; nil: everybody's
}

const chosenSQL = `retired_at IS NULL AND ($1 = '' OR provider = $1) AND ($2 = '' OR position(lower($2) IN name) > 0)
	AND ($3::text[] IS NULL OR owner = ANY($3))`

// Choose returns a page of the credentials that c chooses, sorted by name.
func (s *Store) Choose(ctx context.Context, c Choice) ([]credential.Credential, error) {
	return collect(ctx, s.pool, `
		SELECT `+columns+` FROM credentials WHERE `+chosenSQL+` AND name > $4 ORDER BY name LIMIT nullif($5, 0)`,
		c.Provider, c.Search, c.Owners, c.After, c.Limit)
}

// Chosen counts the credentials that c chooses, on all pages.
func (s *Store) Chosen(ctx context.Context, c Choice) (n int, err error) {
	err = s.pool.QueryRow(ctx, `SELECT count(*) FROM credentials WHERE `+chosenSQL, c.Provider, c.Search, c.Owners).Scan(&n)
	return n, err
}

// Get returns the credential of that name, retired or not. The error wraps ErrNotFound where there never was one.
func (s *Store) Get(ctx context.Context, name string) (credential.Credential, error) {
	return get(ctx, s.pool, name)
}

func get(ctx context.Context, q Querier, name string) (credential.Credential, error) {
	cs, err := collect(ctx, q, `SELECT `+columns+` FROM credentials WHERE name = $1`, name)
	if err == nil && len(cs) == 0 {
		return credential.Credential{}, fmt.Errorf("%w: %q", ErrNotFound, name)
	}
	if err != nil {
		return credential.Credential{}, err
	}
	return cs[0], nil
}

// Named returns those of the credentials with these names that are not retired, sorted by name. A name that there is none
// of is passed over.
func (s *Store) Named(ctx context.Context, names []string) ([]credential.Credential, error) {
	return collect(
		ctx, s.pool, `SELECT `+columns+` FROM credentials WHERE name = ANY($1) AND retired_at IS NULL ORDER BY name`, names,
	)
}

// Names returns the names of all credentials by id, also of retired ones.
func (s *Store) Names(ctx context.Context) (map[int64]string, error) {
	rows, err := s.pool.Query(ctx, `SELECT id, name FROM credentials`)
	if err != nil {
		return nil, err
	}
	names := map[int64]string{}
	var (
		id   int64
		name string
	)
	_, err = pgx.ForEachRow(rows, []any{&id, &name}, func() error {
		names[id] = name
		return nil
	})
	return names, err
}

// ByID returns the credential with that id, retired or not. The error wraps ErrNotFound where there never was one.
func (s *Store) ByID(ctx context.Context, id int64) (credential.Credential, error) {
	return byID(ctx, s.pool, id)
}

// Read is ByID in a transaction, which sees its own changes. It locks nothing.
func (s *Store) Read(ctx context.Context, tx pgx.Tx, id int64) (credential.Credential, error) {
	return byID(ctx, tx, id)
}

// Hold returns when each of some credentials was last changed, by id, and nobody changes them until the transaction ends (FOR
// SHARE): others can hold them as well. It waits for a transaction that is changing one. Those that never were are left out.
func (s *Store) Hold(ctx context.Context, tx pgx.Tx, ids []int64) (map[int64]time.Time, error) {
	rows, err := tx.Query(ctx, `SELECT id, changed_at FROM credentials WHERE id = ANY($1) ORDER BY id FOR SHARE`, ids)
	if err != nil {
		return nil, err
	}
	changed := make(map[int64]time.Time, len(ids))
	var (
		id int64
		at time.Time
	)
	_, err = pgx.ForEachRow(rows, []any{&id, &at}, func() error { changed[id] = at; return nil })
	return changed, err
}

func byID(ctx context.Context, q Querier, id int64) (credential.Credential, error) {
	cs, err := collect(ctx, q, `SELECT `+columns+` FROM credentials WHERE id = $1`, id)
	if err == nil && len(cs) == 0 {
		return credential.Credential{}, fmt.Errorf("%w: number %d", ErrNotFound, id)
	}
	if err != nil {
		return credential.Credential{}, err
	}
	return cs[0], nil
}

// OfClients returns the credentials of a provider with any of these client ids, retired ones among them and after the
// others.
func (s *Store) OfClients(ctx context.Context, q Querier, provider string, clientIDs []string) ([]credential.Credential, error) {
	return collect(
		ctx,
		q,
		`SELECT `+columns+` FROM credentials WHERE provider = $1 AND client_id = ANY($2) ORDER BY retired_at IS NOT NULL, id`,
		provider,
		clientIDs,
	)
}

// UsersOf is OfClients, with the credentials that had such a client id before: as ClientID they have the one that was
// asked for, since what shows it shows them, unless another credential has it now.
func (s *Store) UsersOf(ctx context.Context, q Querier, provider string, clientIDs []string) ([]credential.Credential, error) {
	all, err := s.OfClients(ctx, q, provider, clientIDs)
	if err != nil {
		return nil, err
	}
	former, err := collect(ctx, q, `
		SELECT `+strings.Replace(columns, "client_id", "former", 1)+`
		FROM (SELECT c.*, b.client_id AS former FROM credential_clients b JOIN credentials c ON c.id = b.credential_id
			WHERE b.provider = $1 AND b.client_id = ANY($2) AND (c.provider, c.client_id) <> ($1, b.client_id)
				AND NOT EXISTS (SELECT FROM credentials o
					WHERE o.provider = $1 AND o.client_id = b.client_id AND o.id <> c.id AND o.retired_at IS NULL)) AS c
		ORDER BY retired_at IS NOT NULL, id`, provider, clientIDs)
	return append(all, former...), err
}

// WithClientID returns the ids of the credentials, of any provider and not retired, that have one of these client
// ids, the lowest first.
func (s *Store) WithClientID(ctx context.Context, clientIDs []string) ([]int64, error) {
	rows, err := s.pool.Query(ctx, `SELECT id FROM credentials WHERE client_id = ANY($1) AND retired_at IS NULL ORDER BY id`, clientIDs)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[int64])
}

// AnyBefore reports whether any credential was registered before t, retired ones included.
func (s *Store) AnyBefore(ctx context.Context, t time.Time) (any bool, err error) {
	err = s.pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM credentials WHERE registered_at < $1)`, t).Scan(&any)
	return any, err
}

// AnyOwner reports whether any credential that is not retired names its owner.
func (s *Store) AnyOwner(ctx context.Context) (any bool, err error) {
	err = s.pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM credentials WHERE owner <> '' AND retired_at IS NULL)`).Scan(&any)
	return any, err
}

// ClientIDs returns, by provider, those of some client ids that a credential has, retired ones included. One that a
// credential had before its client id changed is not in it.
func (s *Store) ClientIDs(ctx context.Context, among []string) (map[string]map[string]bool, error) {
	rows, err := s.pool.Query(ctx, `SELECT provider, client_id FROM credentials WHERE client_id = ANY($1)`, among)
	if err != nil {
		return nil, err
	}
	all := map[string]map[string]bool{}
	var provider, id string
	_, err = pgx.ForEachRow(rows, []any{&provider, &id}, func() error {
		if all[provider] == nil {
			all[provider] = map[string]bool{}
		}
		all[provider][id] = true
		return nil
	})
	return all, err
}

// NamesOf returns the names of the credentials that have one of these client ids, by client id: those of a provider, or of
// any (""). Retired ones are not among them.
func (s *Store) NamesOf(ctx context.Context, provider string, clientIDs []string) (map[string][]string, error) {
	rows, err := s.pool.Query(ctx, `
		SELECT client_id, name FROM credentials
		WHERE client_id = ANY($1) AND ($2 = '' OR provider = $2) AND retired_at IS NULL ORDER BY name`, clientIDs, provider)
	if err != nil {
		return nil, err
	}
	names := map[string][]string{}
	var id, name string
	_, err = pgx.ForEachRow(rows, []any{&id, &name}, func() error {
		names[id] = append(names[id], name)
		return nil
	})
	return names, err
}

// ReadAll returns those of ids that were ever registered, in no order, in a transaction, which sees its own changes.
func (s *Store) ReadAll(ctx context.Context, tx pgx.Tx, ids []int64) ([]credential.Credential, error) {
	return collect(ctx, tx, `SELECT `+columns+` FROM credentials WHERE id = ANY($1)`, ids)
}

// Active returns those of ids that are registered and not retired, in no order.
func (s *Store) Active(ctx context.Context, ids []int64) ([]credential.Credential, error) {
	return collect(ctx, s.pool, `SELECT `+columns+` FROM credentials WHERE id = ANY($1) AND retired_at IS NULL`, ids)
}
