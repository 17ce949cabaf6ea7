package access

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/secret"
)

// SignIn looks whether a local person has this password, and takes as long where there is no such person. ErrRefused: he has
// not, is disabled, or does not exist; ErrBusy: it was not tried.
func (a *Access) SignIn(ctx context.Context, name string, password secret.Value) (Person, error) {
	if !a.Settings().People {
		return Person{}, ErrRefused
	}
	var id int64
	var stored string
	err := a.Pool.QueryRow(ctx, `
		SELECT id, password FROM access_people WHERE name = $1 AND issuer = '' AND disabled_at IS NULL`, cut(name)).Scan(&id, &stored)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return Person{}, err
	}
	ok, err := a.hashing.matches(ctx, stored, password)
	if err != nil {
		return Person{}, err
	}
	if !ok {
		return Person{}, ErrRefused
	}
	if a.hashing.stale(stored) {
		a.rehash(ctx, id, stored, password)
	}
	people, err := a.people(ctx, a.Pool, `WHERE id = $1 AND disabled_at IS NULL`, id)
	if err == nil && len(people) == 0 {
		err = ErrRefused
	}
	if err != nil {
		return Person{}, err
	}
	return people[0], nil
}

// rehash stores a password at today's cost. It is best effort.
func (a *Access) rehash(ctx context.Context, id int64, stored string, password secret.Value) {
	hash, err := a.hashing.hash(ctx, "\x00", password)
	if err == nil {
		_, err = a.Pool.Exec(ctx, `UPDATE access_people SET password = $3 WHERE id = $1 AND password = $2`, id, stored, hash)
	}
	if err != nil {
		a.Log.Debug("a password keeps its old cost", "error", err)
	}
}

// cut is a name as the database is asked for it: nothing that Postgres does not take.
func cut(name string) string {
	if !localName.MatchString(name) {
		return ""
	}
	return name
}
