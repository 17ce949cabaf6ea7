package registry_test

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/postgres/pgtest"
	"github.com/keyrounds/keyrounds/registry"
	"github.com/keyrounds/keyrounds/secret"
)

// versions tells rows apart that were written, or locked, since.
func versions(t *testing.T, pool *pgxpool.Pool) map[string]string {
	t.Helper()
	rows, err := pool.Query(t.Context(), `SELECT name, ctid::text || ' ' || xmin::text || ' ' || xmax::text FROM credentials`)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	var name, version string
	if _, err := pgx.ForEachRow(rows, []any{&name, &version}, func() error { all[name] = version; return nil }); err != nil {
		t.Fatal(err)
	}
	return all
}

// A credential of the file that does not differ is neither written nor locked: a sync beside it has nothing to wait for.
func TestSyncTouchesOnlyWhatDiffers(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	cs := file(t, "a", "b", "c")
	sync1(t, pool, noon, cs)
	before := versions(t, pool)
	sync1(t, pool, noon.Add(time.Hour), file(t, "a", "b", "c"))
	if diff := cmp.Diff(before, versions(t, pool)); diff != "" {
		t.Errorf("nothing differs, and rows were touched: %s", diff)
	}
	cs[1].Owner = "team"
	sync1(t, pool, noon.Add(time.Hour), cs)
	after := versions(t, pool)
	if before["a"] != after["a"] || before["c"] != after["c"] || before["b"] == after["b"] {
		t.Errorf("b differs: before %v, after %v", before, after)
	}

	tx, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
	if _, err := tx.Exec(t.Context(), `SELECT FROM credentials WHERE name = 'a' FOR UPDATE`); err != nil {
		t.Fatal(err)
	}
	cs[2].Owner = "team"
	sync1(t, pool, noon.Add(time.Hour), cs) // would wait for a for ever
}

// Every field is compared: what of it is changed alone is found, written and read back, and then nothing differs.
func TestSyncComparesEveryField(t *testing.T) {
	t.Parallel()
	other, err := secret.ParseReference("env:OTHER")
	if err != nil {
		t.Fatal(err)
	}
	for field, change := range map[string]func(*credential.Credential){
		"provider":       func(c *credential.Credential) { c.Provider = "other" },
		"client_id":      func(c *credential.Credential) { c.Subject = "other" },
		"key_id":         func(c *credential.Credential) { c.KeyID = "k1" },
		"secret":         func(c *credential.Credential) { c.Secret = other },
		"key_passphrase": func(c *credential.Credential) { c.KeyPassphrase = other },
		"description":    func(c *credential.Credential) { c.Description = "text" },
		"scopes":         func(c *credential.Credential) { c.Scopes = []string{"read", "write"} },
		"owner":          func(c *credential.Credential) { c.Owner = "team" },
		"labels":         func(c *credential.Credential) { c.Labels = map[string]string{"env": "test"} },
		"schedule":       func(c *credential.Credential) { c.Schedule = "0 * * * *" },
		"unused_after":   func(c *credential.Credential) { c.UnusedAfter = time.Hour },
		"max_age":        func(c *credential.Credential) { c.MaxAge = time.Hour },
		"created":        func(c *credential.Credential) { c.Created = noon.Truncate(24 * time.Hour) },
		"expires":        func(c *credential.Credential) { c.Expires = noon },
		"canary":         func(c *credential.Credential) { c.Canary = true },
		"expected_networks": func(c *credential.Credential) {
			c.ExpectedNetworks = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
		},
	} {
		t.Run(field, func(t *testing.T) {
			t.Parallel()
			pool := pgtest.New(t)
			sync1(t, pool, noon, file(t, "a", "b"))
			cs := file(t, "a", "b")
			change(&cs[0])
			changes := sync1(t, pool, noon.Add(time.Hour), cs)
			if len(changes) != 1 || cmp.Diff(changes[0].Fields, []string{field}) != "" {
				t.Fatalf("changes %+v", changes)
			}
			got, err := registry.New(pool, time.UTC).Get(t.Context(), "a")
			if err != nil {
				t.Fatal(err)
			}
			want := changes[0].Credential
			same := cmp.Options{
				cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
				cmp.Comparer(func(a, b secret.Reference) bool { return a == b }),
				cmpopts.EquateEmpty(), cmpopts.EquateApproxTime(0),
			}
			if diff := cmp.Diff(want, got, same); diff != "" {
				t.Errorf("what was written is read otherwise: %s", diff)
			}
			if again := sync1(t, pool, noon.Add(2*time.Hour), cs); again != nil {
				t.Errorf("a second time: %+v", again)
			}
		})
	}
}

// Many are registered at once with the ids that belong to them, all or none.
func TestAddMany(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	store := registry.New(pool, time.UTC)
	var names []string
	for i := range 500 {
		names = append(names, fmt.Sprintf("c-%03d", 499-i))
	}
	cs, copied := file(t, names...), 0
	for i := range cs {
		cs[i].Secret, cs[i].Sealed = secret.Sealed, []byte(cs[i].Name)
	}
	add := func(cs []credential.Credential) (changes []registry.Change, err error) {
		err = pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) (err error) {
			changes, err = store.Add(t.Context(), tx, cs, noon, func(n int) { copied = n })
			return err
		})
		return changes, err
	}
	changes, err := add(cs)
	if err != nil || len(changes) != 500 || copied != 500 {
		t.Fatalf("%d changes, %d copied, error %v", len(changes), copied, err)
	}
	for i, c := range changes {
		got, err := store.ByID(t.Context(), c.Credential.ID)
		if err != nil || got.Name != names[i] || string(got.Sealed) != names[i] || c.What != registry.Added {
			t.Fatalf("change %d: %+v, registered %+v, error %v", i, c, got, err)
		}
	}
	more := file(t, "new", "c-007")
	if _, err := add(more); err == nil || err.Error() != `the credential "c-007" exists already` {
		t.Errorf("a name that exists: %v", err)
	}
	if _, err := store.Get(t.Context(), "new"); err == nil {
		t.Error("one of two was registered")
	}
}
