package usage_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/common/model"

	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/test/lasting"
	"github.com/keyrounds/keyrounds/test/promtest"
	"github.com/keyrounds/keyrounds/usage"
	"github.com/keyrounds/keyrounds/usage/feed"
)

// gatewayMetrics is a Prometheus that answers what a test says.
type gatewayMetrics struct {
	*api
	feed    feed.Feed
	counts  map[string]float64
	covered bool
	broken  string // instead of an answer
}

func newGatewayMetrics(d *desk, q feed.PromQL) *gatewayMetrics {
	g := &gatewayMetrics{covered: true}
	g.api = newAPI(d, func(_ *api, w http.ResponseWriter, r *http.Request) {
		if g.broken != "" {
			w.WriteHeader(http.StatusUnprocessableEntity)
			_, _ = w.Write([]byte(g.broken))
			return
		}
		at := r.URL.Query().Get("time")
		result := []any{}
		switch {
		case !strings.Contains(r.URL.Query().Get("query"), "min_over_time"):
			for id, n := range g.counts {
				result = append(
					result,
					map[string]any{"metric": map[string]any{"client_id": id}, "value": []any{json.Number(at), fmt.Sprint(n)}},
				)
			}
		case g.covered:
			result = append(result, map[string]any{"metric": map[string]any{}, "value": []any{json.Number(at), "3"}})
		default:
			result = append(result, map[string]any{"metric": map[string]any{}, "value": []any{json.Number(at), "0"}})
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"status": "success", "data": map[string]any{"resultType": "vector", "result": result}})
	})
	g.feed = prometheusFeed(g.api, q, g.server.URL)
	return g
}

func prometheusFeed(a *api, q feed.PromQL, url string) feed.Feed {
	a.Helper()
	p, err := feed.FindPreset("prometheus")
	if err != nil {
		a.Fatal(err)
	}
	spec, err := q.Fill(*p.Poll)
	if err != nil {
		a.Fatal(err)
	}
	spec.Lag.Duration, spec.First.Duration = 0, time.Hour
	poll, err := feed.NewPoll(spec, url, time.Minute)
	if err != nil {
		a.Fatal(err)
	}
	return a.desk.feed(
		feed.Feed{Name: "metrics", Type: feed.TypePrometheus, Format: a.format("prometheus"), Poll: poll, Silence: time.Minute},
	)
}

// Counts become uses, of the time that was asked for; what the query did not see is not covered.
func TestPrometheusCounts(t *testing.T) {
	t.Parallel()
	d := newDesk(t, client(1, "a"), client(2, "b"))
	g := newGatewayMetrics(d, feed.PromQL{Metric: "requests_total"})
	g.counts = map[string]float64{"a": 11.3, "nobody": 1}
	g.must(g.feed)
	if n := g.uses(); n != 12 {
		t.Errorf("%d uses", n)
	}
	begin := d.now.Add(-time.Hour)
	want := []feed.Span{{From: begin, To: d.now}}
	if got := g.coverage(g.feed); !sameSpans(got, want) {
		t.Errorf("covered %v", got)
	}
	if last := g.asked[0]; !strings.Contains(last, url.QueryEscape("[3600s]")) ||
		!strings.Contains(last, fmt.Sprint("time=", d.now.Unix())) {
		t.Errorf("asked %s", last)
	}
	// Ten minutes that the query did not see, then ten that it did.
	g.counts, g.covered = nil, false
	d.now = d.now.Add(10 * time.Minute)
	g.must(g.feed)
	g.covered = true
	d.now = d.now.Add(10 * time.Minute)
	g.must(g.feed)
	want = append(want, feed.Span{From: d.now.Add(-10 * time.Minute), To: d.now})
	if got := g.coverage(g.feed); !sameSpans(got, want) {
		t.Errorf("covered %v", got)
	}
	// An answer that is none, and one that names no client, cover nothing and are said.
	g.broken = `{"status":"error","errorType":"bad_data","error":"unknown function c4n4ry-token"}`
	d.now = d.now.Add(10 * time.Minute)
	if err := g.poll(g.feed); err == nil || !strings.Contains(err.Error(), "HTTP 422: unknown function [redacted") ||
		strings.Contains(err.Error(), "c4n4ry") {
		t.Error(err)
	}
	for _, body := range []string{
		`{"status":"success","data":{"resultType":"matrix","result":[]}}`,
		`{"status":"success"}`, `[]`, `null`, `{"data":{"resultType":"vector","result":null}}`,
	} {
		g.answer = func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) }
		if err := g.poll(g.feed); err == nil {
			t.Errorf("%s is taken for an answer", body)
		}
	}
	if got := g.coverage(g.feed); !sameSpans(got, want) {
		t.Errorf("covered %v", got)
	}
}

