package sealing

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/registry"
	"github.com/keyrounds/keyrounds/secret"
)

var errKilled = errors.New("killed")

// A rotation that is killed at any step leaves a file and a database of which everything opens and to which more is sealed, for a
// process that runs meanwhile as well, and the next call ends it (docs/promises.md#a-rotation-can-be-killed-at-any-moment).
func TestARotationIsKilledAtEveryStep(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.fill(5)
	beside, _, _ := s.keeper() // has read the old key, and nothing since
	s.must(beside.Check(t.Context()))
	old, err := beside.Status(t.Context())
	s.must(err)
	var (
		steps []string // after which it was killed
		done  Rotation
	)
	for at := 1; ; at++ {
		k, _, _ := s.keeper()
		k.batch = 2
		passed := slices.Clone(steps) // each of them once: it is killed one further on
		k.stop = func(step string) error {
			if i := slices.Index(passed, step); i >= 0 {
				passed = slices.Delete(passed, i, i+1)
				return nil
			}
			steps = append(steps, step)
			return errKilled
		}
		done, err = k.Rotate(t.Context(), "ann", func(int) {})
		if err == nil {
			break
		}
		if !errors.Is(err, errKilled) {
			t.Fatal(err)
		}
		when := fmt.Sprintf("killed after %q", steps[len(steps)-1])
		s.must(s.add(fmt.Sprintf("new-%d", at)))
		s.open(when)
		st, err := beside.Status(t.Context())
		if err != nil || st.Problem != "" {
			t.Fatalf("%s: %+v, %v", when, st, err)
		}
		s.must(beside.Check(t.Context()))
	}
	for _, step := range []string{"added", "current", "batch", "known"} {
		if !slices.Contains(steps, step) {
			t.Errorf("it was not killed after %q, but after %v", step, steps)
		}
	}
	s.open("at the end")
	st, err := beside.Status(t.Context())
	s.must(err)
	if !slices.Equal(st.InFile, []string{done.To}) || st.Current != done.To || done.To == old.Current || !done.Resumed {
		t.Errorf("%+v, %+v; it was %s", st, done, old.Current)
	}
	for what, byKey := range st.Sealed {
		if len(byKey) != 1 || byKey[done.To] == 0 {
			t.Errorf("%s: %v", what, byKey)
		}
	}
	if rows := known(s); rows != 1 {
		t.Errorf("the database knows %d keys", rows)
	}
	text := strings.Join(s.record, "\n")
	if !strings.Contains(text, "ann sealing.rotation_begun") || !strings.Contains(text, "ann sealing.rotated") ||
		strings.Contains(text, "c4n4ry") {
		t.Errorf("the record: %s", text)
	}
	again, err := beside.Rotate(t.Context(), "ann", func(int) {})
	if err != nil || again.Resumed || again.To == done.To || !slices.Equal(again.From, []string{done.To}) {
		t.Errorf("the next rotation: %+v, %v", again, err)
	}
	s.open("after the next one")
}

func known(s *site) (n int) {
	s.Helper()
	s.must(s.pool.QueryRow(s.Context(), `SELECT count(*) FROM sealing_keys`).Scan(&n))
	return n
}

// What is sealed while the keys are rotated is never sealed with a key that goes away.
func TestOthersSealMeanwhile(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.fill(3)
	var (
		all   sync.WaitGroup
		mu    sync.Mutex
		added []string
		stop  = make(chan struct{})
	)
	for i := range 3 {
		other := &site{T: t, pool: s.pool, path: s.path}
		all.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				name := fmt.Sprintf("more-%d-%d", i, n)
				if err := other.add(name); err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				added = append(added, name)
				mu.Unlock()
			}
		})
	}
	for range 4 {
		k, _, _ := s.keeper()
		k.batch = 10
		if r, err := k.Rotate(t.Context(), "ann", func(int) {}); err != nil || r.Sealed == 0 {
			t.Errorf("%+v, %v", r, err)
		}
	}
	close(stop)
	all.Wait()
	s.names = append(s.names, added...)
	s.open("at the end")
	if len(added) == 0 {
		t.Error("nobody sealed anything")
	}
}

