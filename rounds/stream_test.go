package rounds

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/test/lasting"
)

// clock is moved by hand.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) Now() time.Time { return c.move(0) }

func (c *clock) move(d time.Duration) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
	return c.t
}

// at has a replica and its checks live by c.
func (c *clock) at(o *Options) {
	o.Now = c.Now
	o.Checker = checker.New(checker.Options{Now: c.Now})
}

func uncounted(context.Context, pgx.Tx) error { return nil }

// A process is killed while it checks. What it had leased, and its provider, are idle for 35 s, and then checked by
// another; what the first still brings is dropped (docs/promises.md#a-killed-process-idles-a-provider-for-35-seconds).
func TestAKilledProcessIdlesAProviderFor35Seconds(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 3, nil)
	c := &clock{t: time.Now().Add(time.Minute)}
	killed, other := h.replica(h.pool, c.at), h.replica(h.open(h.url), c.at)
	alive, kill := context.WithCancel(t.Context())
	at, err := killed.occupy(alive, Order{Purpose: scheduled, Provider: "idp"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(at.leave)
	kill() // nobody renews
	o, _, err := killed.lease(t.Context(), "idp", 10)
	if err != nil || len(o.Leases) != 3 {
		t.Fatalf("%d leases, error %v", len(o.Leases), err)
	}
	o.Occupied = true
	late, _, _, err := killed.Exchange(t.Context(), o)
	if err != nil || len(late) != 3 {
		t.Fatalf("%d results, error %v", len(late), err)
	}
	streams := func() int {
		if err := other.sweep(t.Context(), uncounted); err != nil {
			t.Fatal(err)
		}
		return h.count(`SELECT count(*) FROM river_job WHERE kind = 'stream'`)
	}
	c.move(34 * time.Second)
	if n := streams(); n != 0 {
		t.Errorf("%d streams begin although somebody works there", n)
	}
	c.move(time.Second)
	for range 2 { // and no second one while it waits
		if n := streams(); n != 1 {
			t.Errorf("%d streams begin", n)
		}
	}
	if got, err := other.turn(t.Context(), nil, "idp", 10); got.checked != 3 || err != nil {
		t.Fatal(got, err)
	}
	h.once(1)
	judged, _, err := killed.store(t.Context(), killed.settings.Load(), o, o.Credentials, late)
	if err != nil || len(judged) != 0 {
		t.Errorf("%d results of lapsed leases are stored, error %v", len(judged), err)
	}
	h.once(1)
	n := h.count(`SELECT count(*) FROM credentials WHERE next_check_at > now() + interval '1 hour' AND leased_until = '-infinity'`)
	if n != 3 {
		t.Errorf("%d of 3 credentials are due at their next slot", n)
	}
}

// Whoever works at a provider renews its place and its leases. When another one has the place, no further request begins.
func TestAPlaceIsRenewedAndItsLossIsNoticed(t *testing.T) {
	lasting.Test(t, "it waits for renewals")
	t.Parallel()
	h := newHouse(t, 20, func(p *checker.Provider) { p.Concurrency = 1 })
	g := newGate(h.idp, 1)
	h.useEndpoint(h.serve(g))
	r := h.replica(h.pool, func(o *Options) { o.JobTimeout = 3 * time.Second }) // leases of 1.75 s, renewed each half second
	done := make(chan turn)
	go func() {
		got, err := r.turn(t.Context(), nil, "idp", 20)
		if err != nil {
			t.Error(err)
		}
		done <- got
	}()
	answer := <-g.arrived
	until := func() (least time.Time) {
		err := h.pool.QueryRow(t.Context(), `
			SELECT least((SELECT min(leased_until) FROM credentials), (SELECT busy_until FROM provider_pace))`).Scan(&least)
		if err != nil {
			t.Fatal(err)
		}
		return least
	}
	first := until()
	h.await("both are renewed", func() bool { return until().After(first) })
	var stolen time.Time
	h.exec(`UPDATE provider_pace SET busy_by = 999, busy_until = now() + interval '1 hour'`)
	if err := h.pool.QueryRow(t.Context(), `SELECT max(leased_until) FROM credentials`).Scan(&stolen); err != nil {
		t.Fatal(err)
	}
	h.await("renewals go on, so the loss is noticed", func() bool {
		return h.count(`SELECT count(*) FROM credentials WHERE leased_until > '`+stolen.Add(time.Second).Format(time.RFC3339Nano)+`'`) == 20
	})
	close(answer)
	if got := <-done; got.checked < 1 || got.checked > 2 || len(h.idp.Journal()) > 2 {
		t.Errorf("%d of 20 were checked by who lost its place, want the one in flight", got.checked)
	}
	if n := h.count(`SELECT count(*) FROM credentials WHERE leased_until > '-infinity'`); n != 0 {
		t.Errorf("%d are not handed back", n)
	}
	if n := h.count(`SELECT count(*) FROM provider_pace WHERE busy_by = 999`); n != 1 {
		t.Error("the one that has it by now lost it")
	}
}

// What is wanted soon while a credential is being checked is checked again.
func TestWantedWhileItIsChecked(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 1, nil)
	g := newGate(h.idp, 1)
	h.useEndpoint(h.serve(g))
	r := h.replica(h.pool)
	done := make(chan error)
	go func() {
		_, err := r.stream(t.Context(), "idp")
		done <- err
	}()
	answer := <-g.arrived
	h.exec(`UPDATE credentials SET next_check_at = now(), next_check_why = 'wanted'`)
	close(answer)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	h.once(2)
}

