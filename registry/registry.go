// Package registry keeps the credentials in Postgres: who they are and when each is due.
//
// It knows nothing of what checks say; the package audit does.
package registry

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/secret"
)

// ErrNotFound is returned for a name that is not registered.
var ErrNotFound = errors.New("no such credential")

// Store is the registry. Schedules are in its zone.
type Store struct {
	pool *pgxpool.Pool
	zone *time.Location
}

// New makes a Store whose schedules are in zone.
func New(pool *pgxpool.Pool, zone *time.Location) *Store { return &Store{pool, zone} }

const columns = `id, name, provider, client_id, secret_ref, sealed_secret, description, scopes, owner, labels, schedule,
	unused_after, max_age, created_on, canary, expected_networks, source, registered_at, changed_at, retired_at,
	next_check_at, next_check_why`

func scan(row pgx.CollectableRow) (c credential.Credential, err error) {
	var (
		ref              string
		created, retired *time.Time
		networks         []netip.Prefix
	)
	err = row.Scan(&c.ID, &c.Name, &c.Provider, &c.ClientID, &ref, &c.Sealed, &c.Description, &c.Scopes, &c.Owner, &c.Labels, &c.Schedule,
		&c.UnusedAfter, &c.MaxAge, &created, &c.Canary, &networks, &c.Source, &c.Registered, &c.Changed, &retired, &c.NextCheck, &c.NextWhy)
	if err != nil {
		return c, err
	}
	c.ExpectedNetworks = networks
	if created != nil {
		c.Created = *created
	}
	if retired != nil {
		c.Retired = *retired
	}
	c.Secret, err = secret.ParseReference(ref)
	return c, err
}

// Querier is a pool or a transaction.
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

// List returns the credentials by name; retired ones only if asked for.
func (s *Store) List(ctx context.Context, retired bool) ([]credential.Credential, error) {
	return collect(ctx, s.pool, `SELECT `+columns+` FROM credentials WHERE $1 OR retired_at IS NULL ORDER BY name`, retired)
}

// Get returns one credential, retired or not, or ErrNotFound.
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

// ByID returns one credential, retired or not, or ErrNotFound.
func (s *Store) ByID(ctx context.Context, id int64) (credential.Credential, error) {
	return byID(ctx, s.pool, "", id)
}

// Read is ByID in a transaction.
func (s *Store) Read(ctx context.Context, tx pgx.Tx, id int64) (credential.Credential, error) {
	return byID(ctx, tx, "", id)
}

// Hold is Read, and nobody changes the credential until the transaction ends.
func (s *Store) Hold(ctx context.Context, tx pgx.Tx, id int64) (credential.Credential, error) {
	return byID(ctx, tx, " FOR SHARE", id)
}

func byID(ctx context.Context, q Querier, lock string, id int64) (credential.Credential, error) {
	cs, err := collect(ctx, q, `SELECT `+columns+` FROM credentials WHERE id = $1`+lock, id)
	if err == nil && len(cs) == 0 {
		return credential.Credential{}, fmt.Errorf("%w: number %d", ErrNotFound, id)
	}
	if err != nil {
		return credential.Credential{}, err
	}
	return cs[0], nil
}

// OfClients returns the credentials of a provider with any of these client ids, retired ones among them.
func (s *Store) OfClients(ctx context.Context, q Querier, provider string, clientIDs []string) ([]credential.Credential, error) {
	return collect(
		ctx,
		q,
		`SELECT `+columns+` FROM credentials WHERE provider = $1 AND client_id = ANY($2) ORDER BY retired_at IS NOT NULL, id`,
		provider,
		clientIDs,
	)
}

// WithClientID returns the numbers of the credentials, of any provider and not retired, that have one of these client ids.
func (s *Store) WithClientID(ctx context.Context, clientIDs []string) ([]int64, error) {
	rows, err := s.pool.Query(ctx, `SELECT id FROM credentials WHERE client_id = ANY($1) AND retired_at IS NULL ORDER BY id`, clientIDs)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[int64])
}

// AnyBefore says whether a credential was registered before t, retired ones included.
func (s *Store) AnyBefore(ctx context.Context, t time.Time) (any bool, err error) {
	err = s.pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM credentials WHERE registered_at < $1)`, t).Scan(&any)
	return any, err
}

// ClientIDs returns every client id that is or was registered, by provider.
func (s *Store) ClientIDs(ctx context.Context) (map[string]map[string]bool, error) {
	rows, err := s.pool.Query(ctx, `SELECT provider, client_id FROM credentials`)
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

// Active returns those of ids that are not retired, in no order.
func (s *Store) Active(ctx context.Context, ids []int64) ([]credential.Credential, error) {
	return collect(ctx, s.pool, `SELECT `+columns+` FROM credentials WHERE id = ANY($1) AND retired_at IS NULL`, ids)
}
