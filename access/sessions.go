package access

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/secret"
)

// Rules of sessions:
//
//  1. The id in the cookie is 256 random bits and is stored as its SHA-256 only. An id that a browser brings is never taken
//     over: signing in makes a new one and ends the session that the browser had (fixation).
//  2. Every renewEvery the id is replaced. The new one counts when the browser shows it; the old one is taken for overlap
//     longer, since requests cross.
//  3. Whoever shows an old one after that has a copy, or somebody else has the new one: the session ends for both.
//  4. A session ends when it was not used for Idle, Lifetime after its beginning, and with its person.

const (
	renewEvery = time.Hour
	resend     = time.Minute // a new id that was sent and never shown is replaced after that
	overlap    = 30 * time.Second
	usedEvery  = time.Minute // when it was used last is written so often at most
	mostOwn    = 50          // sessions of a person: the one that was used longest ago ends
)

// Session is a browser that is signed in.
type Session struct {
	ID      int64     `json:"id"`
	Person  int64     `json:"person_id"`
	Name    string    `json:"name"`
	BeganAt time.Time `json:"began_at"`
	UsedAt  time.Time `json:"used_at"`
	EndsAt  time.Time `json:"ends_at"`
	Address string    `json:"address"`
	Agent   string    `json:"agent"`
}

