package registry

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// sealedBy is the ID of the key that sealed a column (secret.SealedWith).
func sealedBy(column string) string { return "encode(substring(" + column + " FROM 2 FOR 4), 'hex')" }

// SealedWith counts the sealed secrets, by what they are and by the ID of the key that sealed them.
func (s *Store) SealedWith(ctx context.Context, tx pgx.Tx) (map[string]map[string]int, error) {
	rows, err := tx.Query(ctx, `
		SELECT `+sealedBy("sealed_secret")+`, count(*) FROM credentials WHERE sealed_secret IS NOT NULL GROUP BY 1`)
	if err != nil {
		return nil, err
	}
	var (
		byKey = map[string]int{}
		id    string
		n     int
	)
	_, err = pgx.ForEachRow(rows, []any{&id, &n}, func() error { byKey[id] = n; return nil })
	return map[string]map[string]int{"secrets of credentials": byKey}, err
}

// AnySealed reports whether any credential has a sealed secret.
func (s *Store) AnySealed(ctx context.Context, tx pgx.Tx) (has bool, err error) {
	err = tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM credentials WHERE sealed_secret IS NOT NULL)`).Scan(&has)
	return has, err
}

// Reseal seals anew up to limit secrets that the keys from sealed, but those of the credentials that skip names, and locks their
// credentials until tx ends. Nothing else of them changes: what is under way with them goes on. It returns how many, and
// names those that reseal could not open.
func (s *Store) Reseal(
	ctx context.Context, tx pgx.Tx, from, skip []string, limit int, reseal func(sealed []byte, name string) ([]byte, error),
) (done int, failed []string, err error) {
	rows, err := tx.Query(ctx, `
		SELECT id, name, sealed_secret FROM credentials
		WHERE `+sealedBy("sealed_secret")+` = ANY($1) AND name <> ALL(coalesce($2::text[], '{}')) ORDER BY id LIMIT $3 FOR UPDATE`,
		from, skip, limit)
	if err != nil {
		return 0, nil, err
	}
	var (
		id    int64
		name  string
		was   []byte
		ids   []int64
		fresh [][]byte
	)
	_, err = pgx.ForEachRow(rows, []any{&id, &name, &was}, func() error {
		is, err := reseal(was, name)
		if err != nil {
			failed = append(failed, name)
			return nil
		}
		ids, fresh = append(ids, id), append(fresh, is)
		return nil
	})
	if err != nil {
		return 0, nil, err
	}
	_, err = tx.Exec(ctx, `
		UPDATE credentials c SET sealed_secret = f.sealed FROM unnest($1::bigint[], $2::bytea[]) AS f (id, sealed) WHERE c.id = f.id`,
		ids, fresh)
	return len(ids), failed, err
}

// Abandon forgets the secrets that the key of that ID sealed, and returns how many those were.
func (s *Store) Abandon(ctx context.Context, tx pgx.Tx, id string) (int, error) {
	tag, err := tx.Exec(ctx, `UPDATE credentials SET sealed_secret = NULL WHERE `+sealedBy("sealed_secret")+` = $1`, id)
	return int(tag.RowsAffected()), err
}
