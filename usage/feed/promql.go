package feed

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
)

// PromQL is what a feed of TypePrometheus asks. {span} stands for the time since it was last asked.
type PromQL struct {
	Metric   string // a selector of a counter of requests: the query is made of it
	Label    string // of Metric, that names the client; default client_id
	Query    string // instead of Metric: a vector with one label, the client's id
	Coverage string // above 0 if the query saw all of a span; default: there were series all the time
}

// Rules of a feed of type prometheus:
//
//  1. It is asked for one stretch of time after the other. Those who are in the answer used their
//     credential in that stretch, those who are not did not.
//  2. A counter that appears has no increase yet: a client's first request is in its value. The query that is
//     made of a metric counts it; one of the user's own should.
//  3. A stretch counts as watched only if the coverage query says so. A Prometheus that has lost the gateway
//     answers "nobody", and that must not become "unused".
//  4. A count names no address and no token. Where our own checks can have made all of it, nothing is known of
//     the stretch.

// DefaultPromQLEvery is how often a Prometheus is asked that nothing else is said of.
const DefaultPromQLEvery = 15 * time.Minute

const (
	spanMark    = "{span}"
	stepMark    = "{step}"
	longestSpan = 6 * time.Hour
)

// Fill puts the queries into the specification of the preset. Its errors begin with the key that is wrong.
func (q PromQL) Fill(spec PollSpec) (PollSpec, error) {
	query, err := q.query()
	if err != nil {
		return spec, err
	}
	expr, err := parsePromQL(query)
	if err != nil {
		return spec, fmt.Errorf("query: %w", err)
	}
	if expr.Type() != parser.ValueTypeVector {
		return spec, fmt.Errorf("query: it gives a %s; a vector with a series for each client is needed", expr.Type())
	}
	if spec.Span, err = spanOf(query, expr); err != nil {
		return spec, err
	}
	cover := q.Coverage
	if cover == "" {
		cover = coverageOf(expr)
	} else if _, err := parsePromQL(cover); err != nil {
		return spec, fmt.Errorf("coverage: %w", err)
	}
	spec.URL, spec.CoverURL = fillQuery(spec.URL, query), fillQuery(spec.CoverURL, cover)
	return spec, nil
}

func (q PromQL) query() (string, error) {
	switch {
	case q.Query != "" && q.Metric != "":
		return "", errors.New("metric: one of metric and query")
	case q.Query != "":
		return q.Query, nil
	case q.Metric == "":
		return "", errors.New("metric: is missing; a counter of requests with a label for the client, or a query")
	}
	expr, err := parsePromQL(q.Metric)
	if err != nil {
		return "", fmt.Errorf("metric: %w", err)
	}
	if s, ok := expr.(*parser.VectorSelector); !ok || s.OriginalOffset != 0 || s.Timestamp != nil || s.StartOrEnd != 0 {
		return "", errors.New("metric: not a plain selector such as requests_total{job=\"gateway\"}; anything else is a query")
	}
	label := cmp.Or(q.Label, "client_id")
	return fmt.Sprintf("sum by (%[2]s) (increase(%[1]s[{span}])) > 0 or "+
		"sum by (%[2]s) (max_over_time(%[1]s[{span}]) unless %[1]s offset {span}) > 0", q.Metric, label), nil
}

var promQL = parser.NewParser(parser.Options{})

// parsePromQL reads an expression in which {span} may stand for a duration.
func parsePromQL(text string) (parser.Expr, error) {
	return promQL.ParseExpr(strings.NewReplacer(spanMark, "1h", stepMark, "1m").Replace(text))
}

// spanOf says how long the stretches are that a query is asked for: 0, as it comes, where it says {span}, else
// the range that it names.
func spanOf(query string, expr parser.Expr) (time.Duration, error) {
	if strings.Contains(query, spanMark) {
		return 0, nil
	}
	var shortest time.Duration
	parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
		if m, ok := n.(*parser.MatrixSelector); ok && (shortest == 0 || m.Range < shortest) {
			shortest = m.Range
		}
		return nil
	})
	if shortest == 0 {
		return 0, errors.New("query: it looks at no range of time; such as increase(requests_total[{span}])")
	}
	return shortest, nil
}

// coverageOf asks whether there was a series of each selector all the time.
func coverageOf(expr parser.Expr) string {
	var all []string
	parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
		if s, ok := n.(*parser.VectorSelector); ok {
			plain := parser.VectorSelector{Name: s.Name, LabelMatchers: s.LabelMatchers}
			text := fmt.Sprintf("min_over_time((count(%s) or vector(0))[{span}:{step}])", plain.String())
			if !slices.Contains(all, text) {
				all = append(all, text)
			}
		}
		return nil
	})
	return strings.Join(all, " * on() ")
}

// fillQuery puts a query into a URL; {span} and {step} stay.
func fillQuery(in, query string) string {
	keep := strings.NewReplacer(url.QueryEscape(spanMark), spanMark, url.QueryEscape(stepMark), stepMark)
	return strings.ReplaceAll(in, "{query}", keep.Replace(url.QueryEscape(query)))
}

// step is the time between two looks at whether there are series in a span. Prometheus remembers a series for
// five minutes after its last sample, so a minute is often enough.
func step(span time.Duration) time.Duration { return min(max(span/4, time.Second), time.Minute) }
