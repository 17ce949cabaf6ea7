package rounds

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/keyrounds/keyrounds/checker"
)

// Any number of owners fills nobody's memory, and no check of theirs is lost
// (docs/promises.md#any-number-of-owners-fills-no-memory).
func TestOwnersOverflow(t *testing.T) {
	t.Parallel()
	m := newMetrics(prometheus.NewRegistry(), false)
	ok := checker.Result{Provider: "idp", Reading: checker.Reading{Outcome: checker.OK}, Phases: checker.Phases{Total: time.Second}}
	for i := range maxOwners + 50 {
		m.check(t.Context(), ok, fmt.Sprint("team-", i))
	}
	m.check(t.Context(), ok, "team-7")
	if n := testutil.CollectAndCount(m.ownerChecks); n != maxOwners+1 {
		t.Errorf("%d series", n)
	}
	for owner, want := range map[string]float64{"team-7": 2, Overflow: 50} {
		if got := testutil.ToFloat64(m.ownerChecks.WithLabelValues(owner, "idp", "ok")); got != want {
			t.Errorf("%s has %v checks, want %v", owner, got, want)
		}
	}
}

// What was not seen yet is 0, and a wait counts for its cause.
func TestCheckMetrics(t *testing.T) {
	t.Parallel()
	m := newMetrics(prometheus.NewRegistry(), false)
	m.expect(map[string]checker.Provider{"idp": {}, "watched": {Passive: true}})
	if n := testutil.CollectAndCount(m.checks); n != len(checker.Outcomes()) {
		t.Errorf("%d series before the first check", n)
	}
	m.check(
		t.Context(),
		checker.Result{
			Provider: "idp",
			Reading:  checker.Reading{Outcome: checker.Rejected},
			Waits:    checker.Waits{Rate: 2 * time.Second, Pause: time.Second},
		},
		"web",
	)
	m.resolved("env", nil)
	m.resolved("env", errors.New("not set"))
	err := testutil.CollectAndCompare(m.waits, strings.NewReader(`
# HELP keyrounds_check_wait_seconds_total How long checks waited for their turn at a provider, `+
		`for its concurrency, its rate, or a pause that it asked for.
# TYPE keyrounds_check_wait_seconds_total counter
keyrounds_check_wait_seconds_total{cause="concurrency",provider="idp"} 0
keyrounds_check_wait_seconds_total{cause="pause",provider="idp"} 1
keyrounds_check_wait_seconds_total{cause="rate",provider="idp"} 2
`))
	if err != nil {
		t.Error(err)
	}
	for _, result := range []string{"ok", "failed"} {
		if n := testutil.ToFloat64(m.secrets.WithLabelValues("env", result)); n != 1 {
			t.Errorf("%v secrets %s", n, result)
		}
	}
	if n := testutil.CollectAndCount(m.ownerDuration); n != 0 {
		t.Error("an exchange that had no answer has a latency")
	}
}
