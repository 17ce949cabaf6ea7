package leak

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/leak/intake"
)

// Taken is the result of comparing a report with the registered secrets.
type Taken struct {
	Findings int        // in the report
	Matched  int        // of those, that are of a registered secret or client id
	Foreign  int        // and that are of none
	Evidence []Evidence // what those that matched say: at most one a finding and credential
}

// mostAlike is how many credentials the beginning of a secret may match and still be evidence.
const mostAlike = 3

// Match compares a finding of another scanner with the registered secrets, by fingerprint, and with the client ids, and
// adds the result to t. Of each credential only the strongest evidence is added. The texts of the evidence are the
// report's own: mask them before they are stored. Without a sealing key it is an error.
func (s *Store) Match(ctx context.Context, rep intake.Reported, t *Taken) error {
	p, err := s.prints(ctx)
	if err != nil {
		return err
	}
	t.Findings++
	whole, parts := [][]byte{}, [][]byte{}
	for _, v := range rep.Values {
		whole = append(whole, p.whole(v))
	}
	for _, v := range rep.Parts {
		parts = append(parts, p.beginnings(v)...)
	}
	clients, err := s.Registry.WithClientID(ctx, append(orEmpty(rep.Clients), rep.Values...))
	if err != nil {
		return err
	}
	var hash []byte
	if rep.HMSL != "" {
		hash = p.ofHMSL(rep.HMSL)
	}
	rows, err := s.Pool.Query(ctx, `
		SELECT * FROM (
		SELECT id, credential_id, 'secret', NULL::bytea[] FROM leak_secrets WHERE fingerprint = ANY($1)
		UNION ALL SELECT id, credential_id, 'secret', NULL FROM leak_secrets WHERE hmsl = $3
		UNION ALL SELECT id, credential_id, 'part', prefixes FROM leak_secrets WHERE $2::bytea[] <> '{}' AND prefixes && $2
		UNION ALL SELECT 0, id, 'client_id', NULL FROM unnest($4::bigint[]) AS id
		) AS m (id, credential_id, sort, prefixes) ORDER BY credential_id, sort = 'client_id', sort = 'part'`,
		whole, parts, hash, orEmpty(clients))
	if err != nil {
		return err
	}
	var (
		id, credentialID int64
		kind             EvidenceKind
		prefixes         [][]byte
		strongest        = map[int64]EvidenceKind{}
		found            []Evidence
	)
	_, err = pgx.ForEachRow(rows, []any{&id, &credentialID, &kind, &prefixes}, func() error {
		if strongest[credentialID] != "" { // secret, part, client_id: they come in this order
			return nil
		}
		if kind == ByPart && !slices.ContainsFunc(rep.Parts, func(v string) bool { return p.begins(v, prefixes) }) {
			return nil
		}
		strongest[credentialID] = kind
		ev := Evidence{CredentialID: credentialID, Secret: id, Kind: kind, Sighting: rep.Sighting}
		switch kind {
		case ByPart:
			ev.What += " (its beginning; the report hides the rest)"
		case ByClientID:
			ev.What += " (the client id)"
		}
		ev.Key = fmt.Sprint(rep.How, "\x00", id, "\x00", kind, "\x00", rep.Source, "\x00", rep.Path, "\x00", rep.Link)
		found = append(found, ev)
		return nil
	})
	// A beginning that many secrets have, as sk_live_, names none of them.
	byPart := func(ev Evidence) bool { return ev.Kind == ByPart }
	if n := len(slices.DeleteFunc(slices.Clone(found), func(ev Evidence) bool { return !byPart(ev) })); n > mostAlike {
		found = slices.DeleteFunc(found, byPart)
	}
	t.Evidence = append(t.Evidence, found...)
	if len(found) > 0 {
		t.Matched++
	} else {
		t.Foreign++
	}
	return err
}

// Delivered stores that a report of a reporter was taken in, in the transaction that does so. The report is known by its whole
// body. fresh is false where it was taken in before; then the caller must roll back.
func (s *Store) Delivered(ctx context.Context, tx pgx.Tx, reporter string, body []byte, t Taken, now time.Time) (fresh bool, err error) {
	digest := sha256.Sum256(body)
	tag, err := tx.Exec(ctx, `
		INSERT INTO leak_deliveries (receiver, digest, taken_at, matched, strangers) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT DO NOTHING`, reporter, digest[:], now, t.Matched, t.Foreign)
	return tag.RowsAffected() == 1, err
}

// WasDelivered reports whether a report of a reporter was taken in before. Only Delivered can tell for sure.
func (s *Store) WasDelivered(ctx context.Context, reporter string, body []byte) (was bool, err error) {
	digest := sha256.Sum256(body)
	row := s.Pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM leak_deliveries WHERE receiver = $1 AND digest = $2)`, reporter, digest[:])
	err = row.Scan(&was)
	return was, err
}

// Delivery counts what was taken in of a reporter so far. Its JSON is part of the output of commands.
type Delivery struct {
	Reporter string    `json:"reporter"`
	Reports  int       `json:"reports"`
	Matched  int64     `json:"registered"`
	Foreign  int64     `json:"foreign"`
	Last     time.Time `json:"last_at"`
}

// Deliveries returns what was taken in, a row a reporter, ordered by its name.
func (s *Store) Deliveries(ctx context.Context) ([]Delivery, error) {
	rows, err := s.Pool.Query(ctx, `
		SELECT receiver, count(*), sum(matched), sum(strangers), max(taken_at) FROM leak_deliveries GROUP BY 1 ORDER BY 1`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Delivery])
}