// A replica that is given the file first opens what is sealed anew, and one that was not says which key it lacks.
func TestAddTheKeyFirst(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.fill(2)
	k, r, _ := s.keeper()
	was, err := k.Status(t.Context())
	s.must(err)
	added, err := k.Add(t.Context())
	s.must(err)
	if again, err := k.Add(t.Context()); err != nil || again != added {
		t.Errorf("it is added again: %s, then %s, %v", added, again, err)
	}
	if st, err := k.Status(t.Context()); err != nil || st.Current != was.Current {
		t.Errorf("it seals already: %+v, %v", st, err)
	}
	text, err := os.ReadFile(s.path)
	s.must(err)
	replica := s.path + ".replica"
	s.must(os.WriteFile(replica, text, 0o600))
	done, err := k.Rotate(t.Context(), "ann", func(int) {})
	if err != nil || done.To != added || !done.Resumed {
		t.Errorf("%+v, %v; the key %s was added", done, err, added)
	}
	c, err := r.Get(t.Context(), s.names[0])
	s.must(err)
	there := New(Options{Pool: s.pool, File: secret.KeyFile{Path: replica}}, r)
	if v, err := there.Open(c.Sealed, c.Name); err != nil || v.Reveal() != secretOf(c.Name) {
		t.Errorf("the replica: %v", err)
	}
	s.must(secret.KeyFile{Path: replica + "2"}.Make(t.Context()))
	elsewhere := New(Options{Pool: s.pool, File: secret.KeyFile{Path: replica + "2"}}, r)
	var missing *secret.MissingKeyError
	if _, err := elsewhere.Open(c.Sealed, c.Name); !errors.As(err, &missing) || missing.ID != added {
		t.Errorf("one without the key: %v", err)
	}
	if _, err := elsewhere.Rotate(t.Context(), "ann", func(int) {}); !errors.As(err, &missing) {
		t.Errorf("a rotation without the key: %v", err)
	}
}

// What its key does not open stops nothing else; the old key stays as long as it is there.
func TestWhatCannotBeSealedAnew(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.fill(3)
	_, err := s.pool.Exec(t.Context(), `UPDATE credentials SET sealed_secret = set_byte(sealed_secret, 9, get_byte(sealed_secret, 9) # 1)
		WHERE name = 'c0001'`)
	s.must(err)
	k, r, _ := s.keeper()
	k.batch = 1
	var left *LeftError
	if _, err := k.Rotate(t.Context(), "ann", func(int) {}); !errors.As(err, &left) || !slices.Equal(left.Names, []string{"c0001"}) {
		t.Fatal(err)
	}
	st, err := k.Status(t.Context())
	if err != nil || len(st.InFile) != 2 || known(s) != 2 {
		t.Errorf("%+v, %v", st, err)
	}
	_, err = s.pool.Exec(t.Context(), `UPDATE credentials SET sealed_secret = NULL WHERE name = 'c0001'`)
	s.must(err)
	s.names = slices.DeleteFunc(s.names, func(n string) bool { return n == "c0001" })
	done, err := k.Rotate(t.Context(), "ann", func(int) {})
	if err != nil || !done.Resumed || len(done.From) != 1 {
		t.Errorf("%+v, %v", done, err)
	}
	s.open("at the end")
	if _, err := r.Get(t.Context(), "c0001"); err != nil {
		t.Error(err)
	}
}

