package leak

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/finding"
)

// Rules of what is a leak:
//
//  1. The secret itself, found anywhere, or a transmitter that says that it is compromised: a leak.
//  2. Of weaker evidence (the beginning of a secret; a use that only a thief would make; another party that
//     replaced the secret) two different kinds are a leak, and one is not: each has a finding of its own, or
//     an everyday reason.
//  3. A client id is no secret. It is part of the story, and never a reason.
//  4. All of it is one finding. It ends when every secret in question is proven dead, and only then.

// Checked is what an ordinary check saw of a credential's present secret.
type Checked struct {
	CredentialID int64
	Works        *bool     // nil: it said nothing of the credential
	At           time.Time // when the check began
	Scopes       []string  // that are proven to work
}

// Weigh stores what checks saw of secrets, and what events of other findings say as evidence, and returns the events
// that this makes of the findings of leaks. In events that a credential is refused it notes where its secret got out. Call
// it in the transaction that stores the results and applies the events, with the credentials locked. A check that began
// before a secret was replaced says nothing of the new one.
func (s *Store) Weigh(ctx context.Context, tx pgx.Tx, checked []Checked, events []finding.Event, now time.Time) ([]finding.Event, error) {
	if err := s.noteGotOut(ctx, tx, events); err != nil {
		return nil, err
	}
	var behaviour []Evidence
	for _, e := range events {
		behaviour = append(behaviour, behaviours(e)...)
	}
	if len(behaviour) > 0 {
		if _, err := s.AddEvidence(ctx, tx, behaviour, now); err != nil {
			return nil, err
		}
	}
	var ids []int64
	for _, c := range checked {
		ids = append(ids, c.CredentialID)
	}
	for _, ev := range behaviour {
		ids = append(ids, ev.CredentialID)
	}
	ids, err := s.suspected(ctx, tx, ids)
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	for _, c := range checked {
		if c.Works == nil || !slices.Contains(ids, c.CredentialID) {
			continue
		}
		known, err := s.Registry.Read(ctx, tx, c.CredentialID)
		if err != nil {
			return nil, err
		}
		if c.At.Before(known.Changed) {
			continue // the check began before the secret was replaced, and may be about the old one
		}
		// A secret that was never proven to be dead and is accepted again does work.
		_, err = tx.Exec(ctx, `
			UPDATE leak_secrets SET works = $2, works_at = $3, proven = CASE WHEN $2 THEN $4::text[] ELSE proven END,
				worked = CASE WHEN $2 THEN true ELSE worked END
			WHERE credential_id = $1 AND replaced_at IS NULL`,
			c.CredentialID, *c.Works, c.At, orEmpty(c.Scopes))
		if err != nil {
			return nil, err
		}
	}
	return s.Judge(ctx, tx, ids, now)
}