// Begin begins a session of a person who has just proven who he is, by means of how. It ends the session of the cookie that
// the request brought. The result is the new cookie's value, which is shown nowhere else.
func (a *Access) Begin(r *http.Request, p Person, how string) (id string, err error) {
	ctx, now, s := r.Context(), a.Now(), a.Settings()
	id, hash := newID()
	err = a.inTx(ctx, func(tx pgx.Tx) error {
		p, err := a.lock(ctx, tx, p.ID)
		if err != nil || !p.DisabledAt.IsZero() {
			return errors.Join(err, ErrRefused)
		}
		if old := cookieOf(r); old != "" {
			if _, err := tx.Exec(ctx, `DELETE FROM access_sessions WHERE $1 IN (hash, next_hash, before_hash)`, hashOf(old)); err != nil {
				return err
			}
		}
		_, err = tx.Exec(ctx, `
			DELETE FROM access_sessions WHERE ends_at < $2 OR used_at < $3 OR id IN (
				SELECT id FROM access_sessions WHERE person_id = $1 ORDER BY used_at DESC OFFSET $4)`,
			p.ID, now, now.Add(-s.Idle), mostOwn-1)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `
			INSERT INTO access_sessions (person_id, hash, began_at, renewed_at, used_at, ends_at, address, agent)
			VALUES ($1, $2, $3, $3, $3, $4, $5, $6)`,
			p.ID, hash, now, now.Add(s.Lifetime), hostOf(r), secret.Scrubber{}.Clean(r.UserAgent(), 200))
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE access_people SET signed_in_at = $2 WHERE id = $1`, p.ID, now); err != nil {
			return err
		}
		return a.Record(ctx, tx, a.actorOf(p), "access.signed_in", "person "+p.Name,
			map[string]any{"person": p.ID, "by": how, "address": hostOf(r)})
	})
	return id, err
}

// End ends the session of a request (sign-out). One that is gone is no error.
func (a *Access) End(ctx context.Context, v Visit) error {
	if v.Session == 0 {
		return nil
	}
	return a.endSession(ctx, v.Name, v.Person, v.Session, "access.signed_out")
}

// EndSession ends a session of a person's, or anybody's where whose is 0. ErrNotFound: there is none.
func (a *Access) EndSession(ctx context.Context, by string, whose, id int64) error {
	return a.endSession(ctx, by, whose, id, "session.ended")
}

func (a *Access) endSession(ctx context.Context, by string, whose, id int64, act string) error {
	return a.inTx(ctx, func(tx pgx.Tx) error {
		var name string
		err := tx.QueryRow(ctx, `
			DELETE FROM access_sessions s USING access_people p
			WHERE s.id = $1 AND p.id = s.person_id AND ($2 = 0 OR s.person_id = $2) RETURNING p.name`, id, whose).Scan(&name)
		if errors.Is(err, pgx.ErrNoRows) {
			return ErrNotFound
		}
		if err != nil {
			return err
		}
		return a.Record(ctx, tx, by, act, "person "+name, map[string]any{"session": id})
	})
}

// Sessions returns those of a person, or of all people where whose is 0; the one used last first.
func (a *Access) Sessions(ctx context.Context, whose int64) ([]Session, error) {
	now := a.Now()
	rows, err := a.Pool.Query(ctx, `
		SELECT s.id, s.person_id, p.name, s.began_at, s.used_at, s.ends_at, s.address, s.agent
		FROM access_sessions s JOIN access_people p ON p.id = s.person_id
		WHERE ($1 = 0 OR s.person_id = $1) AND s.ends_at > $2 AND s.used_at > $3
		ORDER BY s.used_at DESC, s.id LIMIT 1000`, whose, now, now.Add(-a.Settings().Idle))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Session])
}

// bySession is who has the cookie's id; ErrNobody: it opens nothing (any more). renewed is the id that replaces it, if one does.
func (a *Access) bySession(ctx context.Context, id string) (v Visit, renewed string, err error) {
	if len(id) != 43 { // not of newID
		return v, "", ErrNobody
	}
	hash, now, s := hashOf(id), a.Now(), a.Settings()
	var row struct {
		hash, next                  []byte
		nextAt, beforeUntil         *time.Time
		renewedAt, usedAt, endsAt   time.Time
		name, issuer                string
		role                        Role
		owners                      []string
		disabledAt                  *time.Time
		temporary, isNext, isBefore bool
	}
	err = a.Pool.QueryRow(ctx, `
		SELECT s.id, s.hash, s.next_hash, s.next_at, s.before_until, s.renewed_at, s.used_at, s.ends_at,
			coalesce(s.next_hash = $1, false), coalesce(s.before_hash = $1, false),
			p.id, p.name, p.issuer, p.role, p.owners, p.disabled_at, p.temporary
		FROM access_sessions s JOIN access_people p ON p.id = s.person_id
		WHERE s.hash = $1 OR s.next_hash = $1 OR s.before_hash = $1`, hash).Scan(
		&v.Session, &row.hash, &row.next, &row.nextAt, &row.beforeUntil, &row.renewedAt, &row.usedAt, &row.endsAt,
		&row.isNext, &row.isBefore,
		&v.Person, &row.name, &row.issuer, &row.role, &row.owners, &row.disabledAt, &row.temporary)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return Visit{}, "", ErrNobody
	case err != nil:
		return Visit{}, "", err
	case row.disabledAt != nil, !now.Before(row.endsAt), now.Sub(row.usedAt) >= s.Idle, !s.admits(row.issuer):
		return Visit{}, "", ErrNobody
	case row.isBefore && now.After(fromNull(row.beforeUntil)):
		return Visit{}, "", a.endStolen(ctx, v.Session, row.name)
	}
	v.Who = Who{Name: a.actorOf(Person{Name: row.name, Issuer: row.issuer}), Role: row.role, Owners: row.owners}
	v.Shown, v.Temporary, v.Local = row.name, row.temporary, row.issuer == ""
	switch {
	case row.isNext: // the browser has it
		_, err = a.Pool.Exec(ctx, `
			UPDATE access_sessions SET before_hash = hash, before_until = $3, hash = next_hash, next_hash = NULL, next_at = NULL,
				renewed_at = $2, used_at = $2
			WHERE id = $4 AND next_hash = $1`, hash, now, now.Add(overlap), v.Session)
	case bytes.Equal(row.hash, hash) && now.Sub(row.renewedAt) >= renewEvery && now.Sub(fromNull(row.nextAt)) >= resend:
		var next []byte
		renewed, next = newID()
		tag, e := a.Pool.Exec(ctx, `
			UPDATE access_sessions SET next_hash = $1, next_at = $2, used_at = $2
			WHERE id = $3 AND hash = $4 AND next_at IS NOT DISTINCT FROM $5`, next, now, v.Session, hash, row.nextAt)
		if err = e; err != nil || tag.RowsAffected() == 0 { // another request did so meanwhile
			renewed = ""
		}
	case now.Sub(row.usedAt) >= usedEvery:
		_, err = a.Pool.Exec(ctx, `UPDATE access_sessions SET used_at = $2 WHERE id = $1`, v.Session, now)
	}
	if err != nil { // what is shown must not depend on a database that takes no writes
		a.Log.Warn("when a session was used is not noted", "error", err)
		renewed = ""
	}
	return v, renewed, nil
}

// endStolen ends a session of which somebody has a copy, and says so.
func (a *Access) endStolen(ctx context.Context, session int64, name string) error {
	err := a.inTx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `DELETE FROM access_sessions WHERE id = $1`, session); err != nil {
			return err
		}
		return a.Record(ctx, tx, "nobody", "access.refused", "person "+name, map[string]any{"why": "an old session id", "session": session})
	})
	if err != nil {
		return err
	}
	a.Log.Warn("a session ended: an id of it was shown that had been replaced; somebody may have a copy", "person", name)
	return ErrNobody
}