// What was sealed with a lost key is given up by its id, and then a new key is made. A key that is there is not lost.
func TestAbandon(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.fill(2)
	k, r, _ := s.keeper()
	st, err := k.Status(t.Context())
	s.must(err)
	if _, err := k.Abandon(t.Context(), "ann", st.Current); err == nil || !strings.Contains(err.Error(), "nothing is lost") {
		t.Errorf("a key that is there: %v", err)
	}
	s.must(os.Remove(s.path))
	if _, err := k.Abandon(t.Context(), "ann", "00000000"); err == nil {
		t.Error("a key that nobody knows was given up")
	}
	n, err := k.Abandon(t.Context(), "ann", st.Current)
	if err != nil || n != 2+1+1+2 {
		t.Errorf("%d things, %v", n, err)
	}
	s.must(s.add("after"))
	if c, err := r.Get(t.Context(), s.names[0]); err != nil || c.Sealed != nil || c.Secret != secret.Sealed {
		t.Errorf("%+v, %v", c, err)
	}
}

// kms is a KMS that can be away. What it encrypted says nothing, and is not to be broken by anybody who reads it here.
type kms struct {
	sync.Mutex
	away  bool
	asked int
}

func (*kms) String() string { return "a KMS" }

func (m *kms) turn(b []byte) ([]byte, error) {
	m.Lock()
	defer m.Unlock()
	if m.asked++; m.away {
		return nil, errors.New("the KMS is away")
	}
	b = slices.Clone(b)
	for i := range b {
		b[i] ^= 0x55
	}
	return b, nil
}

func (m *kms) EncryptWithContext(_ context.Context, text, _ []byte) ([]byte, error) {
	return m.turn(text)
}

func (m *kms) DecryptWithContext(_ context.Context, sealed, _ []byte) ([]byte, error) {
	return m.turn(sealed)
}

// A KMS is asked when the file is read, and not for each secret. While it is away what was read goes on opening and sealing; a
// process that has read nothing asks it every few seconds, however many secrets wait.
func TestAKMSIsAskedAtTheStart(t *testing.T) {
	t.Parallel()
	s, m, now := newSite(t), &kms{}, noon
	keeper := func() *Keeper {
		r := registry.New(s.pool, time.UTC)
		return New(Options{
			Pool: s.pool, File: secret.KeyFile{Path: s.path, KMS: m}, Make: true, Now: func() time.Time { return now },
		}, r)
	}
	k := keeper()
	var sealed []byte
	seal := func(k *Keeper) error {
		return pgx.BeginFunc(t.Context(), s.pool, func(tx pgx.Tx) error {
			sealer, err := k.Hold(t.Context(), tx)
			if err == nil {
				sealed, err = sealer.Seal(secret.New([]byte("c4n4ry")), "x")
			}
			return err
		})
	}
	s.must(seal(k))
	if text, err := os.ReadFile(s.path); err != nil || !strings.Contains(string(text), "encryptedKeyset") {
		t.Errorf("the file is not encrypted: %v", err)
	}
	m.away = true
	s.must(seal(k))
	if v, err := k.Open(sealed, "x"); err != nil || v.Reveal() != "c4n4ry" {
		t.Errorf("while the KMS is away: %v", err)
	}
	fresh, before := keeper(), m.asked
	for range 10 {
		if _, err := fresh.Open(sealed, "x"); !errors.Is(err, secret.ErrUnreadable) || !strings.Contains(err.Error(), "the KMS is away") {
			t.Fatalf("a new process: %v", err)
		}
	}
	if m.asked != before+1 {
		t.Errorf("it was asked %d times in a moment", m.asked-before)
	}
	if err := seal(fresh); err == nil {
		t.Error("it seals with a key that nobody opened")
	}
	m.away, now = false, now.Add(readAgain)
	if v, err := fresh.Open(sealed, "x"); err != nil || v.Reveal() != "c4n4ry" {
		t.Errorf("when the KMS is back: %v", err)
	}
	if r, err := fresh.Rotate(t.Context(), "ann", func(int) {}); err != nil || r.Resumed {
		t.Errorf("%+v, %v", r, err)
	}
}
