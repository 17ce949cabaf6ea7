package leak

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/finding"
)

// Pieces chooses evidence, and a page of it, the newest first.
type Pieces struct {
	Among []int64 // of these credentials; nil: of all
	After int64   // the number of the piece that the page comes after; 0: from the newest
	Limit int
}

// Piece is a piece of evidence with its number.
type Piece struct {
	ID int64
	Evidence
}

const chosenPieces = ` FROM leak_sightings WHERE ($1::bigint[] IS NULL OR credential_id = ANY($1))`

// Page returns a page of the evidence that p chooses, by when keyrounds learned of it, and how much there is on all pages.
func (s *Store) Page(ctx context.Context, p Pieces) (total int, all []Piece, err error) {
	if err = s.Pool.QueryRow(ctx, `SELECT count(*)`+chosenPieces, p.Among).Scan(&total); err != nil {
		return 0, nil, err
	}
	rows, err := s.Pool.Query(ctx, `
		SELECT id, credential_id, coalesce(secret_id, 0), sort, sighting`+chosenPieces+`
			AND ($2 = 0 OR id < $2) ORDER BY id DESC LIMIT $3`, p.Among, p.After, p.Limit)
	if err != nil {
		return 0, nil, err
	}
	all, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (p Piece, err error) {
		return p, row.Scan(&p.ID, &p.CredentialID, &p.Secret, &p.Kind, &p.Sighting)
	})
	return total, all, err
}

// Questioned is a secret that got out or was replaced, with the proof that it is dead; nil: there is none.
type Questioned struct {
	SecretRow
	Proof *finding.Death
}

const chosenSecrets = `
	FROM leak_secrets s WHERE ($1::bigint[] IS NULL OR s.credential_id = ANY($1)) AND (NOT $2 OR s.dead_at IS NOT NULL)
		AND (s.replaced_at IS NOT NULL OR s.dead_at IS NOT NULL
			OR EXISTS (SELECT FROM leak_sightings g WHERE g.secret_id = s.id AND g.settled_at IS NULL))`

// InQuestion returns a page of the secrets that got out or were replaced, or of those that are proven dead, the newest first,
// and how many there are on all pages.
func (s *Store) InQuestion(ctx context.Context, p Pieces, dead bool) (total int, all []Questioned, err error) {
	if err = s.Pool.QueryRow(ctx, `SELECT count(*)`+chosenSecrets, p.Among, dead).Scan(&total); err != nil {
		return 0, nil, err
	}
	rows, err := s.Pool.Query(ctx, `SELECT `+secretColumns+chosenSecrets+` AND ($3 = 0 OR s.id < $3) ORDER BY s.id DESC LIMIT $4`,
		p.Among, dead, p.After, p.Limit)
	if err != nil {
		return 0, nil, err
	}
	found, err := pgx.CollectRows(rows, scanSecret)
	if err != nil {
		return 0, nil, err
	}
	ids := make([]int64, len(found))
	for i, r := range found {
		all, ids[i] = append(all, Questioned{SecretRow: r}), r.ID
	}
	rows, err = s.Pool.Query(ctx, `SELECT id, death FROM leak_secrets WHERE death IS NOT NULL AND id = ANY($1)`, ids)
	if err != nil {
		return 0, nil, err
	}
	proofs := map[int64]*finding.Death{}
	var (
		id int64
		d  finding.Death
	)
	_, err = pgx.ForEachRow(rows, []any{&id, &d}, func() error {
		proof := d
		proofs[id], d = &proof, finding.Death{}
		return nil
	})
	for i := range all {
		all[i].Proof = proofs[all[i].ID]
	}
	return total, all, err
}
