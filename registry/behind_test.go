package registry_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/postgres/pgtest"
	"github.com/keyrounds/keyrounds/registry"
)

// Sweeps follow each other; a gap of more than a minute begins anew.
func TestSweptSince(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	store := registry.New(pool, time.UTC)
	for _, k := range []struct{ at, since time.Duration }{
		{-1, -1}, {0, 0}, {time.Minute, 0}, {2 * time.Minute, 0}, {3*time.Minute + time.Second, 3*time.Minute + time.Second},
	} {
		in(t, pool, func(tx pgx.Tx) error {
			want := noon.Add(k.since)
			if k.at < 0 {
				want = time.Time{}
			} else if err := store.Swept(t.Context(), tx, noon.Add(k.at)); err != nil {
				return err
			}
			since, err := store.SweptSince(t.Context(), tx, noon.Add(max(0, k.at)+time.Minute))
			if !since.Equal(want) {
				t.Errorf("a sweep %s after noon: since %s, want %s", k.at, since, want)
			}
			if later, _ := store.SweptSince(t.Context(), tx, noon.Add(max(0, k.at)+61*time.Second)); !later.IsZero() {
				t.Errorf("nobody sweeps any more: since %s", later)
			}
			return err
		})
	}
}

// The credential that waits longest, by provider, and how many wait with it; what is not due yet and what is retired
// do not count.
func TestLongestDue(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	store := registry.New(pool, time.UTC)
	cs := file(t, "a", "b", "c", "d", "e")
	cs[1].Schedule, cs[4].Provider = "@every 1m", "other"
	sync1(t, pool, noon, cs)
	for name, due := range map[string]time.Duration{
		"a": -time.Minute, "b": -2 * time.Minute, "c": time.Second, "d": -time.Hour, "e": time.Hour,
	} {
		if _, err := pool.Exec(t.Context(), `UPDATE credentials SET next_check_at = $2 WHERE name = $1`, name, noon.Add(due)); err != nil {
			t.Fatal(err)
		}
	}
	in(t, pool, func(tx pgx.Tx) error {
		if _, err := store.Retire(t.Context(), tx, "d", noon); err != nil {
			return err
		}
		longest, err := store.LongestDue(t.Context(), tx, noon)
		l := longest["idp"]
		if len(longest) != 1 || !l.Due.Equal(noon.Add(-2*time.Minute)) || l.Schedule != "@every 1m" || l.Waiting != 2 {
			t.Errorf("%+v", longest)
		}
		schedules, err2 := store.Schedules(t.Context(), tx, "idp")
		if len(schedules) != 2 || schedules["@every 1m"] != 1 || schedules["*/15 * * * *"] != 2 || err2 != nil {
			t.Errorf("%v, %v", schedules, err2)
		}
		return err
	})
}
