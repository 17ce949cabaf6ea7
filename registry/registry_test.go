package registry_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/postgres/pgtest"
	"github.com/keyrounds/keyrounds/registry"
	"github.com/keyrounds/keyrounds/secret"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func file(t *testing.T, names ...string) []credential.Credential {
	t.Helper()
	ref, err := secret.ParseReference("env:A_SECRET")
	if err != nil {
		t.Fatal(err)
	}
	var cs []credential.Credential
	for _, n := range names {
		cs = append(cs, credential.Credential{
			Name:     n,
			Provider: "idp",
			Subject:  "id-" + n,
			Secret:   ref,
			Schedule: "*/15 * * * *",
			Scopes:   []string{"read"},
			Labels:   map[string]string{"env": "prod"},
		})
	}
	return cs
}

func sync1(t *testing.T, pool *pgxpool.Pool, now time.Time, cs []credential.Credential) []registry.Change {
	t.Helper()
	var changes []registry.Change
	err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) (err error) {
		changes, err = registry.New(pool, time.UTC).Sync(t.Context(), tx, cs, now)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return changes
}

func what(cs []registry.Change) (all []string) {
	for _, c := range cs {
		all = append(all, c.What+" "+c.Credential.Name)
	}
	return all
}

// The file is made so: added, changed, retired, revived; a second time nothing happens.
func TestSync(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	if got := what(sync1(t, pool, noon, file(t, "a", "b"))); !slices.Equal(got, []string{"added a", "added b"}) {
		t.Error(got)
	}
	if got := what(sync1(t, pool, noon, file(t, "a", "b"))); got != nil {
		t.Errorf("again: %v", got)
	}
	changed := file(t, "a", "b")
	changed[0].Owner = "team"
	changed[1].Subject = "other"
	changes := sync1(t, pool, noon.Add(time.Hour), changed)
	if got := what(changes); !slices.Equal(got, []string{"changed a", "changed b"}) || changes[0].Anew || !changes[1].Anew {
		t.Errorf("%v %+v", got, changes)
	}
	if got := what(sync1(t, pool, noon, changed[1:])); !slices.Equal(got, []string{"retired a"}) {
		t.Error(got)
	}
	store := registry.New(pool, time.UTC)
	if list, _ := store.List(t.Context(), false); len(list) != 1 {
		t.Errorf("active: %v", list)
	}
	if a, err := store.Get(t.Context(), "a"); err != nil || a.Retired.IsZero() || a.Owner != "team" || !a.Registered.Equal(noon) {
		t.Errorf("the retired one keeps what it was: %+v, %v", a, err)
	}
	if got := what(sync1(t, pool, noon, changed)); !slices.Equal(got, []string{"revived a"}) {
		t.Error(got)
	}
}

// A command's credential is neither taken over nor retired by the file.
func TestTheFileAndCommands(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	store := registry.New(pool, time.UTC)
	mine := file(t, "mine")[0]
	mine.Secret, mine.Sealed = secret.Sealed, []byte("sealed")
	err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
		_, err := store.Add(t.Context(), tx, []credential.Credential{mine}, noon, nil)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := what(sync1(t, pool, noon, file(t, "a"))); !slices.Equal(got, []string{"added a"}) {
		t.Error(got)
	}
	err = pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
		_, err := store.Sync(t.Context(), tx, file(t, "a", "mine"), noon)
		return err
	})
	var conflict *registry.ConflictError
	if !errors.As(err, &conflict) || conflict.Name != "mine" || conflict.Hint() == "" {
		t.Errorf("a name of both: %v", err)
	}
	err = pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
		_, err := store.Retire(t.Context(), tx, "mine", noon)
		return err
	})
	if c, gerr := store.Get(t.Context(), "mine"); err != nil || gerr != nil || c.Sealed != nil {
		t.Errorf("a retired credential keeps no sealed secret: %+v, %v", c, err)
	}
	if _, err := store.Get(t.Context(), "nobody"); !errors.Is(err, registry.ErrNotFound) {
		t.Error(err)
	}
}

// Reloads while rounds lease, renew and move the same rows: nobody waits for the other for ever.
func TestSyncWhileRoundsRun(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	store := registry.New(pool, time.UTC)
	names := []string{"a", "b", "c", "d"}
	var ids []int64
	for _, c := range sync1(t, pool, noon, file(t, names...)) {
		ids = append(ids, c.Credential.ID)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range 200 {
			cs := file(t, names...)
			slices.Reverse(cs)
			for j := range cs {
				cs[j].Owner = fmt.Sprint("team-", i)
			}
			err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
				_, err := store.Sync(t.Context(), tx, cs, noon)
				return err
			})
			if err != nil {
				t.Error("sync:", err)
				return
			}
		}
	})
	wg.Go(func() {
		for i := range 200 {
			now := noon.Add(time.Duration(i) * time.Hour)
			var all []registry.Lease
			err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
				ls, err := store.Lease(t.Context(), tx, "idp", now, now.Add(time.Minute), 10)
				all = leases(ls)
				return err
			})
			if err == nil {
				_, err = store.Renew(t.Context(), all, now.Add(2*time.Minute))
			}
			if err != nil {
				t.Error("lease:", err)
				return
			}
		}
	})
	wg.Go(func() {
		for range 200 {
			err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
				if err := store.Lock(t.Context(), tx, ids); err != nil {
					return err
				}
				return store.Reschedule(
					t.Context(),
					tx,
					[]registry.Due{{ID: ids[0], At: noon}, {ID: ids[3], At: noon}, {ID: ids[1], At: noon}},
				)
			})
			if err != nil {
				t.Error("reschedule:", err)
				return
			}
		}
	})
	wg.Wait()
}

// What shows a client id that a credential had before shows the credential, whichever way it was changed; key_id is kept.
func TestFormerClientIDs(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	s := registry.New(pool, time.UTC)
	cs := file(t, "a", "b")
	cs[0].KeyID = "k1"
	sync1(t, pool, noon, cs)
	cs[0].Subject = "id-new"
	if changes := sync1(t, pool, noon.Add(time.Hour), cs); len(changes) != 1 || !slices.Equal(changes[0].Fields, []string{"client_id"}) {
		t.Fatalf("%+v", changes)
	}
	err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
		_, err := s.Rotate(t.Context(), tx, "b", "id-rotated", time.Time{}, []byte("sealed"), noon.Add(time.Hour))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	all, err := s.UsersOf(t.Context(), pool, "idp", []string{"id-a", "id-new", "id-b", "id-rotated", "id-none"})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range all {
		got = append(got, c.Name+" "+c.Subject+" "+c.KeyID)
	}
	slices.Sort(got)
	if want := []string{"a id-a k1", "a id-new k1", "b id-b ", "b id-rotated "}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	taken := file(t, "c")
	taken[0].Subject = "id-a"
	sync1(t, pool, noon.Add(2*time.Hour), append(cs, taken...))
	if all, err := s.UsersOf(t.Context(), pool, "idp", []string{"id-a"}); err != nil || len(all) != 1 || all[0].Name != "c" {
		t.Errorf("a client id that another has now: %v, %v", all, err)
	}
	if all, err := s.UsersOf(t.Context(), pool, "another", []string{"id-a"}); err != nil || len(all) != 0 {
		t.Errorf("%v, %v", all, err)
	}
}