func sameSpans(a, b []feed.Span) bool {
	return slices.EqualFunc(a, b, func(a, b feed.Span) bool { return a.From.Equal(b.From) && a.To.Equal(b.To) })
}

// Between two polls a feed is not silent: what is known stays known, and after a missed one it is not.
func TestPrometheusAnswers(t *testing.T) {
	t.Parallel()
	used, idle := client(1, "a"), client(2, "b")
	for _, c := range []*credential.Credential{&used, &idle} {
		c.UnusedAfter, c.Created = 2*time.Hour, time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	d := newDesk(t, used, idle)
	g := newGatewayMetrics(d, feed.PromQL{Query: `sum by (client_id) (increase(requests_total[30m])) > 0`})
	g.feed.Poll.Every = 15 * time.Minute
	g.feed.Silence = g.feed.Poll.Silence()
	d.tx(func(tx pgx.Tx) error { return d.store.Register(t.Context(), tx, g.feed, d.now) })
	g.counts = map[string]float64{"a": 3}
	for range 12 {
		g.must(g.feed)
		d.now = d.now.Add(15 * time.Minute)
	}
	for later, want := range map[time.Duration]usage.State{
		0: usage.NeverUsed, 20 * time.Minute: usage.NeverUsed, 70 * time.Minute: usage.NotKnown,
	} {
		var book *usage.Book
		d.tx(func(tx pgx.Tx) (err error) {
			book, err = d.store.Open(t.Context(), tx, []credential.Credential{used, idle})
			return err
		})
		at := d.now.Add(later)
		if a, b := book.Assess(used, at), book.Assess(idle, at); a.State != usage.Used || b.State != want {
			t.Errorf("after %s: %s (%s), %s (%s)", later, a.State, a.Reason, b.State, b.Reason)
		}
	}
}

// A long absence is asked for in stretches, each with its own coverage.
func TestPrometheusCatchesUp(t *testing.T) {
	t.Parallel()
	d := newDesk(t, client(1, "a"))
	g := newGatewayMetrics(d, feed.PromQL{Metric: "requests_total"})
	g.must(g.feed)
	d.now = d.now.Add(20 * time.Hour)
	for range 4 {
		g.must(g.feed)
	}
	if got := g.coverage(g.feed); len(got) != 1 || !got[0].To.Equal(d.now) || got[0].To.Sub(got[0].From) != 21*time.Hour {
		t.Errorf("covered %v", got)
	}
	if n := len(g.asked); n != 2+8 {
		t.Errorf("%d requests", n)
	}
	g.must(g.feed) // nothing is new
	if n := len(g.asked); n != 10 {
		t.Errorf("%d requests", n)
	}
}

// Our own checks are in the count as well: what they can have made says nothing, more is use by others.
func TestPrometheusOwn(t *testing.T) {
	t.Parallel()
	d := newDesk(t, client(1, "a"))
	for i := range 4 { // an exchange and two probes each
		d.ledger = append(d.ledger, checker.Footprint{
			Check: uuid.New(), CredentialID: 1,
			At: d.now.Add(-time.Duration(10*i+5) * time.Minute), Done: true, Trail: checker.Trail{Requests: 3},
		})
	}
	g := newGatewayMetrics(d, feed.PromQL{Metric: "requests_total"})
	g.counts = map[string]float64{"a": 8.4}
	g.must(g.feed)
	if n := g.uses(); n != 0 {
		t.Errorf("%d uses, of our own", n)
	}
	if n := d.count(`SELECT hidden_s FROM usage_months`); n != 3600 {
		t.Errorf("%d s are hidden", n)
	}
	d.now = d.now.Add(time.Hour)
	for i := range d.ledger {
		d.ledger[i].At = d.ledger[i].At.Add(time.Hour)
	}
	g.counts = map[string]float64{"a": 14}
	g.must(g.feed)
	if n := g.uses(); n != 14 {
		t.Errorf("%d uses", n)
	}
}

// The real Prometheus: a request of a client that was never seen before counts, and a gateway that is away is
// a gap.
func TestRealPrometheus(t *testing.T) {
	lasting.Test(t, "it runs a Prometheus")
	t.Parallel()
	reg := prometheus.NewRegistry()
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gateway_requests_total", Help: "By client."},
		[]string{"client_id", "code"})
	reg.MustRegister(requests)
	requests.WithLabelValues("b", "200").Add(7)
	gateway := httptest.NewServer(promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))
	defer gateway.Close()
	prom := promtest.Start(t, promtest.Scrape("gateway", strings.TrimPrefix(gateway.URL, "http://"), ""), nil)
	d := newDesk(t, client(1, "a"), client(2, "b"))
	d.now = time.Now()
	a := newAPI(d, nil)
	feed := prometheusFeed(a, feed.PromQL{Metric: `gateway_requests_total{code="200"}`}, prom.URL)
	until := func(span time.Duration, what string, cond func() bool) {
		t.Helper()
		for deadline := time.Now().Add(30 * time.Second); !cond(); time.Sleep(span) {
			if time.Now().After(deadline) {
				t.Fatalf("not in time: %s; %v", what, a.coverage(feed))
			}
			d.now = time.Now()
			a.must(feed)
		}
	}
	used := func(id int64) int {
		return d.count(`SELECT coalesce(sum(uses), 0)::int FROM usage_days WHERE credential_id = $1`, id)
	}
	covered := func() (n time.Duration) {
		for _, s := range a.coverage(feed) {
			n += s.To.Sub(s.From)
		}
		return n
	}
	until(3*time.Second, "b is seen, and some time is covered", func() bool { return used(2) > 0 && covered() > 5*time.Second })
	requests.WithLabelValues("a", "200").Inc() // its series begins at 1: increase() sees nothing
	until(2*time.Second, "the first request of a is seen", func() bool { return used(1) > 0 })
	if n := used(1); n != 1 {
		t.Errorf("one request is %d uses", n)
	}
	gateway.Close()
	failedScrapes := func(n int) func() bool {
		return func() bool {
			v, _, _, err := prom.API.Query(t.Context(), `sum_over_time((1 - up{job="gateway"})[1m:500ms])`, time.Now())
			down, ok := v.(model.Vector)
			return err == nil && ok && len(down) == 1 && int(down[0].Value) >= n
		}
	}
	// What was good before is covered as late as with the first poll after it.
	until(200*time.Millisecond, "Prometheus marks the gateway's series as stale", failedScrapes(3))
	d.now = time.Now()
	a.must(feed)
	before := covered()
	until(200*time.Millisecond, "more scrapes fail", failedScrapes(8))
	if after := covered(); after != before {
		t.Errorf("%s are covered while the gateway is away", after-before)
	}
}

