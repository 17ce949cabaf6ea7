package registry_test

import (
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/postgres/pgtest"
	"github.com/keyrounds/keyrounds/registry"
)

// A provider's concurrency is shared: all slots together are never more, whoever wants some comes to its share as others
// give back what they do not use, those who do not yield come first, and what one that died held is free in time.
func TestSlots(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	store := registry.New(pool, time.UTC)
	now := noon
	ask := func(holder int64, busy, wants int, yields bool) (slots, share int) {
		t.Helper()
		in(t, pool, func(tx pgx.Tx) (err error) {
			s := registry.Share{Provider: "idp", Holder: holder, Busy: busy, Wants: wants, Yields: yields}
			slots, share, err = store.Slots(t.Context(), tx, s, 8, now, now.Add(leaseTime))
			return err
		})
		return slots, share
	}
	step := func(what string, holder int64, busy, wants int, yields bool, slots, share int) {
		t.Helper()
		if got, of := ask(holder, busy, wants, yields); got != slots || of != share {
			t.Errorf("%s: %d slots of a share of %d, want %d of %d", what, got, of, slots, share)
		}
	}
	step("the first stream has all", 1, 0, 8, true, 8, 8)
	step("the second waits", 2, 0, 8, true, 0, 4)
	step("the first gives back only what it does not use", 1, 7, 8, true, 7, 4)
	step("the second has what is free", 2, 0, 8, true, 1, 4)
	step("the first gives back the rest", 1, 3, 8, true, 4, 4)
	step("the second has its share", 2, 1, 8, true, 4, 4)
	step("who waits for a person wants one", 3, 0, 1, false, 0, 1)
	now = now.Add(500 * time.Millisecond)
	step("a stream leaves it one", 2, 3, 8, true, 3, 3)
	step("and it has it", 3, 0, 1, false, 1, 1)
	if err := store.Leave(t.Context(), "idp", 3); err != nil {
		t.Fatal(err)
	}
	step("the second has what nobody wants", 2, 3, 8, true, 4, 4)
	now = now.Add(34 * time.Second)
	step("the second is renewed", 2, 4, 8, true, 4, 4)
	now = now.Add(2 * time.Second)
	step("the first died", 2, 4, 8, true, 8, 8)
	step("and finds that out", 1, 4, 8, true, 0, 4)
	now = now.Add(3 * time.Second)
	step("who waited and does not ask any more is forgotten", 2, 8, 8, true, 8, 8)
}

// With one slot, streams and people have it in turn.
func TestOneSlot(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	store := registry.New(pool, time.UTC)
	now := noon
	ask := func(holder int64, yields bool) (slots int) {
		t.Helper()
		in(t, pool, func(tx pgx.Tx) (err error) {
			s := registry.Share{Provider: "idp", Holder: holder, Wants: 1, Yields: yields}
			slots, _, err = store.Slots(t.Context(), tx, s, 1, now, now.Add(leaseTime))
			return err
		})
		return slots
	}
	if ask(1, true) != 1 || ask(2, false) != 0 || ask(1, true) != 0 || ask(2, false) != 1 {
		t.Error("the stream does not leave it to who waits")
	}
	now = now.Add(500 * time.Millisecond)
	if ask(3, false) != 0 {
		t.Error("two have it")
	}
	now = now.Add(time.Second)
	if ask(1, true) != 0 || ask(3, false) != 0 {
		t.Error("two have it")
	}
	if err := store.Leave(t.Context(), "idp", 2); err != nil {
		t.Fatal(err)
	}
	if ask(3, false) != 0 || ask(1, true) != 1 {
		t.Error("the stream waited for longer than a second, and longer than the other, and is not next")
	}
}

// However many ask at once, and die, and come again, all together never have more than there are.
func TestSlotsAreNeverMoreThanThereAre(t *testing.T) {
	t.Parallel()
	const total = 5
	pool := pgtest.New(t)
	store := registry.New(pool, time.UTC)
	var wait sync.WaitGroup
	for holder := range int64(6) {
		wait.Go(func() {
			busy := 0
			for i := range 40 {
				err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
					s := registry.Share{Provider: "idp", Holder: holder, Busy: busy, Wants: 1 + (i+int(holder))%4, Yields: holder > 1}
					slots, share, err := store.Slots(t.Context(), tx, s, total, noon, noon.Add(leaseTime))
					if busy = min(slots, share); i%7 == 6 {
						busy = 0
					}
					return err
				})
				if err != nil {
					t.Error(err)
					return
				}
				var sum int
				if err := pool.QueryRow(t.Context(), `SELECT sum(slots) FROM provider_slots`).Scan(&sum); err != nil || sum > total {
					t.Errorf("%d of %d slots are held, error %v", sum, total, err)
				}
			}
		})
	}
	wait.Wait()
}

// Who slept until its slots lapsed, and finds others there, does not get back what it still uses.
func TestWhoLapsedDoesNotGetItsSlotsBack(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	store := registry.New(pool, time.UTC)
	now := noon
	ask := func(holder int64, busy int) (slots int) {
		t.Helper()
		in(t, pool, func(tx pgx.Tx) (err error) {
			s := registry.Share{Provider: "idp", Holder: holder, Busy: busy, Wants: 4, Yields: true}
			slots, _, err = store.Slots(t.Context(), tx, s, 4, now, now.Add(leaseTime))
			return err
		})
		return slots
	}
	if ask(1, 0) != 4 {
		t.Fatal("the first does not have all")
	}
	now = now.Add(leaseTime)
	if ask(2, 0) != 4 || ask(1, 4) != 0 {
		t.Fatal("what lapsed is not the second's")
	}
	now = now.Add(500 * time.Millisecond)
	if n := ask(1, 3); n != 0 {
		t.Errorf("%d slots beside the four of the second", n)
	}
}
