package app_test

import (
	"flag"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/keyrounds/keyrounds/app"
	"github.com/keyrounds/keyrounds/config"
)

var update = flag.Bool("update", false, "write docs/reference/metrics.md anew")

// recorder is a registry that remembers what was registered.
type recorder struct {
	*prometheus.Registry
	all []prometheus.Collector
}

func (r *recorder) Register(c prometheus.Collector) error {
	r.all = append(r.all, c)
	return r.Registry.Register(c)
}

func (r *recorder) MustRegister(cs ...prometheus.Collector) {
	r.all = append(r.all, cs...)
	r.Registry.MustRegister(cs...)
}

var descPattern = regexp.MustCompile(
	`fqName: "([^"]+)", help: ("(?:[^"\\]|\\.)*"), (?:unit: "[^"]*", )?constLabels: \{([^}]*)\}, variableLabels: \{([^}]*)\}`,
)

// docs/reference/metrics.md is what the code registers: names, types, labels and help.
func TestMetricsReference(t *testing.T) {
	t.Parallel()
	reg := &recorder{Registry: prometheus.NewRegistry()}
	dir, err := os.MkdirTemp("", "keyrounds-reference-") // the private Postgres' user passes through
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	c, err := config.Parse("keyrounds.yaml", fmt.Appendf(nil, "data_dir: %s\nlisten: 127.0.0.1:0\nmetrics: {labels: [env]}\n", dir))
	if err != nil {
		t.Fatal(err)
	}
	a, err := app.Open(t.Context(), app.Options{Config: c, Version: "test", Log: slog.New(slog.DiscardHandler), Daemon: true, Metrics: reg})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Stop()
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	var rows []string
	for _, c := range reg.all {
		ch := make(chan *prometheus.Desc, 200)
		c.Describe(ch)
		close(ch)
		for d := range ch {
			m := descPattern.FindStringSubmatch(d.String())
			if m == nil {
				t.Fatalf("unknown form of %s", d)
			}
			if !strings.HasPrefix(m[1], "keyrounds_") {
				continue // of Go and the process
			}
			labels := strings.FieldsFunc(m[4], func(r rune) bool { return r == ',' || r == ' ' })
			if name, _, ok := strings.Cut(m[3], "="); ok {
				labels = append(labels, name)
			}
			help := strings.NewReplacer(`\"`, `"`, "|", `\|`).Replace(strings.Trim(m[2], `"`))
			rows = append(rows, fmt.Sprintf("| `%s` | %s | %s | %s |", m[1], kindOf(c, m[1]), strings.Join(labels, ", "), help))
		}
	}
	slices.Sort(rows)
	text := reference + strings.Join(slices.Compact(rows), "\n") + "\n"
	const path = "../docs/reference/metrics.md"
	if *update {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != text {
		t.Errorf("%s is not what the code registers (go test ./app -run TestMetricsReference -update): %v", path, err)
	}
	if len(rows) < 50 {
		t.Errorf("only %d metrics", len(rows))
	}
}

const reference = `# Metrics

Made from the code by ` + "`go test ./app -run TestMetricsReference -update`" + `; a test holds it to that. Beside these there are
the usual ones of the Go runtime (` + "`go_…`" + `) and the process (` + "`process_…`" + `).

What the database holds is the same on every replica: take ` + "`max by (…)`" + `. What a process did is its own: take
` + "`sum by (…)`" + ` of a rate. [operations.md](../operations.md) says which is which, and shows rules and dashboards.
Histograms have classic buckets, and native ones for a Prometheus that scrapes those. Labels of a credential that
` + "`metrics.labels`" + ` names are shown as ` + "`label_NAME`" + `.

| metric | type | labels | |
| --- | --- | --- | --- |
`

func kindOf(c prometheus.Collector, name string) string {
	switch c.(type) {
	case *prometheus.CounterVec:
		return "counter"
	case *prometheus.GaugeVec:
		return "gauge"
	case *prometheus.HistogramVec:
		return "histogram"
	case prometheus.Gauge:
		return "gauge"
	case prometheus.Histogram:
		return "histogram"
	}
	if strings.HasSuffix(name, "_total") {
		return "counter"
	}
	return "gauge"
}
