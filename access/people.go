package access

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/keyrounds/keyrounds/secret"
)

// Person is somebody who may sign in.
type Person struct {
	ID         int64     `json:"id"`
	Name       string    `json:"name"`
	Issuer     string    `json:"issuer,omitempty"` // URL; "": a local person
	Subject    string    `json:"-"`
	Role       Role      `json:"role"`
	Owners     []string  `json:"owners"`
	Temporary  bool      `json:"temporary_password"`
	AddedAt    time.Time `json:"added_at"`
	AddedBy    string    `json:"added_by"`
	SignedInAt time.Time `json:"signed_in_at,omitzero"`
	DisabledAt time.Time `json:"disabled_at,omitzero"`
}

// Local reports whether the person signs in with a password of keyrounds.
func (p Person) Local() bool { return p.Issuer == "" }

// Local names: what is in parentheses in the record is never a part of one.
var localName = regexp.MustCompile(`^[a-z0-9][a-z0-9._@-]{0,62}$`)

// People returns all, by name.
func (a *Access) People(ctx context.Context) ([]Person, error) {
	return a.people(ctx, a.Pool, `ORDER BY name, id LIMIT 10000`)
}

type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

func (a *Access) people(ctx context.Context, q querier, where string, args ...any) ([]Person, error) {
	rows, err := q.Query(ctx, `
		SELECT id, name, issuer, subject, role, owners, temporary, added_at, added_by, signed_in_at, disabled_at
		FROM access_people `+where, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (p Person, err error) {
		var signedIn, disabled *time.Time
		err = row.Scan(
			&p.ID, &p.Name, &p.Issuer, &p.Subject, &p.Role, &p.Owners, &p.Temporary, &p.AddedAt, &p.AddedBy, &signedIn, &disabled)
		p.SignedInAt, p.DisabledAt = fromNull(signedIn), fromNull(disabled)
		return p, err
	})
}

func fromNull(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

// lock loads a person and holds him until tx ends.
func (a *Access) lock(ctx context.Context, tx pgx.Tx, id int64) (Person, error) {
	ps, err := a.people(ctx, tx, `WHERE id = $1 FOR UPDATE`, id)
	if err == nil && len(ps) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return Person{}, err
	}
	return ps[0], nil
}

// Grant is a role, with the owner names that go with Owner and with no other.
type Grant struct {
	Role   Role     `json:"role"`
	Owners []string `json:"owners,omitempty"`
}

// Check returns an *InputError where it is none.
func (g Grant) Check() error {
	switch {
	case g.Role == Scanner && len(g.Owners) == 0:
		return &InputError{"the role scanner is one of tokens only: people are viewer, responder, owner or admin"}
	case !slices.Contains(Roles(), g.Role):
		return &InputError{fmt.Sprintf("unknown role %q: viewer, responder, owner or admin", g.Role)}
	case g.Role == Owner && len(g.Owners) == 0:
		return &InputError{"the role owner needs owner names: whose credentials it sees"}
	case g.Role != Owner && len(g.Owners) > 0:
		return &InputError{"only the role owner has owner names"}
	case len(g.Owners) > 100 || slices.ContainsFunc(g.Owners, func(o string) bool { return o == "" || len(o) > 200 }):
		return &InputError{"at most 100 owner names, of 200 bytes each"}
	}
	return nil
}

// checkOfToken is Check for a token, which may also be a scanner's.
func (g Grant) checkOfToken() error {
	if g.Role == Scanner && len(g.Owners) == 0 {
		return nil
	}
	return g.Check()
}

// AddPerson adds a local person, with a temporary password that is shown once: whoever signs in with it must choose another.
// by is who asks. ErrTaken: the name is; an *InputError says what else cannot be taken.
func (a *Access) AddPerson(ctx context.Context, by, name string, g Grant) (temporary secret.Value, err error) {
	if err := g.Check(); err != nil {
		return temporary, err
	}
	temporary = secret.New([]byte(randomText(20)))
	hash, err := a.hashing.hash(ctx, "\x00", temporary) // a random one may hold the name
	if err != nil {
		return temporary, err
	}
	return temporary, a.inTx(ctx, func(tx pgx.Tx) error {
		_, err := a.insertPerson(ctx, tx, by, name, g, hash, true)
		return err
	})
}

func (a *Access) insertPerson(
	ctx context.Context, tx pgx.Tx, by, name string, g Grant, hash string, temporary bool,
) (id int64, err error) {
	if !localName.MatchString(name) {
		return 0, &InputError{"a name has up to 63 small letters, digits and . _ @ -, and begins with a letter or digit"}
	}
	err = tx.QueryRow(ctx, `
		INSERT INTO access_people (name, role, owners, password, temporary, added_at, added_by)
		VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id`,
		name, g.Role, owners(g), hash, temporary, a.Now(), by).Scan(&id)
	var pe *pgconn.PgError
	if errors.As(err, &pe) && pe.Code == "23505" { // unique_violation
		return 0, ErrTaken
	}
	if err != nil {
		return 0, err
	}
	return id, a.Record(ctx, tx, by, "person.added", "person "+name, g)
}

// owners is never null, as the column has it.
func owners(g Grant) []string { return append([]string{}, g.Owners...) }

