package access

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/secret"
)

// firstRunFor is how long a first-run token opens the page.
const firstRunFor = time.Hour

// FirstRunToken makes a token that opens the page on which an admin is made: once, within an hour. Whoever can read where it is
// printed is trusted with that. It is also the way back in for who is locked out.
func (a *Access) FirstRunToken(ctx context.Context, by string) (token secret.Value, ends time.Time, err error) {
	text, now := randomText(24), a.Now()
	ends = now.Add(firstRunFor)
	err = a.inTx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `DELETE FROM access_first_run WHERE ends_at <= $1`, now); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `INSERT INTO access_first_run (hash, made_at, made_by, ends_at) VALUES ($1, $2, $3, $4)`,
			hashOf(text), now, by, ends)
		if err != nil {
			return err
		}
		return a.Record(ctx, tx, by, "access.first_run_token", "keyrounds", map[string]any{"ends_at": ends})
	})
	return secret.New([]byte(text)), ends, err
}

// FirstRunOpen reports whether there is a first-run token that was not used.
func (a *Access) FirstRunOpen(ctx context.Context) (open bool, err error) {
	return open, a.Pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM access_first_run WHERE ends_at > $1)`, a.Now()).Scan(&open)
}

// FirstRun makes an admin, or where a local person of this name exists gives him that role and this password and lets him in again. It
// uses the token up, and all others of its kind. ErrRefused: the token is none; an *InputError says what else cannot be
// taken, and leaves the token.
func (a *Access) FirstRun(ctx context.Context, token secret.Value, name string, password secret.Value) (p Person, err error) {
	if !a.Settings().People {
		return p, ErrRefused
	}
	known, err := a.firstRunKnown(ctx, token)
	if err != nil || !known { // before a password is hashed for whoever asks
		return p, orRefused(err)
	}
	hash, err := a.hashing.hash(ctx, name, password)
	if err != nil {
		return p, err
	}
	err = a.inTx(ctx, func(tx pgx.Tx) error {
		// Two that come together both delete all: the second waits for the first, and finds none.
		rows, err := tx.Query(ctx, `DELETE FROM access_first_run RETURNING hash = $1 AND ends_at > $2`, hashOf(token.Reveal()), a.Now())
		if err != nil {
			return err
		}
		fits, err := pgx.CollectRows(rows, pgx.RowTo[bool])
		if err != nil {
			return err
		}
		fit := false
		for _, f := range fits {
			fit = fit || f
		}
		if !fit {
			return ErrRefused
		}
		p, err = a.makeAdmin(ctx, tx, name, hash)
		return err
	})
	return p, err
}

func (a *Access) firstRunKnown(ctx context.Context, token secret.Value) (known bool, err error) {
	return known, a.Pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM access_first_run WHERE hash = $1 AND ends_at > $2)`,
		hashOf(token.Reveal()), a.Now()).Scan(&known)
}

func orRefused(err error) error {
	if err == nil {
		return ErrRefused
	}
	return err
}

const byFirstRun = "first-run token"

func (a *Access) makeAdmin(ctx context.Context, tx pgx.Tx, name, hash string) (p Person, err error) {
	there, err := a.people(ctx, tx, `WHERE name = $1 AND issuer = '' FOR UPDATE`, cut(name))
	if err != nil {
		return p, err
	}
	if len(there) == 0 {
		id, err := a.insertPerson(ctx, tx, byFirstRun, name, Grant{Role: Admin}, hash, false)
		if err != nil {
			return p, err
		}
		return a.lock(ctx, tx, id)
	}
	p = there[0]
	_, err = tx.Exec(ctx, `UPDATE access_people SET role = 'admin', owners = '{}', disabled_at = NULL WHERE id = $1`, p.ID)
	if err != nil {
		return p, err
	}
	return p, a.setPassword(ctx, tx, byFirstRun, p, hash, false, 0)
}
