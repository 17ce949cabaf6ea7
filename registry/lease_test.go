package registry_test

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/keyrounds/keyrounds/postgres/pgtest"
	"github.com/keyrounds/keyrounds/registry"
)

const leaseTime = 35 * time.Second

func lease(t *testing.T, pool *pgxpool.Pool, now time.Time, limit int, end func(pgx.Tx) error) []registry.Leased {
	t.Helper()
	tx, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ls, err := registry.New(pool, time.UTC).Lease(t.Context(), tx, "idp", now, now.Add(leaseTime), limit)
	if err := errors.Join(err, end(tx)); err != nil {
		t.Fatal(err)
	}
	return ls
}

func leases(ls []registry.Leased) (all []registry.Lease) {
	for _, l := range ls {
		all = append(all, l.Lease)
	}
	return all
}

// settle moves what was leased on to the next slot after now.
func settle(t *testing.T, pool *pgxpool.Pool, now time.Time, ls ...registry.Leased) {
	t.Helper()
	var ds []registry.Settled
	for _, l := range ls {
		at, why := l.Next(time.UTC, now)
		ds = append(ds, registry.Settled{Due: registry.Due{ID: l.ID, At: at, Why: why}, Was: l.NextCheck, Lease: l.Lease.Number})
	}
	in(t, pool, func(tx pgx.Tx) error { return registry.New(pool, time.UTC).Settle(t.Context(), tx, ds) })
}

func in(t *testing.T, pool *pgxpool.Pool, f func(pgx.Tx) error) {
	t.Helper()
	if err := pgx.BeginFunc(t.Context(), pool, f); err != nil {
		t.Fatal(err)
	}
}

// However many slots were missed, a credential is due once, and the next slot is later
// (docs/promises.md#however-many-slots-were-missed-a-credential-is-due-once).
func TestLease(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	sync1(t, pool, noon, file(t, "a", "b", "c"))
	commit := func(tx pgx.Tx) error { return tx.Commit(t.Context()) }
	undo := func(tx pgx.Tx) error { return tx.Rollback(t.Context()) }
	later := noon.Add(5 * 24 * time.Hour)
	if n := len(lease(t, pool, later, 10, undo)); n != 3 {
		t.Errorf("%d due, want 3", n)
	}
	two := lease(t, pool, later, 2, commit)
	if len(two) != 2 || two[0].Lease.Number != 1 {
		t.Errorf("a rolled back lease gives all back, the limit holds: %+v", two)
	}
	one := lease(t, pool, later, 10, commit)
	if len(one) != 1 {
		t.Errorf("the one that is left: %d", len(one))
	}
	if lags, err := registry.New(pool, time.UTC).Lags(t.Context(), later); err != nil || lags["idp"] != 5*24*time.Hour {
		t.Errorf("what is leased is not recorded yet, and yet the lag is %s (%v)", lags, err)
	}
	settle(t, pool, later, append(two, one...)...)
	if n := len(lease(t, pool, later.Add(time.Second), 10, commit)); n != 0 {
		t.Errorf("%d are due again in the same slot", n)
	}
	if n := len(lease(t, pool, later.Add(16*time.Minute), 10, commit)); n < 1 {
		t.Error("none is due in the next slot")
	}
}

