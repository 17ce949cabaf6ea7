package rounds

import (
	"testing"
	"time"

	"github.com/keyrounds/keyrounds/postgres/pgtest"
	"github.com/keyrounds/keyrounds/test/lasting"
)

// The database goes away while exchanges are under way. Their results are stored when it is back, and no client is
// asked twice (docs/promises.md#results-outlive-the-database).
func TestResultsOutliveTheDatabase(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(*pgtest.Bridge){"cut": (*pgtest.Bridge).Cut, "blackhole": (*pgtest.Bridge).Blackhole} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, 10, nil)
			bridge, url := pgtest.Through(t, h.url)
			g := newGate(h.idp, 1)
			h.useEndpoint(h.serve(g))
			h.start(h.open(url))
			held := <-g.arrived
			fail(bridge)
			close(held)
			h.await("every exchange", func() bool { return len(h.idp.Journal()) == 10 })
			h.never("a result is stored", func() bool { return h.results() > 0 })
			bridge.Heal()
			h.awaitResults(10)
			h.settle()
			h.once(1)
			if n := len(h.idp.Journal()); n != 10 {
				t.Errorf("%d exchanges, want 10", n)
			}
		})
	}
}

// The database is away for longer than the job may last, and than the leases do: what was seen is kept all the same
// (docs/decisions/0017-results-are-kept-for-five-minutes.md).
func TestResultsOutliveTheirJob(t *testing.T) {
	lasting.Test(t, "it waits until the time of a job is over")
	t.Parallel()
	h := newHouse(t, 10, nil)
	bridge, url := pgtest.Through(t, h.url)
	g := newGate(h.idp, 1)
	h.useEndpoint(h.serve(g))
	r := h.replica(h.open(url), func(o *Options) { o.JobTimeout = 3 * time.Second })
	ended := make(chan error)
	go func() { ended <- r.stream(t.Context(), "idp") }()
	held := <-g.arrived
	bridge.Cut()
	close(held)
	h.await("every exchange", func() bool { return len(h.idp.Journal()) == 10 })
	time.Sleep(5 * time.Second) // the subject of this test
	bridge.Heal()
	if err := <-ended; err == nil {
		t.Error("a stream that could not lease ends without an error")
	}
	h.once(1)
	if n := len(h.idp.Journal()); n != 10 {
		t.Errorf("%d exchanges, want 10", n)
	}
}

// The same for `check`, which has no job to be fenced by.
func TestCheckNowWhoseCommitIsLost(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 10, nil)
	bridge, url := pgtest.Through(t, h.url)
	r := h.replica(h.open(url))
	creds, err := r.Registry.List(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	bridge.LoseCommit()
	judged := 0
	if err := r.CheckNow(t.Context(), creds, func(js []Judged) { judged += len(js) }); err != nil {
		t.Fatal(err)
	}
	if !bridge.CommitLost() || judged != 10 || len(h.idp.Journal()) != 10 {
		t.Errorf("lost %v, %d judged, %d exchanges", bridge.CommitLost(), judged, len(h.idp.Journal()))
	}
	h.once(1)
}

// A commit succeeds and its answer is lost. The results are there once, the findings and notifications too
// (docs/promises.md#a-commit-whose-answer-was-lost-is-stored-once).
func TestACommitWhoseAnswerIsLost(t *testing.T) {
	lasting.Test(t, "it waits for a rescue")
	t.Parallel()
	h := newHouse(t, 10, nil)
	h.exec(`UPDATE credentials SET secret_ref = 'env:KEYROUNDS_TEST_NOT_SET' WHERE name = 'c0005'`)
	bridge, url := pgtest.Through(t, h.url)
	bridge.LoseCommit()
	h.start(h.open(url))
	h.awaitResults(10)
	h.await("the lost answer", bridge.CommitLost)
	h.settle()
	h.await("the message", func() bool { return len(h.told.messages()) == 1 })
	h.never("the results are stored again", func() bool { return h.results() != 10 })
	h.once(1)
	if fs := h.findings(); len(fs) != 1 || len(h.told.messages()) != 1 {
		t.Errorf("findings %+v, told %+v", fs, h.told.messages())
	}
}
