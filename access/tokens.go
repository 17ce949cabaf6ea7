package access

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/keyrounds/keyrounds/secret"
)

// Token is an API token, without what opens.
type Token struct {
	ID        int64     `json:"id"`
	Name      string    `json:"name"`
	Hint      string    `json:"hint"`                // its beginning
	Person    int64     `json:"person_id,omitempty"` // 0: of the installation
	Role      Role      `json:"role"`
	Owners    []string  `json:"owners"`
	MadeAt    time.Time `json:"made_at"`
	MadeBy    string    `json:"made_by"`
	EndsAt    time.Time `json:"ends_at,omitzero"` // zero: never
	UsedAt    time.Time `json:"used_at,omitzero"` // zero: never
	RevokedAt time.Time `json:"revoked_at,omitzero"`
	RevokedBy string    `json:"revoked_by,omitempty"`
}

const (
	// UsualToken is how long a token is in force of which nothing else is said.
	UsualToken = 90 * 24 * time.Hour
	// LongestToken bounds how long a token is in force, as a decision holds for a year: what is needed longer is made anew.
	LongestToken = 366 * 24 * time.Hour
)

// UnusedFor is how long a token may be in force without use before keyrounds says so.
const UnusedFor = 90 * 24 * time.Hour

// Unused reports whether a token was not used for UnusedFor, and is as old as that.
func (t Token) Unused(now time.Time) bool {
	return now.Sub(t.MadeAt) >= UnusedFor && now.Sub(t.UsedAt) >= UnusedFor
}

// NewToken is what a token is to be.
type NewToken struct {
	Name string
	Grant
	EndsAt time.Time // within LongestToken; zero: after UsualToken
}

var tokenName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)

// MakeToken makes a token that may do what v may, or less, and returns it; it is shown once. A person's token opens nothing when he
// is disabled, and never more than he may; that of somebody without a session (the socket) is of the installation. ErrTaken:
// the name is; an *InputError says what else cannot be taken.
func (a *Access) MakeToken(ctx context.Context, v Visit, n NewToken) (token secret.Value, t Token, err error) {
	if n.EndsAt.IsZero() {
		n.EndsAt = a.Now().Add(UsualToken)
	}
	switch {
	case !tokenName.MatchString(n.Name):
		err = &InputError{"a token's name has up to 63 small letters, digits and . _ -, and begins with a letter or digit"}
	case n.EndsAt.After(a.Now().Add(LongestToken)):
		err = &InputError{"a token is in force for a year at most"}
	case !n.EndsAt.After(a.Now()):
		err = &InputError{"the token would end before it begins"}
	case v.Token != 0:
		err = &InputError{"a token makes no tokens: sign in"}
	default:
		err = n.checkOfToken()
	}
	if err == nil && !v.Covers(n.Grant) {
		err = &InputError{fmt.Sprintf("a token may do no more than who makes it: you are %s", v.Role)}
	}
	if err != nil {
		return token, t, err
	}
	text := newToken()
	t = Token{
		Name: n.Name, Hint: text[:len(tokenPrefix)+4], Person: v.Person, Role: n.Role, Owners: owners(n.Grant),
		MadeAt: a.Now(), MadeBy: v.Name, EndsAt: n.EndsAt,
	}
	err = a.inTx(ctx, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `
			INSERT INTO access_tokens (name, hash, hint, person_id, role, owners, made_at, made_by, ends_at)
			VALUES ($1, $2, $3, nullif($4, 0), $5, $6, $7, $8, $9) RETURNING id`,
			t.Name, hashOf(text), t.Hint, t.Person, t.Role, t.Owners, t.MadeAt, t.MadeBy, toNull(t.EndsAt)).Scan(&t.ID)
		var pe *pgconn.PgError
		if errors.As(err, &pe) && pe.Code == "23505" { // unique_violation
			return ErrTaken
		}
		if err != nil {
			return err
		}
		return a.Record(ctx, tx, v.Name, "token.made", "token "+t.Name,
			map[string]any{"role": t.Role, "owners": t.Owners, "ends_at": toNull(t.EndsAt)})
	})
	return secret.New([]byte(text)), t, err
}

func toNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// Tokens returns those of a person, or all where whose is 0, the newest first; with those that are over if ended.
func (a *Access) Tokens(ctx context.Context, whose int64, ended bool) ([]Token, error) {
	rows, err := a.Pool.Query(ctx, `
		SELECT id, name, hint, coalesce(person_id, 0), role, owners, made_at, made_by, ends_at, used_at, revoked_at, revoked_by
		FROM access_tokens
		WHERE ($1 = 0 OR person_id = $1) AND ($2 OR revoked_at IS NULL AND (ends_at IS NULL OR ends_at > $3))
		ORDER BY id DESC LIMIT 1000`, whose, ended, a.Now())
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (t Token, err error) {
		var ends, used, revoked *time.Time
		err = row.Scan(&t.ID, &t.Name, &t.Hint, &t.Person, &t.Role, &t.Owners, &t.MadeAt, &t.MadeBy, &ends, &used, &revoked, &t.RevokedBy)
		t.EndsAt, t.UsedAt, t.RevokedAt = fromNull(ends), fromNull(used), fromNull(revoked)
		return t, err
	})
}

// Revoke has a token of a person's, or anybody's where whose is 0, open nothing any more. ErrNotFound: there is none in force.
func (a *Access) Revoke(ctx context.Context, by string, whose, id int64) error {
	return a.inTx(ctx, func(tx pgx.Tx) error {
		var name string
		err := tx.QueryRow(ctx, `
			UPDATE access_tokens SET revoked_at = $3, revoked_by = $4
			WHERE id = $1 AND ($2 = 0 OR person_id = $2) AND revoked_at IS NULL RETURNING name`, id, whose, a.Now(), by).Scan(&name)
		if errors.Is(err, pgx.ErrNoRows) {
			return ErrNotFound
		}
		if err != nil {
			return err
		}
		return a.Record(ctx, tx, by, "token.revoked", "token "+name, nil)
	})
}

// Unused counts the tokens in force, and those of them that were not used for UnusedFor.
func (a *Access) Unused(ctx context.Context) (inForce, unused int, err error) {
	now := a.Now()
	return inForce, unused, a.Pool.QueryRow(ctx, `
		SELECT count(*), count(*) FILTER (WHERE greatest(made_at, used_at) <= $1) FROM access_tokens
		WHERE revoked_at IS NULL AND (ends_at IS NULL OR ends_at > $2)`, now.Add(-UnusedFor), now).Scan(&inForce, &unused)
}

// byToken is who has a token. ErrRefused: it is none, or none any more; one that is misspelt is not looked for.
func (a *Access) byToken(ctx context.Context, text string) (v Visit, err error) {
	if !wellFormed(text) {
		return v, ErrRefused
	}
	now, name := a.Now(), ""
	var usedAt, endsAt, revokedAt, disabledAt *time.Time
	var role *Role
	var issuer *string
	var limit []string
	err = a.Pool.QueryRow(ctx, `
		SELECT t.id, t.name, t.role, t.owners, t.used_at, t.ends_at, t.revoked_at,
			coalesce(p.id, 0), p.issuer, p.role, p.owners, p.disabled_at
		FROM access_tokens t LEFT JOIN access_people p ON p.id = t.person_id
		WHERE t.hash = $1`, hashOf(text)).Scan(
		&v.Token, &name, &v.Role, &v.Owners, &usedAt, &endsAt, &revokedAt, &v.Person, &issuer, &role, &limit, &disabledAt)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return Visit{}, ErrRefused
	case err != nil:
		return Visit{}, err
	case revokedAt != nil, disabledAt != nil, endsAt != nil && !now.Before(*endsAt):
		return Visit{}, ErrRefused
	case issuer != nil && !a.Settings().admits(*issuer):
		return Visit{}, ErrRefused
	case role != nil && !(Who{Role: *role, Owners: limit}).Covers(Grant{v.Role, v.Owners}):
		return Visit{}, ErrRefused
	}
	v.Name, v.Shown, v.ByToken = "token "+name, "token "+name, true
	if now.Sub(fromNull(usedAt)) >= usedEvery {
		if _, err := a.Pool.Exec(ctx, `UPDATE access_tokens SET used_at = $2 WHERE id = $1`, v.Token, now); err != nil {
			a.Log.Warn("when a token was used is not noted", "token", name, "error", err)
		}
	}
	return v, nil
}
