package leak

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/leak/intake"
	"github.com/keyrounds/keyrounds/leak/scan"
	"github.com/keyrounds/keyrounds/secret"
)

// Sort says what kind of evidence a sighting is.
type Sort string

// The sorts, from the strongest to the weakest.
const (
	BySecret   Sort = "secret"    // the secret itself was found, whole
	BySignal   Sort = "signal"    // a transmitter says that it is compromised
	ByPart     Sort = "part"      // the beginning of a secret was found
	ByUse      Sort = "use"       // it was used as only a thief would
	ByReplaced Sort = "replaced"  // somebody else replaced the secret
	ByClientID Sort = "client_id" // the client id was found, which is no secret
)

// Sighting is a piece of evidence about a credential.
type Sighting struct {
	CredentialID int64
	Secret       int64 // SecretRow.ID; 0: the present one, or none for ByClientID
	Sort         Sort
	Key          string // the same for the same piece of evidence about a secret
	finding.Sighting
}

// OfHit makes a sighting of what a scan found.
func OfHit(h scan.Hit, credentialID int64, how string, now time.Time) Sighting {
	g := Sighting{CredentialID: credentialID, Secret: h.Secret, Sort: BySecret}
	if h.Kind == scan.ClientID {
		g.Sort = ByClientID
	}
	g.Sighting = finding.Sighting{
		At: h.FirstSeen, Seen: now, How: how, What: "the " + strings.ReplaceAll(string(h.Kind), "_", " ") + " was found", Source: h.Source, Path: h.Path, Line: h.Line,
		Commit: h.Commit, Encoding: string(h.Encoding),
	}
	if h.Object != "" {
		g.InHead = &h.InHead
	}
	g.Key = fmt.Sprint("scan", "\x00", h.Kind, "\x00", h.Source, "\x00", h.Path)
	return g
}

// OfSignal makes sightings of what a signal says about a credential of the transmitter's provider, whose secret was last changed
// here at changed; soon says that it should be checked at once.
func OfSignal(s intake.Signal, t intake.Transmitter, credentialID int64, changed time.Time) (all []Sighting, soon bool) {
	for _, e := range s.Events {
		g := Sighting{CredentialID: credentialID, Key: fmt.Sprint(t.Name, "\x00", s.ID, "\x00", e.Type), Sighting: finding.Sighting{At: e.At, How: t.Name}}
		switch {
		case e.Type == "credential-compromise":
			g.Sort, g.What = BySignal, t.Issuer+" says that it is compromised (RISC credential-compromise)"
		case e.Type == "credential-change" && (e.Change == "update" || e.Change == "create") && e.At.Sub(changed).Abs() > time.Hour,
			e.Type == "client-credential-changed" && e.At.Sub(changed).Abs() > time.Hour:
			g.Sort, g.What = ByReplaced, t.Issuer+" says that its secret was changed, and it was not changed here ("+e.Type+")"
		case strings.HasPrefix(e.Type, "credential-change"), strings.HasPrefix(e.Type, "client-"):
			soon = true
			continue
		default:
			continue // verification, and what is not about credentials
		}
		soon = true
		all = append(all, g)
	}
	return all, soon
}

// Masked is g with all its texts masked, since a report's own words may have a secret in them.
func (g Sighting) Masked(mask func(string) string) Sighting {
	for _, text := range []*string{&g.What, &g.Source, &g.Path, &g.Link, &g.Commit} {
		*text = mask(*text)
	}
	return g
}

// Sight writes sightings down, each once, and has the secrets in question tried at once. It returns how many
// were new. Texts in them are cleaned.
func (s *Store) Sight(ctx context.Context, tx pgx.Tx, all []Sighting, now time.Time) (fresh int, err error) {
	var clean secret.Scrubber
	for _, g := range all {
		if g.Secret == 0 && g.Sort != ByClientID {
			err := tx.QueryRow(ctx, `SELECT id FROM leak_secrets WHERE credential_id = $1 ORDER BY replaced_at IS NOT NULL, id DESC LIMIT 1`, g.CredentialID).Scan(&g.Secret)
			if err != nil && !errors.Is(err, pgx.ErrNoRows) {
				return fresh, err
			}
		}
		if g.At.IsZero() {
			g.At = now
		}
		g.Seen = now
		for _, text := range []*string{&g.What, &g.Source, &g.Path, &g.Link, &g.How, &g.Commit} {
			*text = clean.Clean(*text, 500)
		}
		body, err := json.Marshal(g.Sighting)
		if err != nil {
			return fresh, err
		}
		key := sha256.Sum256(fmt.Appendf(nil, "%d\x00%s", g.Secret, g.Key)) // the same place, before and after it was replaced
		var id *int64
		if g.Secret != 0 {
			id = &g.Secret
		}
		// What was found of a dead secret is known, and no news.
		tag, err := tx.Exec(ctx, `
			INSERT INTO leak_sightings (credential_id, secret_id, sort, key, happened_at, seen_at, sighting, settled_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, (SELECT $6::timestamptz FROM leak_secrets WHERE id = $2 AND dead_at IS NOT NULL))
			ON CONFLICT (credential_id, key) DO UPDATE SET sighting = excluded.sighting WHERE leak_sightings.sighting - 'seen_at' <> excluded.sighting - 'seen_at' AND leak_sightings.settled_at IS NULL`,
			g.CredentialID, id, g.Sort, key[:], g.At, now, body)
		if err != nil {
			return fresh, err
		}
		fresh += int(tag.RowsAffected())
		if g.Secret == 0 || tag.RowsAffected() == 0 || g.Sort == ByClientID {
			continue
		}
		// Only a present secret, or a replaced one that is kept, can be tried.
		_, err = tx.Exec(ctx, `UPDATE leak_secrets SET next_try_at = least(coalesce(next_try_at, $2), $2) WHERE id = $1 AND dead_at IS NULL AND (replaced_at IS NULL OR sealed IS NOT NULL)`, g.Secret, now)
		if err != nil {
			return fresh, err
		}
	}
	return fresh, nil
}

// Settle puts the evidence about a credential aside, because somebody says that it is none. The same again opens
// nothing.
func (s *Store) Settle(ctx context.Context, tx pgx.Tx, credentialID int64, now time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE leak_sightings SET settled_at = $2 WHERE credential_id = $1 AND settled_at IS NULL`, credentialID, now)
	return err
}

// Sightings lists the evidence about a credential, newest first; about every one with 0.
func (s *Store) Sightings(ctx context.Context, credentialID int64, limit int) ([]Sighting, error) {
	rows, err := s.Pool.Query(ctx, `SELECT credential_id, coalesce(secret_id, 0), sort, sighting FROM leak_sightings WHERE $1 = 0 OR credential_id = $1 ORDER BY seen_at DESC, id DESC LIMIT $2`, credentialID, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (g Sighting, err error) {
		err = row.Scan(&g.CredentialID, &g.Secret, &g.Sort, &g.Sighting)
		return g, err
	})
}
