package leak

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/secret"
)

// Sealer seals and opens with the key of the installation (sealing.Keeper).
type Sealer interface {
	// Hold returns what seals in tx, which must be what stores it.
	Hold(ctx context.Context, tx pgx.Tx) (*secret.Sealer, error)
	// Open opens what was sealed for a name; the caller wipes it.
	Open(sealed []byte, name string) (secret.Value, error)
}

// sealedThings is all that is sealed here: what it is called, its rows, what tells one from another, and what it is sealed for.
func sealedThings() []sealedThing {
	return []sealedThing{
		{
			"former secrets", "leak_secrets", "ARRAY[id::text, credential_id::text, encode(fingerprint, 'hex')]",
			func(row []string) string { return formerName(row[1], row[2]) },
		},
		{"key of fingerprints", "leak_key", "ARRAY[id::text]", func([]string) string { return keyName }},
		{
			"waiting reports", "leak_waiting", "ARRAY[receiver || ' ' || encode(digest, 'hex'), receiver, encode(digest, 'hex')]",
			func(row []string) string { return deliveryName(row[1], row[2]) },
		},
	}
}

type sealedThing struct {
	what, table string
	row         string // of texts, the first of which no other row has
	name        func(row []string) string
}

func formerName(credentialID, print string) string {
	return "former secret " + credentialID + " " + print
}

func deliveryName(reporter, digest string) string {
	return "waiting delivery " + reporter + " " + digest
}

const sealedBy = `encode(substring(sealed FROM 2 FOR 4), 'hex')`

// SealedWith counts what is sealed, by what it is and by the ID of the key that sealed it (secret.SealedWith).
func (s *Store) SealedWith(ctx context.Context, tx pgx.Tx) (map[string]map[string]int, error) {
	all := map[string]map[string]int{}
	for _, t := range sealedThings() {
		rows, err := tx.Query(ctx, `SELECT `+sealedBy+`, count(*) FROM `+t.table+` WHERE sealed IS NOT NULL GROUP BY 1`)
		if err != nil {
			return nil, err
		}
		var (
			byKey = map[string]int{}
			id    string
			n     int
		)
		if _, err := pgx.ForEachRow(rows, []any{&id, &n}, func() error { byKey[id] = n; return nil }); err != nil {
			return nil, err
		}
		all[t.what] = byKey
	}
	return all, nil
}

// AnySealed reports whether anything is sealed.
func (s *Store) AnySealed(ctx context.Context, tx pgx.Tx) (has bool, err error) {
	err = tx.QueryRow(ctx, `
		SELECT EXISTS (SELECT FROM leak_key) OR EXISTS (SELECT FROM leak_waiting)
			OR EXISTS (SELECT FROM leak_secrets WHERE sealed IS NOT NULL)`).Scan(&has)
	return has, err
}

// Reseal seals anew up to limit things that the keys from sealed, but those that skip names, and locks their rows until tx
// ends. It returns how many, and names those that reseal could not open.
func (s *Store) Reseal(
	ctx context.Context, tx pgx.Tx, from, skip []string, limit int, reseal func(sealed []byte, name string) ([]byte, error),
) (done int, failed []string, err error) {
	for _, t := range sealedThings() {
		rows, err := tx.Query(ctx, `
			SELECT `+t.row+`, sealed FROM `+t.table+`
			WHERE `+sealedBy+` = ANY($1) AND $2::text || (`+t.row+`)[1] <> ALL(coalesce($3::text[], '{}')) ORDER BY 1 LIMIT $4 FOR UPDATE`,
			from, t.what+" ", skip, limit-done)
		if err != nil {
			return 0, nil, err
		}
		var (
			row   []string
			was   []byte
			ids   []string
			fresh [][]byte
		)
		_, err = pgx.ForEachRow(rows, []any{&row, &was}, func() error {
			is, err := reseal(was, t.name(row))
			if err != nil {
				failed = append(failed, t.what+" "+row[0])
				return nil
			}
			ids, fresh = append(ids, row[0]), append(fresh, is)
			return nil
		})
		if err != nil {
			return 0, nil, err
		}
		_, err = tx.Exec(ctx, `
			UPDATE `+t.table+` SET sealed = f.sealed FROM unnest($1::text[], $2::bytea[]) AS f (one, sealed)
			WHERE (`+t.row+`)[1] = f.one`, ids, fresh)
		if err != nil {
			return 0, nil, fmt.Errorf("%s: %w", t.what, err)
		}
		done += len(ids)
	}
	return done, failed, nil
}

// Abandon forgets what the key of that ID sealed, and returns how many things that were. Without the key of fingerprints a new one
// is made, and with it every present secret is noted anew; a process that has read the old one goes on with it until it ends.
func (s *Store) Abandon(ctx context.Context, tx pgx.Tx, id string) (n int, err error) {
	for _, sql := range []string{
		`UPDATE leak_secrets SET sealed = NULL, next_try_at = NULL WHERE ` + sealedBy + ` = $1`,
		`DELETE FROM leak_waiting WHERE ` + sealedBy + ` = $1`,
		`DELETE FROM leak_key WHERE ` + sealedBy + ` = $1`,
	} {
		tag, err := tx.Exec(ctx, sql, id)
		if err != nil {
			return 0, err
		}
		n += int(tag.RowsAffected())
	}
	return n, nil
}
