package rounds

import (
	"context"
	"log/slog"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/test/lasting"
)

// slowLog is a log whose reader is slow: what a stream tells after a commit takes its time.
type slowLog struct{ slog.Handler }

func (slowLog) Enabled(context.Context, slog.Level) bool { return true }

func (slowLog) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "checked" {
		time.Sleep(300 * time.Millisecond) // the subject
	}
	return nil
}
func (l slowLog) WithAttrs([]slog.Attr) slog.Handler { return l }
func (l slowLog) WithGroup(string) slog.Handler      { return l }

// A stream leases a credential again before it has taken in that its result is stored. It does not forget the second lease.
func TestAStreamLeasesTheSameAgain(t *testing.T) {
	lasting.Test(t, "it waits for a slow log")
	t.Parallel()
	h := newHouse(t, 2, func(p *checker.Provider) { p.Concurrency = 2 })
	g := newGate(h.idp, 4)
	h.useEndpoint(h.serve(g))
	r := h.replica(h.pool, func(o *Options) { o.Log = slog.New(slowLog{}) })
	done := make(chan error, 1)
	go func() { done <- r.stream(t.Context(), "idp") }()
	one, two := <-g.arrived, <-g.arrived
	h.exec(`UPDATE credentials SET next_check_at = now() - interval '1 minute', next_check_why = 'wanted'`)
	close(one)
	again := <-g.arrived
	h.awaitResults(1)
	close(two)
	more := <-g.arrived
	h.awaitResults(2)
	h.never("the stream ends with two exchanges under way", func() bool { return len(done) > 0 })
	close(again)
	close(more)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	h.once(2)
	if n := h.count(`SELECT count(*) FROM check_intents`); n != 0 || len(h.idp.Journal()) != 4 {
		t.Errorf("%d exchanges, want 4; %d in the ledger were not made", len(h.idp.Journal()), n)
	}
}

// A stream whose time is over, and one that hangs, holds the slots of what is under way and no others.
func TestAStreamThatEndedHoldsNoFreeSlots(t *testing.T) {
	lasting.Test(t, "it waits for the end of a stream")
	t.Parallel()
	h := newHouse(t, 10, func(p *checker.Provider) { p.Concurrency = 4 })
	hang := make(chan struct{})
	var asked atomic.Int64
	h.useEndpoint(h.serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) == 1 {
			<-hang
		}
		h.idp.ServeHTTP(w, r)
	})))
	r := h.replica(h.pool)
	s := r.newStream(t.Context(), "idp")
	s.over = s.first.Add(4 * time.Second)
	s.renewed = s.first.Add(time.Hour) // which would give them back as well, much later
	done := make(chan error)
	go func() { done <- s.run() }()
	h.await("its free slots are given back", func() bool {
		return h.count(`SELECT coalesce(sum(slots), 0) FROM provider_slots`) == 1
	})
	close(hang)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if n := h.count(`SELECT count(*) FROM provider_slots`); n != 0 {
		t.Errorf("%d rows of slots are left", n)
	}
}

// A stream's time is over while its lease is under way. It takes in what came of that, and hands it back.
func TestAStreamEndsWhileItLeases(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 5, func(p *checker.Provider) { p.Concurrency = 4 })
	h.exec(`INSERT INTO provider_pace (provider) VALUES ('idp')`)
	tx, err := h.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `SELECT FROM provider_pace WHERE provider = 'idp' FOR UPDATE`); err != nil {
		t.Fatal(err)
	}
	r := h.replica(h.pool)
	s := r.newStream(t.Context(), "idp")
	s.over = s.first.Add(10 * time.Millisecond)
	done := make(chan error, 1)
	go func() { done <- s.run() }()
	h.await("the next stream is begun", func() bool { return h.count(`SELECT count(*) FROM river_job WHERE kind = 'stream'`) == 1 })
	h.never("it ends without what it leases", func() bool { return len(done) > 0 })
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	leased := h.count(`SELECT count(*) FROM credentials WHERE leased_until > '-infinity'`)
	slots := h.count(`SELECT count(*) FROM provider_slots`)
	spent := h.count(`SELECT coalesce(max(requests), 0) FROM provider_pace`)
	if leased+slots+spent+h.count(`SELECT count(*) FROM check_intents`) != 0 {
		t.Errorf("%d leased, %d slots, %d spent are left", leased, slots, spent)
	}
}

// At a slow rate a stream leases little, so that a pause that somebody else was asked for, or the end of its time, comes in
// time, and what was booked and not asked is free again.
func TestAStreamAtASlowRate(t *testing.T) {
	lasting.Test(t, "it waits for a slow rate")
	t.Parallel()
	h := newHouse(t, 40, func(p *checker.Provider) { p.Concurrency, p.Rate = 16, 4 })
	var looks atomic.Int64
	r := h.replica(h.pool, func(o *Options) {
		o.Now = func() time.Time {
			looks.Add(1)
			return time.Now()
		}
	})
	done := make(chan error)
	go func() { done <- r.stream(t.Context(), "idp") }()
	h.await("some are asked", func() bool { return len(h.idp.Journal()) >= 4 })
	if n := h.count(`SELECT count(*) FROM credentials WHERE leased_until > now()`); n > 4 {
		t.Errorf("%d are leased, of which one is asked each quarter of a second", n)
	}
	if n := looks.Load(); n > 3000 {
		t.Errorf("the clock was looked at %d times in a second or two: it spins", n)
	}
	err := pgx.BeginFunc(t.Context(), h.pool, func(tx pgx.Tx) error {
		return r.Registry.Pause(t.Context(), tx, "idp", time.Now().Add(time.Hour))
	})
	if err != nil {
		t.Fatal(err)
	}
	before := len(h.idp.Journal())
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if n := len(h.idp.Journal()) - before; n > 5 {
		t.Errorf("%d were asked after the pause began", n)
	}
	if n := h.count(`SELECT count(*) FROM credentials WHERE leased_until > '-infinity'`); n != 0 {
		t.Errorf("%d are still leased", n)
	}
	asked := len(h.idp.Journal())
	if n := h.count(`SELECT requests FROM provider_pace`); n != asked {
		t.Errorf("%d requests are counted, %d were made", n, asked)
	}
}

// After the database was away, those whose leases lapsed meanwhile store first what they have in hand
// (docs/promises.md#results-outlive-the-database).
func TestHoldersStoreFirst(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 2, nil)
	c := &clock{t: time.Now().Add(time.Minute)}
	r := h.replica(h.pool, c.at)
	h.exec(`UPDATE credentials SET lease = 1, leased_until = now() WHERE name = 'c0000'`)
	for _, k := range []struct {
		after   time.Duration
		streams int
	}{{0, 0}, {9 * time.Second, 0}, {time.Second, 1}, {40 * time.Second, 0}, {9 * time.Second, 0}, {time.Second, 1}} {
		if c.move(k.after); k.after > 30*time.Second { // away again
			h.exec(`DELETE FROM river_job`)
		}
		if err := r.sweep(t.Context(), uncounted); err != nil {
			t.Fatal(err)
		}
		if n := h.count(`SELECT count(*) FROM river_job WHERE kind = 'stream'`); n != k.streams {
			t.Errorf("%s later: %d streams, want %d", k.after, n, k.streams)
		}
	}
}
