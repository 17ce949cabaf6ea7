package main

import (
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/keyrounds/keyrounds/postgres"
	"github.com/keyrounds/keyrounds/postgres/pgtest"
)

// A daemon sleeps in the middle of its exchanges (SIGSTOP), as on a machine that is suspended. Another one has its
// slots and its leases 35 s later; when the first wakes, it stores nothing and begins nothing more of what it held
// (docs/promises.md#a-worker-that-outlives-its-rescue-stores-nothing).
func TestAPausedDaemonStoresNothingLate(t *testing.T) {
	t.Parallel()
	s := newSite(t, 12)
	url := pgtest.EmptyURL(t)
	s.env = append(s.env, "KEYROUNDS_TEST_DATABASE="+url)
	s.configure("database: {url: env:KEYROUNDS_TEST_DATABASE}", "", 12)
	pool, err := postgres.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	s.front.set(true)
	first := s.run()
	first.awaitReady(http.StatusOK)
	s.await("four exchanges under way", func() bool { return s.front.waiting() == 4 })
	if err := first.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	slept := time.Now()
	s.front.set(false) // what the first asked is answered while it sleeps
	second := s.run()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the second:\n%s", second.log)
		}
	})
	s.awaitFor(4*time.Minute, "the second checks all", func() bool { return s.count(pool, `SELECT count(*) FROM checks`) == 12 })
	s.awaitFor(time.Minute, "40 s are over", func() bool { return time.Since(slept) > 40*time.Second })
	asked := s.idp.Exchanges("id-00")
	if err := first.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	s.await("the first drops its results", func() bool { return strings.Contains(first.log.String(), "came too late and are dropped") })
	if code := first.stop(); code != 0 {
		t.Errorf("exit code %d:\n%s", code, first.log)
	}
	if n := s.count(pool, `SELECT count(*) FROM checks`); n != 12 {
		t.Errorf("%d results of 12 checks", n)
	}
	if n := s.count(pool, `SELECT count(DISTINCT credential_id) FROM checks`); n != 12 {
		t.Errorf("%d of 12 credentials have a result", n)
	}
	if n := s.idp.Exchanges("id-00"); n != asked {
		t.Errorf("the first asked again after it woke: %d exchanges, were %d", n, asked)
	}
	if code := second.stop(); code != 0 {
		t.Errorf("exit code %d:\n%s", code, second.log)
	}
}