// At a provider that is always behind, whoever else waits for it has their turn (docs/promises.md#who-waits-goes-first).
func TestWhoWaitsGoesFirst(t *testing.T) {
	lasting.Test(t, "it checks 400 credentials slowly")
	t.Parallel()
	h := newHouse(t, 400, func(p *checker.Provider) { p.Concurrency = 1 })
	began := make(chan struct{})
	var once sync.Once
	h.useEndpoint(h.serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		once.Do(func() { close(began) })
		time.Sleep(25 * time.Millisecond) // a slow provider
		h.idp.ServeHTTP(w, r)
	})))
	rounds, by := h.replica(h.pool), h.replica(h.open(h.url))
	creds := h.credentials()[399:]
	ended := make(chan error)
	go func() {
		_, err := rounds.stream(t.Context(), "idp")
		ended <- err
	}()
	<-began
	judged := 0
	if err := by.CheckNow(t.Context(), creds, func(js []Judged) { judged += len(js) }); err != nil || judged != 1 {
		t.Fatalf("%d checked by hand, error %v", judged, err)
	}
	if n := h.count(`SELECT count(*) FROM credentials WHERE next_check_at <= now()`); n == 0 {
		t.Error("the check by hand waited for all others")
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if n := h.count(`SELECT count(*) FROM credentials WHERE next_check_at <= now()`); n != 0 {
		t.Errorf("the rounds did not go on: %d are due", n)
	}
	h.once(1)
}

// A stream leases what it can work on in a moment.
func TestSizeOfABatch(t *testing.T) {
	t.Parallel()
	p := checker.Provider{Rate: 1000, Concurrency: 4}
	slow := checker.Provider{Rate: 0.1, Concurrency: 4}
	for _, k := range []struct {
		name string
		got  int
		want int
	}{
		{"first", firstSize(p), 20},
		{"first, of a provider with much concurrency", firstSize(checker.Provider{Rate: 1000, Concurrency: 1024}), 200},
		{"first, of a slow rate", firstSize(slow), 2},
		{"40 a second", nextSize(p, 20, 500*time.Millisecond), 80},
		{"one a second: no fewer than may be under way", nextSize(p, 20, 20*time.Second), 4},
		{"very fast", nextSize(p, 20, 0), 200},
		{"a slow rate", nextSize(slow, 2, time.Millisecond), 2},
	} {
		if k.got != k.want {
			t.Errorf("%s: %d, want %d", k.name, k.got, k.want)
		}
	}
}
