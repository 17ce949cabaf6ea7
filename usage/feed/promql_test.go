package feed_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/keyrounds/keyrounds/usage/feed"
)

// A metric becomes a query, a query a coverage; what is no query of clients is refused with the key that is wrong.
func TestPromQL(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		q         feed.PromQL
		url, err  string // parts of them
		cover     string
		stretches time.Duration
	}{
		"a metric": {
			feed.PromQL{Metric: `requests_total{job="gw"}`, Label: "client"},
			`sum by (client) (increase(requests_total{job="gw"}[{span}])) > 0 or ` +
				`sum by (client) (max_over_time(requests_total{job="gw"}[{span}]) unless requests_total{job="gw"} offset {span}) > 0`, "",
			`min_over_time((count(requests_total{job="gw"}) or vector(0))[{span}:{step}])`, 0,
		},
		"a query": {
			feed.PromQL{Query: `sum by (client_id) (increase(a_total[{span}]) + on(x) group_left b_total) > 0`},
			`a_total`, "",
			`min_over_time((count(a_total) or vector(0))[{span}:{step}])` +
				` * on() min_over_time((count(b_total) or vector(0))[{span}:{step}])`, 0,
		},
		"its own coverage": {
			feed.PromQL{Metric: "a", Coverage: `min(min_over_time(up{job="gw"}[{span}]))`},
			"client_id", "", `min(min_over_time(up{job="gw"}[{span}]))`, 0,
		},
		"a fixed range":          {feed.PromQL{Query: `sum by (client_id) (increase(a[1h])) > 0`}, "1h", "", "count(a)", time.Hour},
		"no range":               {feed.PromQL{Query: `sum by (client_id) (a) > 0`}, "", "query: it looks at no range", "", 0},
		"broken":                 {feed.PromQL{Query: `sum by (client_id) (increase(a[1h])`}, "", "query: 1:", "", 0},
		"no vector":              {feed.PromQL{Query: `scalar(sum(increase(a[1h])))`}, "", "query: it gives a scalar", "", 0},
		"neither":                {feed.PromQL{}, "", "metric: is missing", "", 0},
		"both":                   {feed.PromQL{Metric: "a", Query: "b"}, "", "metric: one of metric and query", "", 0},
		"an expression for both": {feed.PromQL{Metric: "rate(a[5m])"}, "", "metric: not a plain selector", "", 0},
		"an injected expression": {feed.PromQL{Metric: "a or b"}, "", "metric: not a plain selector", "", 0},
		"broken coverage":        {feed.PromQL{Metric: "a", Coverage: "min("}, "", "coverage: 1:", "", 0},
	} {
		p, err := feed.FindPreset("prometheus")
		if err != nil {
			t.Fatal(err)
		}
		spec, err := c.q.Fill(*p.Poll)
		if c.err != "" {
			if err == nil || !strings.HasPrefix(err.Error(), c.err) {
				t.Errorf("%s: %v, want %s", name, err, c.err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		asked, err1 := url.QueryUnescape(spec.URL)
		cover, err2 := url.QueryUnescape(spec.CoverURL)
		if err1 != nil || err2 != nil || !strings.Contains(asked, c.url) || !strings.Contains(cover, c.cover) || spec.Span != c.stretches {
			t.Errorf("%s:\n%s\n%s\n%s", name, asked, cover, spec.Span)
		}
	}
}
