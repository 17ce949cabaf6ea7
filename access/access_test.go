package access_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/keyrounds/keyrounds/access"
	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/postgres/pgtest"
	"github.com/keyrounds/keyrounds/secret"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// door is an Access with a clock that the test moves.
type door struct {
	*testing.T
	*access.Access
	pool  *pgxpool.Pool
	audit *audit.Store
	clock atomic.Int64
}

func newDoor(t *testing.T, s access.Settings) *door {
	t.Helper()
	d := &door{T: t, pool: pgtest.New(t)}
	d.clock.Store(time.Date(2026, 12, 1, 9, 0, 0, 0, time.UTC).UnixNano())
	d.audit = audit.New(audit.Options{Pool: d.pool, Now: d.now})
	d.Access = access.New(access.Options{Pool: d.pool, Record: d.record, Log: slog.New(slog.DiscardHandler), Cost: cheap, Now: d.now}, s)
	return d
}

// cheap is a cost for tests: many passwords are tried.
var cheap = access.Cost{KiB: 64, Passes: 1}

func (d *door) now() time.Time        { return time.Unix(0, d.clock.Load()).UTC() }
func (d *door) pass(by time.Duration) { d.clock.Add(int64(by)) }
func (d *door) is(err, want error, s string) {
	d.Helper()
	if !errors.Is(err, want) {
		d.Errorf("%s: %v, want %v", s, err, want)
	}
}

func (d *door) record(ctx context.Context, tx pgx.Tx, actor, act, subject string, detail any) error {
	e, err := audit.NewEntry(d.now(), actor, act, subject, detail)
	if err != nil {
		return err
	}
	return d.audit.Append(ctx, tx, e)
}

// acts are those of the record, the oldest first, with who did them.
func (d *door) acts() (all []string) {
	d.Helper()
	es, err := d.audit.Log(d.Context(), audit.Record{})
	d.must(err)
	for _, e := range es {
		all = append([]string{e.Actor + ": " + e.Action + " " + e.Subject}, all...)
	}
	return all
}

func (d *door) must(err error) {
	d.Helper()
	if err != nil {
		d.Fatal(err)
	}
}

const password = "c4n4ry correct horse"

// person adds somebody with a password of his own.
func (d *door) person(name string, g access.Grant) access.Person {
	d.Helper()
	temporary, err := d.AddPerson(d.Context(), "test", name, g)
	d.must(err)
	p, err := d.SignIn(d.Context(), name, temporary)
	d.must(err)
	if !p.Temporary {
		d.Error("the password of who adds somebody is no temporary one")
	}
	d.must(d.ChangePassword(d.Context(), access.Visit{Who: access.Who{Name: "user " + name}, Person: p.ID}, temporary, value(password)))
	p, err = d.SignIn(d.Context(), name, value(password))
	d.must(err)
	return p
}

func value(s string) secret.Value { return secret.New([]byte(s)) }

// signedIn begins a session and returns what the browser holds.
func (d *door) signedIn(p access.Person) string {
	d.Helper()
	id, err := d.Begin(request(d.T), p, "password")
	d.must(err)
	return id
}

func request(t *testing.T) *http.Request {
	return httptest.NewRequestWithContext(t.Context(), http.MethodGet, "https://keyrounds.example.com/", nil)
}

// who asks with a cookie, and returns the one that it is renewed by.
func (d *door) who(id string) (access.Visit, string, error) {
	d.Helper()
	r := request(d.T)
	r.AddCookie(access.Cookie(r, id))
	v, c, err := d.Who(r)
	if c == nil {
		return v, "", err
	}
	if c.Name != "__Host-keyrounds" || !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" {
		d.Errorf("the cookie %v", c)
	}
	return v, c.Value, err
}

func (d *door) bearer(token secret.Value) (access.Visit, error) {
	r := request(d.T)
	r.Header.Set("Authorization", "Bearer "+token.Reveal())
	v, _, err := d.Who(r)
	return v, err
}

var people = access.Settings{People: true}