// ChangeRole gives a person another role. Of an issuer's person the next sign-in decides anew.
func (a *Access) ChangeRole(ctx context.Context, by string, id int64, g Grant) error {
	if err := g.Check(); err != nil {
		return err
	}
	return a.change(ctx, id, func(tx pgx.Tx, p Person) error {
		if p.Role == Admin && g.Role != Admin {
			if err := a.another(ctx, tx, id); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(ctx, `UPDATE access_people SET role = $2, owners = $3 WHERE id = $1`, id, g.Role, owners(g)); err != nil {
			return err
		}
		return a.Record(ctx, tx, by, "person.changed", "person "+p.Name, map[string]any{"before": Grant{p.Role, p.Owners}, "now": g})
	})
}

// Disable has a person's password, sessions and tokens open nothing any more, at once; Enable takes that back, but for
// the sessions, which are gone.
func (a *Access) Disable(ctx context.Context, by string, id int64) error {
	return a.change(ctx, id, func(tx pgx.Tx, p Person) error {
		if p.Role == Admin {
			if err := a.another(ctx, tx, id); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(ctx, `UPDATE access_people SET disabled_at = $2 WHERE id = $1`, id, a.Now()); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM access_sessions WHERE person_id = $1`, id); err != nil {
			return err
		}
		return a.Record(ctx, tx, by, "person.disabled", "person "+p.Name, nil)
	})
}

// Enable lets a disabled person sign in again.
func (a *Access) Enable(ctx context.Context, by string, id int64) error {
	return a.change(ctx, id, func(tx pgx.Tx, p Person) error {
		if _, err := tx.Exec(ctx, `UPDATE access_people SET disabled_at = NULL WHERE id = $1`, id); err != nil {
			return err
		}
		return a.Record(ctx, tx, by, "person.enabled", "person "+p.Name, nil)
	})
}

// ResetPassword gives a local person a temporary password, shown once, and ends his sessions.
func (a *Access) ResetPassword(ctx context.Context, by string, id int64) (temporary secret.Value, err error) {
	temporary = secret.New([]byte(randomText(20)))
	hash, err := a.hashing.hash(ctx, "\x00", temporary)
	if err != nil {
		return temporary, err
	}
	return temporary, a.change(ctx, id, func(tx pgx.Tx, p Person) error {
		if !p.Local() {
			return &InputError{"this person has no password: his issuer signs him in"}
		}
		return a.setPassword(ctx, tx, by, p, hash, true, 0)
	})
}

// ChangePassword changes somebody's own password, and ends his other sessions. ErrRefused: the present one is wrong; an
// *InputError says why the new one cannot be taken.
func (a *Access) ChangePassword(ctx context.Context, v Visit, present, next secret.Value) error {
	var name, stored string
	err := a.Pool.QueryRow(ctx, `SELECT name, password FROM access_people WHERE id = $1 AND issuer = ''`, v.Person).Scan(&name, &stored)
	if errors.Is(err, pgx.ErrNoRows) {
		return &InputError{"only local people have a password here"}
	}
	if err != nil {
		return err
	}
	ok, err := a.hashing.matches(ctx, stored, present)
	if err != nil {
		return err
	}
	if !ok {
		return ErrRefused
	}
	if next.Equal(present) {
		return &InputError{"the new password is the same"}
	}
	hash, err := a.hashing.hash(ctx, name, next)
	if err != nil {
		return err
	}
	return a.change(ctx, v.Person, func(tx pgx.Tx, p Person) error { return a.setPassword(ctx, tx, v.Name, p, hash, false, v.Session) })
}

func (a *Access) setPassword(ctx context.Context, tx pgx.Tx, by string, p Person, hash string, temporary bool, keep int64) error {
	_, err := tx.Exec(ctx, `UPDATE access_people SET password = $2, temporary = $3 WHERE id = $1`, p.ID, hash, temporary)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `DELETE FROM access_sessions WHERE person_id = $1 AND id <> $2`, p.ID, keep); err != nil {
		return err
	}
	return a.Record(ctx, tx, by, "person.password", "person "+p.Name, map[string]any{"temporary": temporary})
}

func (a *Access) change(ctx context.Context, id int64, f func(pgx.Tx, Person) error) error {
	return a.inTx(ctx, func(tx pgx.Tx) error {
		p, err := a.lock(ctx, tx, id)
		if err != nil {
			return err
		}
		return f(tx, p)
	})
}

// another holds the other admins, of whom one must be left.
func (a *Access) another(ctx context.Context, tx pgx.Tx, id int64) error {
	others, err := a.people(ctx, tx, `WHERE role = 'admin' AND disabled_at IS NULL AND id <> $1 ORDER BY id FOR UPDATE`, id)
	if err == nil && len(others) == 0 {
		err = &InputError{"this is the only admin: make another one first"}
	}
	return err
}

// Exists reports whether a local person of a name may sign in; false where it cannot be known.
func (a *Access) Exists(ctx context.Context, name string) (exists bool) {
	_ = a.Pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM access_people WHERE name = $1 AND issuer = '' AND disabled_at IS NULL)`,
		cut(name)).Scan(&exists)
	return exists
}

// AnyPerson reports whether there is a person who may sign in.
func (a *Access) AnyPerson(ctx context.Context) (any bool, err error) {
	return any, a.Pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM access_people WHERE disabled_at IS NULL)`).Scan(&any)
}