// Those who waited longest come first, and a provider has only its own.
func TestLeaseInTurn(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	other := file(t, "x")
	other[0].Provider = "other"
	sync1(t, pool, noon, append(file(t, "a", "b", "c"), other...))
	for i, name := range []string{"c", "a", "x", "b"} {
		if _, err := pool.Exec(t.Context(), `UPDATE credentials SET next_check_at = $2 WHERE name = $1`,
			name, noon.Add(time.Duration(i)*time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for _, l := range lease(t, pool, noon.Add(time.Minute), 10, func(tx pgx.Tx) error { return tx.Commit(t.Context()) }) {
		got = append(got, l.Name)
	}
	if !slices.Equal(got, []string{"c", "a", "b"}) {
		t.Errorf("leased %q", got)
	}
}

// Two who lease at once share what is due (docs/promises.md#replicas-check-what-is-due-once).
func TestTwoLeaseAtOnce(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	var names []string
	for i := range 100 {
		names = append(names, "c"+string(rune('a'+i/26))+string(rune('a'+i%26)))
	}
	sync1(t, pool, noon, file(t, names...))
	var (
		mu   sync.Mutex
		seen = map[string]int{}
		wait sync.WaitGroup
	)
	for range 4 {
		wait.Go(func() {
			for range 10 {
				for _, l := range lease(t, pool, noon.Add(time.Minute), 7, func(tx pgx.Tx) error { return tx.Commit(t.Context()) }) {
					mu.Lock()
					seen[l.Name]++
					mu.Unlock()
				}
			}
		})
	}
	wait.Wait()
	for _, n := range names {
		if seen[n] != 1 {
			t.Errorf("%s was leased %d times", n, seen[n])
		}
	}
}

// What a process had leased that was killed is leased again when its 35 s are over, and not before. One that lives
// renews.
func TestALeaseEndsByItself(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	store := registry.New(pool, time.UTC)
	sync1(t, pool, noon, file(t, "a"))
	commit := func(tx pgx.Tx) error { return tx.Commit(t.Context()) }
	first := lease(t, pool, noon, 10, commit)
	ids, err := store.Renew(t.Context(), leases(first), noon.Add(10*time.Second).Add(leaseTime))
	if err != nil || !slices.Equal(ids, []int64{first[0].ID}) {
		t.Fatal(ids, err)
	}
	due := func(now time.Time) (ps []string) {
		in(t, pool, func(tx pgx.Tx) (err error) {
			ps, err = store.DueProviders(t.Context(), tx, now, 0)
			return err
		})
		return ps
	}
	if now := noon.Add(44 * time.Second); len(due(now)) != 0 || len(lease(t, pool, now, 10, commit)) != 0 {
		t.Error("it is leased to another although it was renewed")
	}
	now := noon.Add(45 * time.Second)
	if ps := due(now); !slices.Equal(ps, []string{"idp"}) {
		t.Errorf("providers with something due: %q", ps)
	}
	second := lease(t, pool, now, 10, commit)
	if len(second) != 1 || second[0].Lease.Number != 2 || !second[0].NextCheck.Equal(noon) {
		t.Fatalf("leased again: %+v", second)
	}
	// The first wakes. Its lease is not its own any more: it can do nothing with it.
	if ids, err := store.Renew(t.Context(), leases(first), now.Add(time.Hour)); err != nil || len(ids) != 0 {
		t.Fatal(ids, err)
	}
	in(t, pool, func(tx pgx.Tx) error {
		newest, err := store.LockLeases(t.Context(), tx, []int64{first[0].ID})
		if len(newest) != 1 || newest[first[0].ID] != 2 {
			t.Errorf("newest leases: %v", newest)
		}
		return errors.Join(err, store.HandBack(t.Context(), tx, leases(first)))
	})
	settle(t, pool, now, first...)
	if c, err := store.Get(t.Context(), "a"); err != nil || !c.NextCheck.Equal(noon) {
		t.Errorf("an old lease settled it: %s, %v", c.NextCheck, err)
	}
	if n := len(lease(t, pool, now.Add(34*time.Second), 10, commit)); n != 0 {
		t.Error("an old lease was renewed or handed back in place of the new one")
	}
	// The second ends in order: it is due again at its next slot, and cannot be renewed.
	settle(t, pool, now, second...)
	if ids, err := store.Renew(t.Context(), leases(second), noon.Add(24*time.Hour)); err != nil || len(ids) != 0 {
		t.Fatal(ids, err)
	}
	if n := len(lease(t, pool, now.Add(31*time.Minute), 10, commit)); n != 1 {
		t.Error("it is not due in its next slot")
	}
}

// What is handed back is as due as before.
func TestHandBack(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	store := registry.New(pool, time.UTC)
	sync1(t, pool, noon, file(t, "a", "b"))
	commit := func(tx pgx.Tx) error { return tx.Commit(t.Context()) }
	ls := lease(t, pool, noon, 10, commit)
	in(t, pool, func(tx pgx.Tx) error { return store.HandBack(t.Context(), tx, leases(ls)[:1]) })
	again := lease(t, pool, noon, 10, commit)
	if len(again) != 1 || again[0].Name != ls[0].Name || again[0].Lease.Number != 2 || !again[0].NextCheck.Equal(noon) {
		t.Errorf("%+v", again)
	}
}

// A time that was set while a credential was being checked is not lost: the sooner of both holds.
func TestATimeSetMeanwhile(t *testing.T) {
	t.Parallel()
	for _, k := range []struct {
		name      string
		meanwhile time.Duration // from noon; 0: nothing was set
		leased    bool
		want      time.Duration
		why       string
	}{
		{"nothing", 0, true, 15 * time.Minute, "settled"},
		{"sooner", time.Minute, true, time.Minute, "wanted"},
		{"later", time.Hour, true, 15 * time.Minute, "settled"},
		{"nothing, without a lease", 0, false, 15 * time.Minute, "settled"},
		{"sooner, without a lease", time.Minute, false, time.Minute, "wanted"},
	} {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			pool := pgtest.New(t)
			store := registry.New(pool, time.UTC)
			sync1(t, pool, noon, file(t, "a"))
			c, err := store.Get(t.Context(), "a")
			if err != nil {
				t.Fatal(err)
			}
			done := registry.Settled{Due: registry.Due{ID: c.ID, At: noon.Add(15 * time.Minute), Why: "settled"}, Was: c.NextCheck}
			if k.leased {
				done.Lease = lease(t, pool, noon, 1, func(tx pgx.Tx) error { return tx.Commit(t.Context()) })[0].Lease.Number
			}
			if k.meanwhile > 0 {
				in(t, pool, func(tx pgx.Tx) error {
					return store.Reschedule(t.Context(), tx, []registry.Due{{ID: c.ID, At: noon.Add(k.meanwhile), Why: "wanted"}})
				})
			}
			in(t, pool, func(tx pgx.Tx) error { return store.Settle(t.Context(), tx, []registry.Settled{done}) })
			if c, err = store.Get(t.Context(), "a"); err != nil || !c.NextCheck.Equal(noon.Add(k.want)) || c.NextWhy != k.why {
				t.Errorf("due %s after noon (%s), want %s (%s); %v", c.NextCheck.Sub(noon), c.NextWhy, k.want, k.why, err)
			}
		})
	}
}

// Requests to a provider are booked one after the other, and a provider that is booked, paused or occupied is not
// begun with.
func TestPace(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	store := registry.New(pool, time.UTC)
	sync1(t, pool, noon, file(t, "a"))
	due := func(now time.Time) (n int) {
		in(t, pool, func(tx pgx.Tx) error {
			ps, err := store.DueProviders(t.Context(), tx, now, 3*time.Second)
			n = len(ps)
			return err
		})
		return n
	}
	in(t, pool, func(tx pgx.Tx) error {
		for i, want := range []time.Time{noon, noon.Add(20 * time.Second), noon.Add(40 * time.Second)} {
			at, err := store.Pace(t.Context(), tx, "idp", noon, 20*time.Second)
			if err != nil || !at.Equal(want) {
				t.Errorf("batch %d begins at %v, want %v (%v)", i, at, want, err)
			}
		}
		until, err := store.Booked(t.Context(), tx, "idp")
		if !until.Equal(noon.Add(time.Minute)) {
			t.Errorf("booked until %s", until)
		}
		return err
	})
	if due(noon.Add(56*time.Second)) != 0 || due(noon.Add(57*time.Second)) != 1 {
		t.Error("it is not begun with when its rate is nearly free, and only then")
	}
	in(t, pool, func(tx pgx.Tx) error { return store.Pause(t.Context(), tx, "idp", noon.Add(10*time.Minute)) })
	if due(noon.Add(9*time.Minute)) != 0 {
		t.Error("begun with although it asked for a pause")
	}
	if due(noon.Add(10*time.Minute)) != 1 {
		t.Error("not begun with after the pause")
	}
	at := noon.Add(time.Hour)
	in(t, pool, func(tx pgx.Tx) error {
		_, _, err := store.Slots(
			t.Context(),
			tx,
			registry.Share{Provider: "idp", Holder: 7, Wants: 1, Yields: true},
			4,
			at,
			at.Add(leaseTime),
		)
		return err
	})
	set := func(at time.Time) {
		if _, err := pool.Exec(t.Context(), `UPDATE credentials SET next_check_at = $1`, at); err != nil {
			t.Fatal(err)
		}
	}
	set(noon.Add(time.Hour))
	if due(at.Add(9*time.Second)) != 0 {
		t.Error("a second stream begins although what is due is not late")
	}
	if due(at.Add(11*time.Second)) != 1 {
		t.Error("no second stream helps where what is due is late")
	}
	set(at.Add(30 * time.Second))
	if due(at.Add(34*time.Second)) != 0 || due(at.Add(35*time.Second)) != 1 {
		t.Error("a stream that died counts for 35 s, and no longer")
	}
}