// Passwords: right and wrong ones, those that nobody should have, and those of people who may not sign in.
func TestPasswords(t *testing.T) {
	t.Parallel()
	d := newDoor(t, people)
	ann := d.person("ann", access.Grant{Role: access.Admin})
	d.person("bob", access.Grant{Role: access.Owner, Owners: []string{"web"}})
	for _, k := range []struct{ name, password string }{
		{"ann", "wrong"},
		{"ann", ""},
		{"ann", password + " "},
		{"nobody", password},
		{"", password},
		{"ann\x00", password},
		{"ANN", password},
		{"ann", strings.Repeat("x", 1<<20)},
		{"' OR true --", password},
	} {
		_, err := d.SignIn(t.Context(), k.name, value(k.password))
		d.is(err, access.ErrRefused, k.name)
	}
	for bad, why := range map[string]string{
		"sh0rt":                     "too short",
		"aaaaaaaaaaaaaaaaa":         "repeats",
		"bobs own pass word":        "hold the name",
		strings.Repeat("äb cd", 80): "too long",
		"with a line\nend in it":    "no keyboard",
	} {
		bob, err := d.SignIn(t.Context(), "bob", value(password))
		d.must(err)
		err = d.ChangePassword(t.Context(), access.Visit{Person: bob.ID}, value(password), value(bad))
		var input *access.InputError
		if !errors.As(err, &input) || !strings.Contains(err.Error(), why) || strings.Contains(err.Error(), bad) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	err := d.ChangePassword(t.Context(), access.Visit{Person: ann.ID}, value("wrong"), value("another pass word"))
	d.is(err, access.ErrRefused, "wrong present one")
	// The same password on another keyboard: ä as one character, or as two (RFC 8265).
	d.must(d.ChangePassword(t.Context(), access.Visit{Person: ann.ID}, value(password), value("p\u00e4ssw\u00f6rter sind")))
	_, err = d.SignIn(t.Context(), "ann", value("pa\u0308sswo\u0308rter sind"))
	d.must(err)
	// A hash of another cost is replaced at the next sign-in.
	dear := access.New(access.Options{
		Pool: d.pool, Record: d.record, Log: slog.New(slog.DiscardHandler), Cost: access.Cost{KiB: 128, Passes: 2}, Now: d.now,
	}, people)
	before := d.stored("bob")
	_, err = dear.SignIn(t.Context(), "bob", value(password))
	d.must(err)
	if after := d.stored("bob"); after == before || !strings.Contains(after, "m=128,t=2,p=1") ||
		!strings.HasPrefix(before, "$argon2id$v=19$") {
		t.Errorf("stored %q, then %q", before, after)
	}
	d.Reload(access.Settings{})
	_, err = d.SignIn(t.Context(), "bob", value(password))
	d.is(err, access.ErrRefused, "local people are off")
}

func (d *door) stored(name string) (hash string) {
	d.Helper()
	d.must(d.pool.QueryRow(d.Context(), `SELECT password FROM access_people WHERE name = $1`, name).Scan(&hash))
	return hash
}

// Who is unknown costs the same as a wrong password: the same hash is made. What would take more is refused.
func TestUnknownPeopleCostTheSame(t *testing.T) {
	t.Parallel()
	d := newDoor(t, people)
	d.person("ann", access.Grant{Role: access.Admin})
	before := d.Hashed()
	_, _ = d.SignIn(t.Context(), "nobody", value("wrong"))
	unknown := d.Hashed() - before
	_, _ = d.SignIn(t.Context(), "ann", value("wrong"))
	if known := d.Hashed() - before - unknown; unknown != 1 || known != 1 {
		t.Errorf("%d hashes for who is unknown, %d for a wrong password", unknown, known)
	}
	for _, hostile := range []string{
		"", "$argon2id$v=19$m=99999999,t=1,p=1$c2FsdHNhbHQ$" + strings.Repeat("A", 43), "$2y$10$x",
		"$argon2id$v=19$m=64,t=0,p=1$c2FsdHNhbHQ$" + strings.Repeat("A", 43),
	} {
		_, err := d.pool.Exec(t.Context(), `UPDATE access_people SET password = $1`, hostile)
		d.must(err)
		if _, err := d.SignIn(t.Context(), "ann", value(password)); err == nil {
			t.Errorf("%q opens", hostile)
		}
	}
}

// A role has what goes with it, an admin is always left, and the record has who changed what.
func TestPeople(t *testing.T) {
	t.Parallel()
	d := newDoor(t, people)
	ann := d.person("ann", access.Grant{Role: access.Admin})
	_, err := d.AddPerson(t.Context(), "x", "ann", access.Grant{Role: access.Viewer})
	d.is(err, access.ErrTaken, "ann again")
	for _, g := range []access.Grant{{}, {Role: "root"}, {Role: access.Owner}, {Role: access.Viewer, Owners: []string{"web"}}} {
		var input *access.InputError
		if _, err := d.AddPerson(t.Context(), "x", "carl", g); !errors.As(err, &input) {
			t.Errorf("%+v: %v", g, err)
		}
	}
	var input *access.InputError
	if err := d.Disable(t.Context(), "x", ann.ID); !errors.As(err, &input) {
		t.Errorf("the only admin is disabled: %v", err)
	}
	if err := d.ChangeRole(t.Context(), "x", ann.ID, access.Grant{Role: access.Viewer}); !errors.As(err, &input) {
		t.Errorf("the only admin is none any more: %v", err)
	}
	bob := d.person("bob", access.Grant{Role: access.Admin})
	var wg sync.WaitGroup
	failed := make([]error, 2)
	for i, id := range []int64{ann.ID, bob.ID} { // each the other: one must stay
		wg.Go(func() { failed[i] = d.Disable(t.Context(), "x", id) })
	}
	wg.Wait()
	if (failed[0] == nil) == (failed[1] == nil) {
		t.Errorf("both admins at once: %v, %v", failed[0], failed[1])
	}
	d.is(d.Disable(t.Context(), "x", 12345), access.ErrNotFound, "nobody")
	acts := strings.Join(d.acts(), "\n")
	if !strings.Contains(acts, "test: person.added person ann\nuser ann: person.password person ann") || strings.Contains(acts, password) {
		t.Error(acts)
	}
}

// The attacks on sessions. Each ends with nobody.
func TestSessions(t *testing.T) {
	t.Parallel()
	d := newDoor(t, people)
	ann := d.person("ann", access.Grant{Role: access.Responder})
	d.person("zoe", access.Grant{Role: access.Admin})
	first := d.signedIn(ann)
	v, renewed, err := d.who(first)
	if err != nil || renewed != "" || v.Name != "user ann" || v.Role != access.Responder || v.Person != ann.ID || v.Session == 0 {
		t.Fatalf("%+v %q %v", v, renewed, err)
	}
	var inTables int
	err = d.pool.QueryRow(t.Context(), `SELECT count(*) FROM access_sessions s WHERE s::text LIKE '%' || $1 || '%'`, first).Scan(&inTables)
	d.must(err)
	if inTables != 0 {
		t.Error("the id is in the table")
	}

	// After an hour it gets a new id. Until that is shown the old one is taken, and requests cross for a while after.
	d.pass(time.Hour)
	_, second, err := d.who(first)
	d.must(err)
	if second == "" || second == first {
		t.Fatalf("not renewed: %q", second)
	}
	if _, third, err := d.who(first); err != nil || third != "" {
		t.Errorf("a request beside it: %q %v", third, err)
	}
	d.pass(2 * time.Minute) // the answer with the new id was lost
	_, second, err = d.who(first)
	d.must(err)
	if second == "" {
		t.Fatal("the new id was lost, and no other is sent")
	}
	_, _, err = d.who(second)
	d.must(err)
	_, _, err = d.who(first)
	d.must(err)
	d.pass(31 * time.Second)
	_, _, err = d.who(first) // stolen, or the browser's own where the thief has renewed it
	d.is(err, access.ErrNobody, "an old id")
	_, _, err = d.who(second)
	d.is(err, access.ErrNobody, "the session whose old id was shown")
	if acts := d.acts(); acts[len(acts)-1] != "nobody: access.refused person ann" {
		t.Errorf("%q", acts)
	}

	for what, ends := range map[string]func(){
		"not used for 12 hours": func() { d.pass(12 * time.Hour) },
		"disabled": func() {
			d.must(d.Disable(t.Context(), "x", ann.ID))
			d.must(d.Enable(t.Context(), "x", ann.ID))
		},
		"a new password": func() {
			temporary, err := d.ResetPassword(t.Context(), "x", ann.ID)
			d.must(err)
			d.must(d.ChangePassword(t.Context(), access.Visit{Person: ann.ID}, temporary, value(password)))
		},
		"ended by an admin": func() {
			all, err := d.Sessions(t.Context(), ann.ID)
			if err != nil || len(all) != 1 || all[0].Name != "ann" {
				t.Fatal(all, err)
			}
			d.is(d.EndSession(t.Context(), "x", ann.ID+1, all[0].ID), access.ErrNotFound, "somebody else's")
			d.must(d.EndSession(t.Context(), "x", 0, all[0].ID))
		},
	} {
		id := d.signedIn(ann)
		_, _, err := d.who(id)
		d.must(err)
		ends()
		_, _, err = d.who(id)
		d.is(err, access.ErrNobody, what)
	}

	// Seven days are the end, however much it is used.
	id := d.signedIn(ann)
	for h := range 24 * 8 {
		d.pass(time.Hour)
		_, next, err := d.who(id)
		if over := h >= 24*7-1; over != errors.Is(err, access.ErrNobody) {
			t.Fatalf("after %d hours: %v", h+1, err)
		}
		if next != "" {
			id = next
		}
	}
	for _, made := range []string{"", "x", strings.Repeat("A", 43), strings.Repeat("A", 1<<16)} {
		_, _, err = d.who(made)
		d.is(err, access.ErrNobody, "an id that was made up")
	}
}

// An id that a browser brings is never taken over, and its session ends (fixation).
func TestNoFixation(t *testing.T) {
	t.Parallel()
	d := newDoor(t, people)
	ann, eve := d.person("ann", access.Grant{Role: access.Admin}), d.person("eve", access.Grant{Role: access.Viewer})
	planted := d.signedIn(eve)
	r := request(t)
	r.AddCookie(access.Cookie(r, planted))
	id, err := d.Begin(r, ann, "password")
	d.must(err)
	if id == planted {
		t.Fatal("the id that was brought is taken")
	}
	_, _, err = d.who(planted)
	d.is(err, access.ErrNobody, "the planted id")
	// A cookie without the prefix, which plain http could set, counts over TLS for nothing.
	r = request(t)
	r.AddCookie(&http.Cookie{Name: "keyrounds", Value: id})
	_, _, err = d.Who(r)
	d.is(err, access.ErrNobody, "without the prefix")
	plain := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1:8181/", nil)
	if c := access.Cookie(plain, id); c.Name != "keyrounds" || c.Secure {
		t.Errorf("on plain loopback: %v", c)
	}
	for _, host := range []string{"keyrounds.example.com", "127.0.0.1.evil.example", "10.0.0.1"} {
		plain.Host = host
		if c := access.Cookie(plain, id); c.Name != "__Host-keyrounds" || !c.Secure {
			t.Errorf("%s: %v", host, c)
		}
	}
}

// A scanner's token has texts searched, and opens nothing else; people have no such role, and who may not search makes none.
func TestScannersTokens(t *testing.T) {
	t.Parallel()
	d := newDoor(t, people)
	local := func(r access.Role) access.Visit {
		return access.Visit{Who: access.Who{Name: "user x", Role: r, Owners: []string{"web"}}}
	}
	scanner := access.NewToken{Name: "git", Grant: access.Grant{Role: access.Scanner}}
	for _, role := range []access.Role{access.Viewer, access.Owner} { // an owner sees his own only, and the token finds all
		var input *access.InputError
		if _, _, err := d.MakeToken(t.Context(), local(role), scanner); !errors.As(err, &input) {
			t.Errorf("%s: %v", role, err)
		}
	}
	token, _, err := d.MakeToken(t.Context(), local(access.Responder), scanner)
	d.must(err)
	v, err := d.bearer(token)
	d.must(err)
	for deed, want := range map[access.Deed]bool{
		access.Enter: true, access.Scan: true, access.See: false, access.Respond: false, access.Decide: false, access.Administer: false,
	} {
		if v.May(deed) != want {
			t.Errorf("%s: %v", deed, !want)
		}
	}
	var input *access.InputError
	if _, err := d.AddPerson(t.Context(), "x", "git", scanner.Grant); !errors.As(err, &input) {
		t.Errorf("a person: %v", err)
	}
	if (access.Who{Role: access.Viewer}).May(access.Scan) {
		t.Error("a viewer tries guesses")
	}
}

// The attacks on tokens, and what they are for.
func TestTokens(t *testing.T) {
	t.Parallel()
	d := newDoor(t, people)
	ann := d.person("ann", access.Grant{Role: access.Admin})
	bob := d.person("bob", access.Grant{Role: access.Owner, Owners: []string{"web", "data"}})
	visit := func(p access.Person) access.Visit {
		v, _, err := d.who(d.signedIn(p))
		d.must(err)
		return v
	}
	token, made, err := d.MakeToken(t.Context(), visit(bob),
		access.NewToken{Name: "ci", Grant: access.Grant{Role: access.Owner, Owners: []string{"web"}}, EndsAt: d.now().Add(24 * time.Hour)})
	d.must(err)
	v, err := d.bearer(token)
	if err != nil || v.Name != "token ci" || v.Role != access.Owner || v.Sees("data") || !v.Sees("web") || v.May(access.Administer) {
		t.Errorf("%+v %v", v, err)
	}
	if text := token.Reveal(); len(text) != 39 || !strings.HasPrefix(text, "kr_") || !strings.HasPrefix(text, made.Hint) ||
		len(made.Hint) > 7 {
		t.Errorf("its form: %d %s", len(text), made.Hint)
	}
	for what, n := range map[string]access.NewToken{
		"more than he may":   {Name: "a", Grant: access.Grant{Role: access.Admin}},
		"sees everything":    {Name: "b", Grant: access.Grant{Role: access.Viewer}},
		"others' owner name": {Name: "c", Grant: access.Grant{Role: access.Owner, Owners: []string{"hr"}}},
		"a bad name":         {Name: "A b", Grant: access.Grant{Role: access.Owner, Owners: []string{"web"}}},
		"more than a year": {
			Name: "e", Grant: access.Grant{Role: access.Owner, Owners: []string{"web"}},
			EndsAt: d.now().Add(access.LongestToken + time.Hour),
		},
		"over before": {Name: "d", Grant: access.Grant{Role: access.Owner, Owners: []string{"web"}}, EndsAt: d.now()},
	} {
		var input *access.InputError
		if _, _, err := d.MakeToken(t.Context(), visit(bob), n); !errors.As(err, &input) {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, _, err = d.MakeToken(t.Context(), visit(ann), access.NewToken{Name: "ci", Grant: access.Grant{Role: access.Viewer}})
	d.is(err, access.ErrTaken, "the name")
	child := access.NewToken{Name: "child", Grant: access.Grant{Role: access.Owner, Owners: []string{"web"}}}
	if _, _, err := d.MakeToken(t.Context(), v, child); err == nil {
		t.Error("a token made a token")
	}

	// It is written at most once a minute when it was used.
	used := func() time.Time {
		ts, err := d.Tokens(t.Context(), bob.ID, true)
		d.must(err)
		return ts[0].UsedAt
	}
	at := used()
	d.pass(59 * time.Second)
	_, _ = d.bearer(token)
	if !used().Equal(at) {
		t.Error("written twice in a minute")
	}
	d.pass(time.Second)
	_, _ = d.bearer(token)
	if used().Equal(at) {
		t.Error("not written after a minute")
	}

	for what, end := range map[string]struct{ end, mend func() }{
		"of a disabled person": {
			func() { d.must(d.Disable(t.Context(), "x", bob.ID)) }, func() { d.must(d.Enable(t.Context(), "x", bob.ID)) },
		},
		"of who may less now": {
			func() {
				d.must(d.ChangeRole(t.Context(), "x", bob.ID, access.Grant{Role: access.Owner, Owners: []string{"hr"}}))
			},
			func() { d.must(d.ChangeRole(t.Context(), "x", bob.ID, access.Grant{Role: access.Admin})) },
		},
		"over": {func() { d.pass(25 * time.Hour) }, func() { d.pass(-25 * time.Hour) }},
	} {
		end.end()
		_, err := d.bearer(token)
		d.is(err, access.ErrRefused, what)
		end.mend()
		_, err = d.bearer(token)
		d.must(err)
	}
	lasting, _, err := d.MakeToken(t.Context(), access.Visit{Who: access.Who{Name: "user root (uid 0)", Role: access.Admin}},
		access.NewToken{Name: "lasting", Grant: access.Grant{Role: access.Viewer}, EndsAt: d.now().Add(access.LongestToken)})
	d.must(err)
	for _, want := range []struct {
		after           time.Duration
		inForce, unused int
	}{{0, 2, 0}, {89 * 24 * time.Hour, 1, 0}, {24 * time.Hour, 1, 1}} {
		d.pass(want.after)
		if n, unused, err := d.Unused(t.Context()); err != nil || n != want.inForce || unused != want.unused {
			t.Errorf("%d in force, %d unused, %v, want %+v", n, unused, err, want)
		}
	}
	if all, err := d.Tokens(t.Context(), 0, false); err != nil || len(all) != 1 || !all[0].Unused(d.now()) {
		t.Errorf("%+v %v", all, err)
	}
	_, err = d.bearer(lasting)
	d.must(err)
	if _, unused, err := d.Unused(t.Context()); err != nil || unused != 0 {
		t.Errorf("%d unused after a use, %v", unused, err)
	}
	d.pass(-90 * 24 * time.Hour)
	d.is(d.Revoke(t.Context(), "x", ann.ID, made.ID), access.ErrNotFound, "somebody else's")
	d.must(d.Revoke(t.Context(), "user bob", bob.ID, made.ID))
	_, err = d.bearer(token)
	d.is(err, access.ErrRefused, "revoked")
	var inTables int
	err = d.pool.QueryRow(t.Context(), `SELECT count(*) FROM access_tokens s WHERE s::text LIKE '%' || $1 || '%'`, token.Reveal()[8:]).
		Scan(&inTables)
	d.must(err)
	if inTables != 0 {
		t.Error("the token is in the table")
	}
}

// A token whose checksum is wrong is refused without the database, which a scanner or a guesser would burden.
func TestAMisspeltTokenIsNotLookedFor(t *testing.T) {
	t.Parallel()
	d := newDoor(t, people)
	d.person("ann", access.Grant{Role: access.Admin})
	token, _, err := d.MakeToken(t.Context(), access.Visit{Who: access.Who{Name: "user root (uid 0)", Role: access.Admin}},
		access.NewToken{Name: "ci", Grant: access.Grant{Role: access.Viewer}})
	d.must(err)
	text := token.Reveal()
	d.pool.Close()
	for _, bad := range []string{
		text[:len(text)-1] + string(text[len(text)-1]^1), text[:5] + "0" + text[6:len(text)-1] + "0", text + "0", text[:len(text)-1], "kr_",
	} {
		if bad == text {
			continue
		}
		_, err := d.bearer(value(bad))
		d.is(err, access.ErrRefused, "misspelt")
	}
	if _, err := d.bearer(token); err == nil || errors.Is(err, access.ErrRefused) || errors.Is(err, access.ErrNobody) {
		t.Errorf("a right one, with the database away: %v", err)
	}
}

// The first-run token opens once, within an hour, for one; and lets back in who is locked out.
func TestFirstRun(t *testing.T) {
	t.Parallel()
	d := newDoor(t, people)
	token, _, err := d.FirstRunToken(t.Context(), "user root")
	d.must(err)
	other, _, err := d.FirstRunToken(t.Context(), "user root")
	d.must(err)
	_, err = d.FirstRun(t.Context(), value("wrong"), "ann", value(password))
	d.is(err, access.ErrRefused, "a wrong token")
	var input *access.InputError
	if _, err := d.FirstRun(t.Context(), token, "ann", value("short")); !errors.As(err, &input) {
		t.Errorf("a short password: %v", err)
	}
	d.pass(time.Hour)
	_, err = d.FirstRun(t.Context(), token, "ann", value(password))
	d.is(err, access.ErrRefused, "after an hour")
	d.pass(-time.Minute)
	var wg sync.WaitGroup
	var made atomic.Int32
	for i, with := range []secret.Value{token, other, token, other} {
		wg.Go(func() {
			if _, err := d.FirstRun(t.Context(), with, fmt.Sprintf("ann%d", i), value(password)); err == nil {
				made.Add(1)
			}
		})
	}
	wg.Wait()
	all, err := d.People(t.Context())
	if err != nil || len(all) != 1 || made.Load() != 1 || all[0].Role != access.Admin {
		t.Fatalf("%d made, %+v, %v", made.Load(), all, err)
	}
	if open, err := d.FirstRunOpen(t.Context()); err != nil || open {
		t.Errorf("still open: %v %v", open, err)
	}
	id := d.signedIn(all[0])
	token, _, err = d.FirstRunToken(t.Context(), "user root")
	d.must(err)
	p, err := d.FirstRun(t.Context(), token, all[0].Name, value("c4n4ry another one"))
	if err != nil || p.ID != all[0].ID {
		t.Errorf("%+v %v", p, err)
	}
	_, _, err = d.who(id)
	d.is(err, access.ErrNobody, "a session from before")
	_, err = d.SignIn(t.Context(), all[0].Name, value("c4n4ry another one"))
	d.must(err)
}

// Of a flood of refusals the record has some, and how many more there were.
func TestRefusalsAreBounded(t *testing.T) {
	t.Parallel()
	d := newDoor(t, people)
	for range 500 {
		d.Refused(t.Context(), access.Refusal{Subject: "person eve\n\x00", Why: "wrong_password", Address: "192.0.2.1"})
	}
	if n := len(d.acts()); n != 30 {
		t.Errorf("%d entries", n)
	}
	d.pass(time.Minute)
	d.Refused(t.Context(), access.Refusal{Subject: "person eve", Why: "wrong_password", Address: "192.0.2.1"})
	es, err := d.audit.Log(t.Context(), audit.Record{Limit: 1})
	if err != nil || !strings.Contains(string(es[0].Detail), `"not_recorded_before": 470`) {
		t.Errorf("%s %v", es[0].Detail, err)
	}
}

// Who looks by which means, where nobody signs in and where somebody does.
func TestWho(t *testing.T) {
	t.Parallel()
	d := newDoor(t, access.Settings{Basic: map[string]access.Role{"ops": access.Admin}})
	open := func(r *http.Request) *http.Request { return r.WithContext(access.WithNobodyAsked(r.Context())) }
	v, _, err := d.Who(open(request(t)))
	if err != nil || v.Name != access.Anybody || v.Role != access.Viewer {
		t.Errorf("%+v %v", v, err)
	}
	for user, role := range map[string]access.Role{"prometheus": access.Viewer, "ops": access.Admin} {
		r := request(t)
		v, _, err := d.Who(r.WithContext(access.WithBasic(r.Context(), user)))
		if err != nil || v.Role != role || v.Name != "user "+user+" (web_config)" {
			t.Errorf("%+v %v", v, err)
		}
	}
	r := request(t)
	r.SetBasicAuth("ops", "x") // which the listener did not look at
	if v, _, err := d.Who(open(r)); err != nil || v.Role != access.Viewer {
		t.Errorf("%+v %v", v, err)
	}
	_, _, err = d.Who(r)
	d.is(err, access.ErrNobody, "of whom nothing is proven")
	d.Reload(people)
	_, _, err = d.Who(request(t))
	d.is(err, access.ErrNobody, "with sign-in")
	r = request(t)
	_, _, err = d.Who(r.WithContext(access.WithPeer(r.Context(), access.Peer{Name: "user eve (uid 1001)"})))
	d.is(err, access.ErrRefused, "a peer without a role")
}
