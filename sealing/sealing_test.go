package sealing

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/leak"
	"github.com/keyrounds/keyrounds/postgres/pgtest"
	"github.com/keyrounds/keyrounds/registry"
	"github.com/keyrounds/keyrounds/secret"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// site is a database with what is sealed in it, and a file of keys.
type site struct {
	*testing.T
	pool   *pgxpool.Pool
	path   string
	names  []string // of credentials
	record []string
}

func newSite(t *testing.T) *site {
	t.Helper()
	return &site{T: t, pool: pgtest.New(t), path: filepath.Join(t.TempDir(), "sealing.key")}
}

// keeper is one of another process: it knows what is in the file and in the database.
func (s *site) keeper() (*Keeper, *registry.Store, *leak.Store) {
	k := New(Options{
		Pool: s.pool, File: secret.KeyFile{Path: s.path}, Make: true, Now: func() time.Time { return noon },
		Record: func(_ context.Context, _ pgx.Tx, actor, action string, detail any) error {
			s.record = append(s.record, fmt.Sprint(actor, " ", action, " ", detail))
			return nil
		},
	})
	r := registry.New(s.pool, time.UTC)
	l := leak.NewStore(leak.StoreOptions{Pool: s.pool, Registry: r, Sealer: k})
	k.Over(r, l)
	return k, r, l
}

func secretOf(name string) string { return "c4n4ry-secret-of-" + name }

// add registers a credential with a sealed secret.
func (s *site) add(names ...string) error {
	k, r, _ := s.keeper()
	err := pgx.BeginFunc(s.Context(), s.pool, func(tx pgx.Tx) error {
		sealer, err := k.Hold(s.Context(), tx)
		if err != nil {
			return err
		}
		var cs []credential.Credential
		for _, name := range names {
			c := credential.Credential{Name: name, Provider: "idp", Subject: name, Secret: secret.Sealed, Schedule: "@hourly"}
			if c.Sealed, err = sealer.Seal(secret.New([]byte(secretOf(name))), name); err != nil {
				return err
			}
			cs = append(cs, c)
		}
		_, err = r.Add(s.Context(), tx, cs, noon, nil)
		return err
	})
	if err == nil {
		s.names = append(s.names, names...)
	}
	return err
}

func (s *site) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// fill seals one of each thing that is sealed.
func (s *site) fill(n int) {
	s.Helper()
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf("c%04d", i))
	}
	s.must(s.add(names...))
	_, r, l := s.keeper()
	c, err := r.Get(s.Context(), names[0])
	s.must(err)
	s.must(pgx.BeginFunc(s.Context(), s.pool, func(tx pgx.Tx) error {
		return l.Keep(s.Context(), tx, c, secret.New([]byte("c4n4ry-former-secret")), true, noon)
	}))
	for _, reporter := range []string{"github", "gitlab"} { // the same body
		s.must(l.AddDelivery(s.Context(), leak.WaitingDelivery{Reporter: reporter, Body: []byte("c4n4ry-body"), Since: noon, Next: noon}))
	}
}

// open asks for all that is sealed, as another process would.
func (s *site) open(when string) {
	s.Helper()
	k, r, l := s.keeper()
	for _, name := range s.names {
		c, err := r.Get(s.Context(), name)
		s.must(err)
		if v, err := k.Open(c.Sealed, name); err != nil || v.Reveal() != secretOf(name) {
			s.Fatalf("%s: the secret of %s: %v", when, name, err)
		}
	}
	former, err := l.Former(s.Context()) // needs the key of fingerprints
	if err != nil || len(former) != 1 {
		s.Fatalf("%s: %d credentials have a former secret, %v", when, len(former), err)
	}
	for _, terms := range former {
		if len(terms) != 1 || terms[0].Value != "c4n4ry-former-secret" {
			s.Fatalf("%s: the former secret is another", when)
		}
	}
	for range 2 {
		w, ok, err := l.ClaimDelivery(s.Context(), noon.Add(time.Hour), noon.Add(2*time.Hour))
		if err != nil || !ok || string(w.Body) != "c4n4ry-body" {
			s.Fatalf("%s: what waits: %t, %v", when, ok, err)
		}
		s.must(l.PostponeDelivery(s.Context(), w, noon, "x"))
	}
	if _, err := l.HasFingerprint(s.Context(), leak.SecretRow{}, secret.New([]byte("x"))); err != nil {
		s.Fatalf("%s: the key of fingerprints: %v", when, err)
	}
}

