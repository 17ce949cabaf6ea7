package rounds

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/time/rate"

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
	s := killed.newStream(t.Context(), "idp")
	l, err := s.leaseOnce(s.wants(), 10)
	if err != nil || len(l.leased) != 3 {
		t.Fatalf("%d leases, error %v", len(l.leased), err)
	}
	var late []answer
	for _, to := range l.leased {
		r, begun := s.check(to)
		if !begun {
			t.Fatal("a lease that is not over does not begin")
		}
		late = append(late, answer{to, r, time.Now()})
	}
	streams := func() int {
		if err := other.sweep(t.Context(), uncounted); err != nil {
			t.Fatal(err)
		}
		return h.count(`SELECT count(*) FROM river_job WHERE kind = 'stream'`)
	}
	for range 2 { // another daemon goes on meanwhile
		c.move(17 * time.Second)
		if n := streams(); n != 0 {
			t.Errorf("%d streams begin although somebody works there", n)
		}
	}
	if n := streams(); n != 0 {
		t.Errorf("%d streams begin although somebody works there", n)
	}
	c.move(time.Second)
	for range 2 { // and no second one while it waits
		if n := streams(); n != 1 {
			t.Errorf("%d streams begin", n)
		}
	}
	if err := other.stream(t.Context(), "idp"); err != nil {
		t.Fatal(err)
	}
	h.once(1)
	if _, begun := s.check(l.leased[0]); begun {
		t.Error("an exchange begins after its lease is over")
	}
	judged, err := s.storeBatch(late)
	if err != nil || len(judged) != 0 {
		t.Errorf("%d results of lapsed leases are stored, error %v", len(judged), err)
	}
	h.once(1)
	n := h.count(`SELECT count(*) FROM credentials WHERE next_check_at > now() + interval '1 hour' AND leased_until = '-infinity'`)
	if n != 3 {
		t.Errorf("%d of 3 credentials are due at their next slot", n)
	}
}

