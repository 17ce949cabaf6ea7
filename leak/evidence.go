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

// EvidenceKind says what a piece of evidence is, and with that how strong it is. It is stored, and part of the JSON
// output of commands.
type EvidenceKind string

// The kinds of evidence, from the strongest to the weakest.
const (
	BySecret   EvidenceKind = "secret"    // the secret itself was found, whole
	BySignal   EvidenceKind = "signal"    // a transmitter says that it is compromised
	ByPart     EvidenceKind = "part"      // the beginning of a secret was found
	ByUse      EvidenceKind = "use"       // it was used as only a thief would
	ByReplaced EvidenceKind = "replaced"  // somebody else replaced the secret
	ByClientID EvidenceKind = "client_id" // the client id was found, which is no secret
)

// Evidence is one piece of evidence about a credential. It has no text of a secret, nor of what stands around one.
type Evidence struct {
	CredentialID int64
	Secret       int64 // SecretRow.ID; 0: the present one, or none for ByClientID
	Kind         EvidenceKind
	// Key is the same for the same piece of evidence about a secret, whenever and by whomever it is found again.
	Key string
	finding.Sighting
}

// EvidenceOfHit returns what a scan's hit says about the credential that it is of. how names the scan, as people read
// it. The same secret in the same place has the same Key, whatever line, commit or encoding it was found in.
func EvidenceOfHit(h scan.Hit, credentialID int64, how string, now time.Time) Evidence {
	ev := Evidence{CredentialID: credentialID, Secret: h.Secret, Kind: BySecret}
	if h.Kind == scan.ClientID {
		ev.Kind = ByClientID
	}
	ev.Sighting = finding.Sighting{
		At: h.FirstSeen, Seen: now, How: how, What: "the " + strings.ReplaceAll(string(h.Kind), "_", " ") + " was found",
		Source: h.Source, Path: h.Path, Line: h.Line, Commit: h.Commit, Encoding: string(h.Encoding),
	}
	if h.Object != "" {
		ev.InHead = &h.InHead
	}
	ev.Key = fmt.Sprint("scan", "\x00", h.Kind, "\x00", h.Source, "\x00", h.Path)
	return ev
}

// ownChange is how far apart a transmitter's event and our own change of a secret may be and still be one change.
const ownChange = time.Hour

// EvidenceOfSignal returns what a signal says about a credential of the transmitter's provider: that its secret is
// compromised (RISC credential-compromise), or that somebody else changed it (CAEP credential-change). changed is when
// the secret was last changed here; a change of that time is our own, and no evidence. soon says that the credential
// should be checked at once, also where there is no evidence.
func EvidenceOfSignal(s intake.Signal, t intake.Transmitter, credentialID int64, changed time.Time) (all []Evidence, soon bool) {
	for _, e := range s.Events {
		ev := Evidence{
			CredentialID: credentialID, Key: fmt.Sprint(t.Name, "\x00", s.ID, "\x00", e.Type),
			Sighting: finding.Sighting{At: e.At, How: t.Name},
		}
		byOthers := e.At.Sub(changed).Abs() > ownChange
		switch {
		case e.Type == "credential-compromise":
			ev.Kind, ev.What = BySignal, t.Issuer+" says that it is compromised (RISC credential-compromise)"
		case e.Type == "credential-change" && (e.Change == "update" || e.Change == "create") && byOthers,
			e.Type == "client-credential-changed" && byOthers:
			ev.Kind, ev.What = ByReplaced, t.Issuer+" says that its secret was changed, and it was not changed here ("+e.Type+")"
		case strings.HasPrefix(e.Type, "credential-change"), strings.HasPrefix(e.Type, "client-"):
			soon = true
			continue
		default:
			continue // verification, and what is not about credentials
		}
		soon = true
		all = append(all, ev)
	}
	return all, soon
}

// Masked returns ev with mask applied to every text in it: a report's own words may have a secret in them.
func (ev Evidence) Masked(mask func(string) string) Evidence {
	for _, text := range []*string{&ev.What, &ev.Source, &ev.Path, &ev.Link, &ev.Commit} {
		*text = mask(*text)
	}
	return ev
}

