package rounds

import (
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/test/lasting"
	"github.com/keyrounds/keyrounds/verdict"
)

// A budget is spread over its month, and ends with it (docs/promises.md#a-budget-is-spread-over-its-month).
func TestAffordable(t *testing.T) {
	t.Parallel()
	june := func(day, hour int) time.Time { return time.Date(2026, 6, day, hour, 0, 0, 0, time.UTC) }
	for _, c := range []struct {
		budget, n int
		want      time.Time
	}{
		{3000, 1, june(1, 0)},
		{3000, 150, june(1, 0)}, // a twentieth may be spent ahead
		{3000, 1650, june(16, 0)},
		{3000, 3000, june(29, 12)},
		{3000, 3001, june(31, 0)}, // July
		{1, 1, june(1, 0)},
		{1, 2, june(31, 0)},
	} {
		if got := affordable(c.budget, c.n, june(10, 5)); !got.Equal(c.want) {
			t.Errorf("request %d of %d: %s, want %s", c.n, c.budget, got, c.want)
		}
	}
}

// A stream checks what a provider may be asked for now and moves the rest.
func TestRation(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		change  func(*checker.Provider)
		checked int
		later   string // what holds of next_check_at
		moved   int
	}{
		{"passive", func(p *checker.Provider) { p.Passive = true }, 0, "> now() + interval '1 day'", 20},
		{
			name:    "a budget",
			change:  func(p *checker.Provider) { p.Budget = 1 },
			checked: 1,
			later:   "= date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' + interval '1 month'",
			moved:   19,
		},
		{
			name:    "a least time of years",
			change:  func(p *checker.Provider) { p.MinInterval = 3 * 365 * 24 * time.Hour },
			checked: 20,
			later:   "> now() + interval '2 years 11 months'",
			moved:   20,
		},
		{"no limits", nil, 20, "> now() + interval '1 minute'", 20},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, 20, c.change)
			r := h.replica(h.pool)
			h.exec(`UPDATE credentials SET next_check_at = now() - interval '1 second', schedule = '0 0 29 2 *'`)
			for range 2 { // the second finds nothing more
				if err := r.stream(t.Context(), "idp"); err != nil {
					t.Fatal(err)
				}
			}
			if n := len(h.idp.Journal()); n != c.checked || h.results() != n {
				t.Errorf("%d asked, %d recorded, want %d", n, h.results(), c.checked)
			}
			if n := h.count(`SELECT count(*) FROM credentials WHERE leased_until > '-infinity'`); n != 0 {
				t.Errorf("%d are still leased", n)
			}
			if n := h.count(`SELECT count(*) FROM credentials WHERE next_check_at ` + c.later); n != c.moved {
				t.Errorf("%d moved as they should be, want %d", n, c.moved)
			}
			if n := h.count(`SELECT coalesce(max(requests), 0) FROM provider_pace`); n != c.checked {
				t.Errorf("%d requests counted, want %d", n, c.checked)
			}
		})
	}
}

func TestMinInterval(t *testing.T) {
	t.Parallel()
	c := credential.Credential{Name: "a", Schedule: "*/15 * * * *"}
	now, _ := c.Next(time.UTC, time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC))
	for least, want := range map[time.Duration]time.Duration{
		0: 15 * time.Minute, 15 * time.Minute: 15 * time.Minute, 16 * time.Minute: 30 * time.Minute, 6 * time.Hour: 6 * time.Hour,
	} {
		at, _ := Decide(c, checker.Provider{MinInterval: least}, verdict.State{}, Load{}, credential.NewSchedules(time.UTC), now)
		if got := at.Sub(now); got != want {
			t.Errorf("min_interval %s: the next check after %s, want %s", least, got, want)
		}
	}
}

// A provider's concurrency holds over all replicas and all who ask: of one slot, one has it, and one that died gives way.
func TestOneSlotIsHeldByOne(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 1, func(p *checker.Provider) { p.Concurrency = 1 })
	a, b := h.replica(h.pool), h.replica(h.open(h.url))
	occupy := func(r *Rounds, provider string) (place, error) {
		at, err := r.occupy(t.Context(), Order{Provider: provider})
		if err == nil {
			t.Cleanup(at.leave)
		}
		return at, err
	}
	first, err := occupy(a, "idp")
	if err != nil {
		t.Fatal(err)
	}
	var busy *NotNowError
	for _, r := range []*Rounds{a, b} { // two runs of one job are two as well
		if _, err := occupy(r, "idp"); !errors.As(err, &busy) {
			t.Errorf("two at once (%v)", err)
		}
	}
	if _, err := occupy(b, "other"); err != nil {
		t.Errorf("another provider has to wait (%v)", err)
	}
	first.leave()
	if _, err := occupy(b, "idp"); err != nil {
		t.Errorf("it did not leave (%v)", err)
	}
	h.exec(`UPDATE provider_slots SET held_until = now()`)
	if _, err := occupy(a, "idp"); err != nil {
		t.Errorf("one that died does not give way (%v)", err)
	}
}

// Many that are due at once, over three replicas, never ask for more at once than the provider's concurrency
// (docs/promises.md#a-providers-concurrency-holds-over-all-replicas).
func TestConcurrencyOverAllReplicas(t *testing.T) {
	lasting.Test(t, "it checks 600 credentials")
	t.Parallel()
	h := newHouse(t, 600, func(p *checker.Provider) { p.Concurrency = 4 })
	var now, most atomic.Int32
	url := h.serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := now.Add(1)
		defer now.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		time.Sleep(5 * time.Millisecond) // so that batches would overlap
		h.idp.ServeHTTP(w, r)
	}))
	p := h.settings.Providers["idp"]
	p.TokenURL = url
	h.settings.Providers["idp"] = p
	for range 3 {
		h.start(h.open(h.url))
	}
	h.awaitResults(600)
	h.settle()
	h.once(1)
	if m := most.Load(); m > 4 || m < 2 {
		t.Errorf("%d requests at once, want at most 4", m)
	}
}

// A provider that limits us is left alone by checks by hand as well.
func TestCheckNowStopsWhereAProviderAsksForIt(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 50, func(p *checker.Provider) { p.Concurrency = 1 })
	p := h.settings.Providers["idp"]
	p.TokenURL = h.serve(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "90")
		w.WriteHeader(http.StatusTooManyRequests)
	}))
	h.settings.Providers["idp"] = p
	r := h.replica(h.pool)
	creds, err := r.Registry.List(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	err = r.CheckNow(t.Context(), creds, func(js []Judged) { checked += len(js) })
	if err == nil || !strings.Contains(err.Error(), "asks us to stay away") || checked != 1 || h.results() != 1 {
		t.Errorf("%d checked, %d stored: %v", checked, h.results(), err)
	}
}