// noteGotOut notes in events that a credential is refused whether its present secret got out: then nobody needs to be asked whether
// it was ended on purpose. A false alarm did not.
func (s *Store) noteGotOut(ctx context.Context, tx pgx.Tx, events []finding.Event) error {
	var ids []int64
	for _, e := range events {
		if e.Op == finding.OpOpen && e.Kind == finding.Revoked {
			ids = append(ids, e.Subject.CredentialID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	rows, err := tx.Query(ctx, `
		SELECT DISTINCT s.credential_id FROM leak_secrets s JOIN leak_sightings g ON g.secret_id = s.id
		WHERE s.credential_id = ANY($1) AND s.replaced_at IS NULL AND g.sort = ANY($2)
			AND (g.settled_at IS NULL OR g.settled_at >= s.dead_at)`, ids, []EvidenceKind{BySecret, BySignal})
	if err != nil {
		return err
	}
	leaked, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	for i, e := range events {
		if e.Op == finding.OpOpen && e.Kind == finding.Revoked && slices.Contains(leaked, e.Subject.CredentialID) {
			events[i].Evidence.GotOut = true
		}
	}
	return err
}

func orEmpty[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// suspected are those of ids about which there is evidence that is not settled.
func (s *Store) suspected(ctx context.Context, tx pgx.Tx, ids []int64) ([]int64, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	rows, err := tx.Query(ctx, `
		SELECT DISTINCT credential_id FROM leak_sightings
		WHERE credential_id = ANY($1) AND settled_at IS NULL AND sort <> 'client_id'`, ids)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[int64])
}

// behaviours are the evidence in a finding of another kind.
func behaviours(e finding.Event) (all []Evidence) {
	if e.Op != finding.OpOpen || e.Subject.CredentialID == 0 {
		return nil
	}
	id := e.Subject.CredentialID
	switch e.Kind {
	case finding.CanaryTripped, finding.UnexpectedUse, finding.UsedAfterRevocation:
		for _, u := range e.Evidence.Uses {
			if u.Known || e.Kind == finding.UsedAfterRevocation && u.Uses == 0 {
				continue // a forgotten job, or somebody who knows the client id, which is no secret
			}
			from := u.Network
			if u.Address != "" {
				from = u.Address
			}
			key := fmt.Sprint(e.Kind, "\x00", u.Network, "\x00", u.First.UTC().Format(time.DateOnly))
			all = append(all, Evidence{CredentialID: id, Kind: ByUse, Key: key, Sighting: finding.Sighting{
				At: u.First, How: string(e.Kind), What: fmt.Sprintf("it was used from %s by %s", from, orUnknown(u.UserAgent)),
			}})
		}
	case finding.Revoked:
		if e.Evidence.Reason == "bad_secret" && !e.Evidence.NeverHealthy && !e.Evidence.SetupChanged {
			key := fmt.Sprint("replaced\x00", e.Evidence.LastSuccess.Unix())
			all = append(all, Evidence{CredentialID: id, Kind: ByReplaced, Key: key, Sighting: finding.Sighting{
				At: e.Evidence.Since, How: "check",
				What: "its provider knows the client and not the secret any more, which was not changed here",
			}})
		}
	}
	return all
}

func orUnknown(s string) string {
	if s == "" {
		return "an unknown client"
	}
	return s
}

const mostSightings = 20 // in a finding

// Judge returns the events that the evidence about credentials makes of their findings, by the rules at the top of this
// file: an open event for every credential that is leaked, also where its finding is open already, followed by its end
// where every secret in question is proven dead, which settles the evidence. It locks nothing: lock the credentials first.
func (s *Store) Judge(ctx context.Context, tx pgx.Tx, ids []int64, now time.Time) ([]finding.Event, error) {
	var events []finding.Event
	for _, id := range ids {
		e, err := s.judge(ctx, tx, id, now)
		if err != nil {
			return nil, err
		}
		events = append(events, e...)
	}
	return events, nil
}

func (s *Store) judge(ctx context.Context, tx pgx.Tx, id int64, now time.Time) ([]finding.Event, error) {
	c, err := s.Registry.Read(ctx, tx, id)
	if err != nil {
		return nil, err
	}
	rows, err := tx.Query(ctx, `
		SELECT credential_id, coalesce(secret_id, 0), sort, sighting FROM leak_sightings
		WHERE credential_id = $1 AND settled_at IS NULL ORDER BY happened_at, id`, id)
	if err != nil {
		return nil, err
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (ev Evidence, err error) {
		err = row.Scan(&ev.CredentialID, &ev.Secret, &ev.Kind, &ev.Sighting)
		return ev, err
	})
	if err != nil {
		return nil, err
	}
	if !isLeak(all) {
		return nil, nil
	}
	secrets, err := s.inQuestion(ctx, tx, all)
	if err != nil {
		return nil, err
	}
	l, dead := tell(all, secrets)
	e := finding.Event{
		Op: finding.OpOpen, Kind: finding.Leaked, At: now,
		Subject:  finding.Subject{Credential: c.Name, CredentialID: id, Provider: c.Provider},
		Evidence: finding.Evidence{Since: all[0].At, Leak: &l},
	}
	if !dead {
		return []finding.Event{e}, nil
	}
	_, err = tx.Exec(ctx, `UPDATE leak_sightings SET settled_at = $2 WHERE credential_id = $1 AND settled_at IS NULL`, id, now)
	end := e // after the proofs are in its evidence
	end.Op, end.Why = finding.OpResolve, "the secret is proven dead: "+summary(l.Deaths)
	return []finding.Event{e, end}, err
}

func isLeak(all []Evidence) bool {
	weak := map[string]bool{}
	for _, ev := range all {
		switch ev.Kind {
		case BySecret, BySignal:
			return true
		case ByUse:
			weak[string(ev.Kind)+ev.How] = true
		case ByPart, ByReplaced:
			weak[string(ev.Kind)] = true
		}
	}
	return len(weak) > 1
}

type questioned struct {
	SecretRow
	proven []string
	death  *finding.Death
}

func (s *Store) inQuestion(ctx context.Context, tx pgx.Tx, all []Evidence) ([]questioned, error) {
	var ids []int64
	for _, ev := range all {
		if ev.Secret != 0 && ev.Kind != ByClientID {
			ids = append(ids, ev.Secret)
		}
	}
	rows, err := tx.Query(ctx, `SELECT `+secretColumns+`, s.proven, s.death FROM leak_secrets s WHERE s.id = ANY($1) ORDER BY s.id`, ids)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (q questioned, err error) {
		q.SecretRow, err = scanSecret(tail{row, []any{&q.proven, &q.death}})
		return q, err
	})
}

// tail scans columns behind those of another scan.
type tail struct {
	pgx.CollectableRow
	more []any
}

func (t tail) Scan(dest ...any) error { return t.CollectableRow.Scan(append(dest, t.more...)...) }

// tell makes what a finding says, and whether every secret in question is dead.
func tell(all []Evidence, secrets []questioned) (l finding.Leak, dead bool) {
	dead = len(secrets) > 0
	for _, q := range secrets {
		if q.death != nil && !q.Dead.IsZero() {
			l.Deaths = append(l.Deaths, *q.death)
			continue
		}
		dead = false
		if q.Works != nil && (l.Works == nil || *q.Works) {
			l.Works, l.WorksAt = q.Works, q.WorksAt
		}
		l.Replaced = q.Replaced
		l.Unknown = l.Unknown || !q.Replaced.IsZero() && !q.Kept
		for _, scope := range q.proven {
			if !slices.Contains(l.Proven, scope) {
				l.Proven = append(l.Proven, scope)
			}
		}
	}
	slices.Sort(l.Proven)
	l.Confidence = confidence(all)
	l.Total = len(all)
	for _, ev := range all[:min(len(all), mostSightings)] {
		l.Sightings = append(l.Sightings, ev.Sighting)
	}
	return l, dead
}

func confidence(all []Evidence) string {
	has := func(k EvidenceKind) bool {
		return slices.ContainsFunc(all, func(ev Evidence) bool { return ev.Kind == k })
	}
	used := ""
	if has(ByUse) {
		used = ", and it was used as only a thief would"
	}
	switch {
	case has(BySecret) && slices.ContainsFunc(all, func(ev Evidence) bool { return ev.Kind == BySecret && ev.Public }):
		return "certain: the secret itself stands where everybody can read it" + used
	case has(BySecret):
		return "certain: the secret itself was found" + used
	case has(BySignal):
		return "very likely: a transmitter that is trusted says so" + used
	case has(ByUse) && len(all) > 1:
		return "likely: several kinds of evidence agree"
	}
	return "possible: weak signs agree, and none alone would be enough"
}

func summary(deaths []finding.Death) string {
	var parts []string
	for _, d := range deaths {
		text := fmt.Sprintf("refused %d times", len(d.Refused))
		if d.Token != "" {
			text += "; " + d.Token
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, "; ")
}