// A Prometheus that cannot show a client never makes a credential unused, whatever is wrong with it.
func TestAbsenceNeedsEvidenceOfMetrics(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		look func(g *gatewayMetrics, day int) // sets what it answers on a day of 20
		want usage.State
	}{
		"all is well":           {func(g *gatewayMetrics, _ int) { g.counts = map[string]float64{"other": 3} }, usage.NeverUsed},
		"nobody was ever there": {func(*gatewayMetrics, int) {}, usage.NotKnown},
		"its label is another":  {func(g *gatewayMetrics, _ int) { g.counts = map[string]float64{"": 3} }, usage.NotKnown},
		"its label was lost": {func(g *gatewayMetrics, day int) {
			g.counts = map[string]float64{lostAfter(day, 12): 3}
		}, usage.NotKnown},
		"the gateway was not there": {func(g *gatewayMetrics, _ int) {
			g.counts, g.covered = map[string]float64{"other": 3}, false
		}, usage.NotKnown},
		"it was gone for two days": {func(g *gatewayMetrics, day int) {
			g.counts, g.covered = map[string]float64{"other": 3}, day < 15 || day > 16
		}, usage.NotKnown},
		"it answers errors since": {func(g *gatewayMetrics, day int) {
			g.counts = map[string]float64{"other": 3}
			if day > 16 {
				g.broken = `{"status":"error"}`
			}
		}, usage.NotKnown},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			end := d.now
			g := newGatewayMetrics(d, feed.PromQL{Metric: "requests_total"})
			for step := range 20 * 4 {
				d.now = end.Add(time.Duration(step-79) * 6 * time.Hour)
				c.look(g, step/4)
				if err := g.poll(g.feed); err != nil && g.broken == "" {
					t.Fatal(err)
				}
			}
			credential := client(1, "idle")
			credential.UnusedAfter, credential.Created = 10*24*time.Hour, end.AddDate(-1, 0, 0)
			if got := d.answer(credential); got.State != c.want {
				t.Errorf("%s: %s", got.State, got.Reason)
			}
		})
	}
}

func lostAfter(day, last int) string {
	if day > last {
		return ""
	}
	return "other"
}
