package registry

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/credential"
)

// OfOwners returns the ids of all credentials, retired ones among them, that these own, the lowest first; never nil.
func (s *Store) OfOwners(ctx context.Context, owners []string) ([]int64, error) {
	rows, err := s.pool.Query(ctx, `SELECT id FROM credentials WHERE owner = ANY($1) ORDER BY id`, owners)
	if err != nil {
		return nil, err
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	return orEmpty(ids), err
}

// OfLabel returns the ids of all credentials, retired ones among them, that have a label with that value, "": with any,
// the lowest first; never nil.
func (s *Store) OfLabel(ctx context.Context, name, value string) ([]int64, error) {
	sql, args := `SELECT id FROM credentials WHERE labels @> jsonb_build_object($1::text, $2::text) ORDER BY id`, []any{name, value}
	if value == "" {
		sql, args = `SELECT id FROM credentials WHERE labels ? $1::text ORDER BY id`, args[:1]
	}
	rows, err := s.pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	return orEmpty(ids), err
}

// Owners returns who owns credentials, retired ones among them, by name, at most limit of them.
func (s *Store) Owners(ctx context.Context, limit int) ([]string, error) {
	// From one owner to the next in the index, so that it takes as many steps as there are owners.
	rows, err := s.pool.Query(ctx, `
		WITH RECURSIVE owners (owner) AS (
			(SELECT owner FROM credentials WHERE owner > '' ORDER BY owner LIMIT 1)
			UNION ALL
			SELECT (SELECT c.owner FROM credentials c WHERE c.owner > o.owner ORDER BY c.owner LIMIT 1)
			FROM owners o WHERE o.owner IS NOT NULL
		)
		SELECT owner FROM owners WHERE owner IS NOT NULL LIMIT $1`, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// ProviderCount is a provider that credentials are registered of, and how many.
type ProviderCount struct {
	Provider string
	N        int
}

// Providers returns the providers of the credentials that are not retired, by name; of those that owners own, nil: of all.
func (s *Store) Providers(ctx context.Context, owners []string) ([]ProviderCount, error) {
	rows, err := s.pool.Query(ctx, `
		SELECT provider, count(*) FROM credentials
		WHERE retired_at IS NULL AND ($1::text[] IS NULL OR owner = ANY($1)) GROUP BY 1 ORDER BY 1`, owners)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[ProviderCount])
}

// Knows reports whether any credential, retired or not, has that provider ("": any), and that owner ("": any). owners bounds
// which are looked at; nil: all.
func (s *Store) Knows(ctx context.Context, provider, owner string, owners []string) (known bool, err error) {
	err = s.pool.QueryRow(ctx, `
		SELECT EXISTS (SELECT FROM credentials
			WHERE ($1 = '' OR provider = $1) AND ($2 = '' OR owner = $2) AND ($3::text[] IS NULL OR owner = ANY($3)))`,
		provider, owner, owners).Scan(&known)
	return known, err
}

// These returns those of ids that were ever registered, retired ones among them, in no order.
func (s *Store) These(ctx context.Context, ids []int64) (map[int64]Named, error) {
	rows, err := s.pool.Query(ctx, `SELECT id, name, provider, owner FROM credentials WHERE id = ANY($1)`, ids)
	if err != nil {
		return nil, err
	}
	all := make(map[int64]Named, len(ids))
	var n Named
	_, err = pgx.ForEachRow(rows, []any{&n.ID, &n.Name, &n.Provider, &n.Owner}, func() error {
		all[n.ID] = n
		return nil
	})
	return all, err
}

// Named is how people name a credential.
type Named struct {
	ID                    int64
	Name, Provider, Owner string
}

// EvenRetired returns those of ids that were ever registered, whole, in no order.
func (s *Store) EvenRetired(ctx context.Context, ids []int64) (map[int64]credential.Credential, error) {
	cs, err := collect(ctx, s.pool, `SELECT `+columns+` FROM credentials WHERE id = ANY($1)`, ids)
	all := make(map[int64]credential.Credential, len(cs))
	for _, c := range cs {
		all[c.ID] = c
	}
	return all, err
}