// Who works at a provider renews its slots and its leases. When others have the slots, no further request begins, and what
// was not begun is handed back.
func TestSlotsAreRenewedAndTheirLossIsNoticed(t *testing.T) {
	lasting.Test(t, "it waits for renewals")
	t.Parallel()
	h := newHouse(t, 20, func(p *checker.Provider) { p.Concurrency = 2 })
	g := newGate(h.idp, 2)
	h.useEndpoint(h.serve(g))
	r := h.replica(h.pool, func(o *Options) { o.JobTimeout = 3 * time.Second }) // leases of 1.75 s, renewed each half second
	done := make(chan error)
	go func() { done <- r.stream(t.Context(), "idp") }()
	one, two := <-g.arrived, <-g.arrived
	until := func() (least time.Time) {
		err := h.pool.QueryRow(t.Context(), `
			SELECT least((SELECT min(leased_until) FROM credentials WHERE leased_until > '-infinity'),
				(SELECT held_until FROM provider_slots))`).Scan(&least)
		if err != nil {
			t.Fatal(err)
		}
		return least
	}
	first := until()
	h.await("both are renewed", func() bool { return until().After(first) })
	h.exec(`DELETE FROM provider_slots`)
	h.exec(`INSERT INTO provider_slots VALUES ('idp', 999, 2, 2, false, now(), now() + interval '1 hour')`)
	h.await("what was not begun is handed back", func() bool {
		return h.count(`SELECT count(*) FROM credentials WHERE leased_until > '-infinity'`) == 2
	})
	close(one)
	close(two)
	if err := <-done; err != nil {
		t.Error(err)
	}
	if n := h.results(); n != 2 || len(h.idp.Journal()) != 2 {
		t.Errorf("%d of 20 were checked by who lost its slots, want the two in flight", n)
	}
	if n := h.count(`SELECT count(*) FROM credentials WHERE leased_until > '-infinity'`); n != 0 {
		t.Errorf("%d are not handed back", n)
	}
	if n := h.count(`SELECT count(*) FROM provider_slots WHERE holder = 999`); n != 1 {
		t.Error("the one that has them by now lost them")
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
		done <- r.stream(t.Context(), "idp")
	}()
	answer := <-g.arrived
	h.exec(`UPDATE credentials SET next_check_at = now(), next_check_why = 'wanted'`)
	close(answer)
	if err := errors.Join(<-done, r.stream(t.Context(), "idp")); err != nil {
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
		ended <- rounds.stream(t.Context(), "idp")
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
	due := func() int { return h.count(`SELECT count(*) FROM credentials WHERE next_check_at <= now()`) }
	for left := due(); left > 0; left = due() { // on a busy machine, the time of the stream was over
		if err := rounds.stream(t.Context(), "idp"); err != nil {
			t.Fatal(err)
		}
		if due() >= left {
			t.Fatalf("the rounds do not go on: %d are due", left)
		}
	}
	h.once(1)
}

// A stream leases what its slots can take now and in the next moment, and nothing while enough waits.
func TestRoom(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name string
		s    stream
		want int
		rate rate.Limit
	}{
		{"its slots are not known yet", stream{}, 4, 0},
		{"all are free", stream{slots: 4, limit: 4}, 5, 0},
		{"all are used, and nothing waits", stream{slots: 4, limit: 4, flying: 4}, 1, 0},
		{"800 a second", stream{slots: 64, limit: 64, flying: 64, speed: speed{perSecond: 800}}, 161, 0},
		{
			"half of what is ahead waits",
			stream{slots: 64, limit: 64, flying: 60, speed: speed{perSecond: 800}, queue: make([]*leased, 80)},
			85,
			0,
		},
		{"more than half waits", stream{slots: 64, limit: 64, flying: 60, speed: speed{perSecond: 800}, queue: make([]*leased, 81)}, 0, 0},
		{"others want half of the slots", stream{slots: 4, limit: 2, flying: 4}, 1, 0},
		{"others want all", stream{slots: 4, limit: 0, flying: 4}, 0, 0},
		{"very fast", stream{slots: 64, limit: 64, flying: 64, speed: speed{perSecond: 1e6}}, mostAhead, 0},
		{"a slow rate, at first", stream{}, 1, 2},
		{"a slow rate", stream{slots: 4, limit: 4}, 2, 10},
		{"a slow rate, and something waits", stream{slots: 4, limit: 4, queue: make([]*leased, 1)}, 0, 2},
	}
	for i := range cases {
		k := &cases[i]
		k.s.provider = checker.Provider{Concurrency: 4, Rate: cmp.Or(k.rate, 1e5)}
		if got := k.s.room(); got != k.want {
			t.Errorf("%s: %d, want %d", k.name, got, k.want)
		}
	}
}

// What a check waited for is told by cause: the runbooks ask for it.
func TestWhatACheckWaitedFor(t *testing.T) {
	t.Parallel()
	at := time.Now()
	for _, k := range []struct {
		l    *leased
		want checker.Waits
	}{
		{&leased{at: at}, checker.Waits{Concurrency: time.Second}},
		{&leased{at: at, paced: 300 * time.Millisecond}, checker.Waits{Concurrency: 700 * time.Millisecond, Rate: 300 * time.Millisecond}},
		{&leased{at: at, paced: 2 * time.Second}, checker.Waits{Rate: time.Second}},
		{
			&leased{at: at, paced: 100 * time.Millisecond, pausedUntil: at.Add(600 * time.Millisecond)},
			checker.Waits{Concurrency: 300 * time.Millisecond, Rate: 100 * time.Millisecond, Pause: 600 * time.Millisecond},
		},
	} {
		if got := k.l.waits(at.Add(time.Second)); got != k.want {
			t.Errorf("%+v, want %+v", got, k.want)
		}
	}
}