// AddEvidence stores evidence, each piece once, and has the secrets that it is about tried at once.
//
// It returns how many pieces were new or say something else than before. What was seen before keeps the time when it was seen
// first. Evidence about a secret that is proven dead is stored as settled, and opens nothing. Texts are scrubbed and cut to 500
// bytes. A zero Secret means the present one, a zero At now. The credentials must exist; lock them first, where the evidence is
// judged in the same tx.
func (s *Store) AddEvidence(ctx context.Context, tx pgx.Tx, all []Evidence, now time.Time) (fresh int, err error) {
	var clean secret.Scrubber
	for _, ev := range all {
		if ev.Secret == 0 && ev.Kind != ByClientID {
			err := tx.QueryRow(ctx, `
				SELECT id FROM leak_secrets WHERE credential_id = $1
				ORDER BY replaced_at IS NOT NULL, id DESC LIMIT 1`, ev.CredentialID).Scan(&ev.Secret)
			if err != nil && !errors.Is(err, pgx.ErrNoRows) {
				return fresh, err
			}
		}
		undated := ev.At.IsZero()
		if undated {
			ev.At = now
		}
		ev.Seen = now
		for _, text := range []*string{&ev.What, &ev.Source, &ev.Path, &ev.Link, &ev.How, &ev.Commit} {
			*text = clean.Clean(*text, 500)
		}
		body, err := json.Marshal(ev.Sighting)
		if err != nil {
			return fresh, err
		}
		key := sha256.Sum256(fmt.Appendf(nil, "%d\x00%s", ev.Secret, ev.Key)) // the same place, before and after it was replaced
		var id *int64
		if ev.Secret != 0 {
			id = &ev.Secret
		}
		// What was found of a dead secret is known, and no news.
		tag, err := tx.Exec(ctx, `
			INSERT INTO leak_sightings (credential_id, secret_id, sort, key, happened_at, seen_at, sighting, settled_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, (SELECT $6::timestamptz FROM leak_secrets WHERE id = $2 AND dead_at IS NOT NULL))
			ON CONFLICT (credential_id, key) DO UPDATE SET sighting = excluded.sighting ||
				jsonb_build_object('seen_at', leak_sightings.sighting->'seen_at') ||
				CASE WHEN $8 THEN jsonb_build_object('at', leak_sightings.sighting->'at') ELSE '{}' END
			WHERE leak_sightings.sighting - 'seen_at' - CASE WHEN $8 THEN 'at' ELSE '' END
				<> excluded.sighting - 'seen_at' - CASE WHEN $8 THEN 'at' ELSE '' END AND leak_sightings.settled_at IS NULL`,
			ev.CredentialID, id, ev.Kind, key[:], ev.At, now, body, undated)
		if err != nil {
			return fresh, err
		}
		fresh += int(tag.RowsAffected())
		if ev.Secret == 0 || tag.RowsAffected() == 0 || ev.Kind == ByClientID {
			continue
		}
		// Only a present secret, or a replaced one that is kept, can be tried.
		_, err = tx.Exec(ctx, `
			UPDATE leak_secrets SET next_try_at = least(coalesce(next_try_at, $2), $2)
			WHERE id = $1 AND dead_at IS NULL AND (replaced_at IS NULL OR sealed IS NOT NULL)`, ev.Secret, now)
		if err != nil {
			return fresh, err
		}
	}
	return fresh, nil
}

// Settle puts all evidence about a credential aside, because somebody says that it is a false alarm. The same evidence
// again opens nothing; other evidence does.
func (s *Store) Settle(ctx context.Context, tx pgx.Tx, credentialID int64, now time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE leak_sightings SET settled_at = $2 WHERE credential_id = $1 AND settled_at IS NULL`, credentialID, now)
	return err
}

// Evidence lists the newest limit pieces of evidence about a credential, newest first; about every one with
// credentialID 0. What is settled is among them.
func (s *Store) Evidence(ctx context.Context, credentialID int64, limit int) ([]Evidence, error) {
	rows, err := s.Pool.Query(ctx, `
		SELECT credential_id, coalesce(secret_id, 0), sort, sighting FROM leak_sightings
		WHERE $1 = 0 OR credential_id = $1 ORDER BY seen_at DESC, id DESC LIMIT $2`, credentialID, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (ev Evidence, err error) {
		err = row.Scan(&ev.CredentialID, &ev.Secret, &ev.Kind, &ev.Sighting)
		return ev, err
	})
}