// A lost key is never replaced in silence (docs/promises.md#a-lost-sealing-key-is-not-replaced).
func TestALostKeyIsNotReplaced(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.must(s.add("one"))
	k, r, _ := s.keeper()
	c, err := r.Get(t.Context(), "one")
	s.must(err)
	id := secret.SealedWith(c.Sealed)
	want := fmt.Sprintf("sealed with key %s, which is not in %s: restore it from your backup", id, s.path)

	kept := s.path + ".backup"
	s.must(os.Rename(s.path, kept))
	var missing *secret.MissingKeyError
	if err := s.add("two"); !errors.As(err, &missing) || err.Error() != want {
		t.Errorf("without the key: %v", err)
	}
	if _, err := k.Open(c.Sealed, "one"); !errors.Is(err, secret.ErrUnreadable) || err.Error() != want {
		t.Errorf("to open without the key: %v", err)
	}
	if _, err := os.Stat(s.path); err == nil {
		t.Error("a new key was made")
	}
	st, err := k.Status(t.Context())
	if err != nil || !strings.HasPrefix(st.Problem, "1 "+want) || st.Current != id {
		t.Errorf("%+v, %v", st, err)
	}

	// another key, with an id of its own, and then with the id of the first
	s.must(secret.KeyFile{Path: s.path}.Make(t.Context()))
	if err := s.add("two"); !errors.As(err, &missing) || err.Error() != want {
		t.Errorf("with another key: %v", err)
	}
	if _, err := k.Open(c.Sealed, "one"); err == nil || err.Error() != want {
		t.Errorf("to open with another key: %v", err)
	}
	good, err := os.ReadFile(kept)
	s.must(err)
	s.must(os.WriteFile(s.path, []byte(damage(string(good))), 0o600))
	if err := s.add("two"); err == nil || !strings.Contains(err.Error(), "the key "+id+" in "+s.path+" is not the one") {
		t.Errorf("with a damaged key: %v", err)
	}

	// one that others can read
	s.must(os.WriteFile(s.path, good, 0o600))
	s.must(os.Chmod(s.path, 0o644))
	if err := s.add("two"); err == nil || !strings.Contains(err.Error(), "chmod 600 "+s.path) {
		t.Errorf("with mode 0644: %v", err)
	}
	k, _, _ = s.keeper()
	if _, err := k.Open(c.Sealed, "one"); !errors.Is(err, secret.ErrUnreadable) || !strings.Contains(err.Error(), "chmod 600 "+s.path) {
		t.Errorf("to open with mode 0644: %v", err)
	}

	// put back, without a new process
	s.must(os.Chmod(s.path, 0o600))
	if v, err := k.Open(c.Sealed, "one"); err != nil || v.Reveal() != secretOf("one") {
		t.Errorf("restored: %v", err)
	}
	s.must(s.add("two"))
}

// damage changes the key of a keyset, and not its id.
func damage(keyset string) string {
	at := strings.Index(keyset, `"value":"`) + len(`"value":"`) + 10
	other := byte('A')
	if keyset[at] == other {
		other = 'B'
	}
	return keyset[:at] + string(other) + keyset[at+1:]
}

// Where nothing is sealed a lost key costs nothing, and the next one takes its place.
func TestAKeyThatNothingNeedsIsReplaced(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	k, _, _ := s.keeper()
	s.must(k.Check(t.Context()))
	was, err := k.Status(t.Context())
	s.must(err)
	s.must(os.Remove(s.path))
	s.must(k.Check(t.Context()))
	is, err := k.Status(t.Context())
	if err != nil || is.Current == was.Current || is.Current == "" || is.Problem != "" {
		t.Errorf("%+v, then %+v: %v", was, is, err)
	}
	s.must(s.add("one"))
}

// What was sealed before the database knew the key is taken over with its key, and with no other.
func TestAKeyOfEarlierVersionsIsTakenOver(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.must(s.add("one"))
	_, err := s.pool.Exec(t.Context(), `DELETE FROM sealing_keys`)
	s.must(err)
	kept := s.path + ".backup"
	s.must(os.Rename(s.path, kept))
	var missing *secret.MissingKeyError
	if err := s.add("two"); !errors.As(err, &missing) {
		t.Errorf("without the key: %v", err)
	}
	s.must(secret.KeyFile{Path: s.path}.Make(t.Context()))
	if err := s.add("two"); !errors.As(err, &missing) {
		t.Errorf("with another key: %v", err)
	}
	s.must(os.Rename(kept, s.path))
	s.must(s.add("two"))
}

// Of replicas that have no key yet, each with a file of its own, one makes the key and seals; the others say that they have not
// got it.
func TestReplicasHaveOneKey(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	var (
		all   sync.WaitGroup
		mu    sync.Mutex
		wrong int
	)
	for i := range 4 {
		other := &site{T: t, pool: s.pool, path: fmt.Sprint(s.path, i)}
		all.Go(func() {
			var missing *secret.MissingKeyError
			err := other.add(fmt.Sprint("c", i))
			mu.Lock()
			defer mu.Unlock()
			if errors.As(err, &missing) {
				wrong++
			} else if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if wrong != 3 {
		t.Errorf("%d of 4 have another key than the database's", wrong)
	}
}

// Without leave to make it the key is an error, and nothing is written.
func TestANamedKeyIsNotMade(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	k := New(Options{Pool: s.pool, File: secret.KeyFile{Path: s.path}}, registry.New(s.pool, time.UTC))
	if err := k.Check(t.Context()); err == nil || !secret.Missing(err) || !strings.Contains(err.Error(), s.path) {
		t.Errorf("%v", err)
	}
	if left, _ := os.ReadDir(filepath.Dir(s.path)); len(left) > 0 {
		t.Errorf("%v", left)
	}
}
