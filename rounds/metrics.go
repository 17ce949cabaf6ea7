package rounds

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/usage"
)

type metrics struct {
	checks   *prometheus.CounterVec
	expires  *prometheus.GaugeVec
	duration *prometheus.HistogramVec
	batch    prometheus.Histogram
	inFlight prometheus.Gauge
	taken    *prometheus.HistogramVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		checks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "keyrounds_checks_total", Help: "Checks done by this process, by provider and outcome.",
		}, []string{"provider", "outcome"}),
		expires: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "keyrounds_provider_certificate_expiry_timestamp_seconds", Help: "When the token endpoint's TLS certificate ends, as this process last saw it.",
		}, []string{"provider"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "keyrounds_check_duration_seconds", Help: "How long the phases of an exchange took (dns, connect, tls, first_byte, total).",
			Buckets:                     []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
			NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100, NativeHistogramMinResetDuration: time.Hour,
		}, []string{"provider", "phase"}),
		batch: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "keyrounds_batch_duration_seconds", Help: "How long a batch of checks took, from the first secret to the commit.",
			Buckets: []float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 20, 40, 60},
		}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "keyrounds_checks_in_flight", Help: "Credentials in the batches that this process works on.",
		}),
		taken: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "keyrounds_feed_batch_records", Help: "Records in what this process took in at once, by feed.",
			Buckets: []float64{1, 10, 100, 1000, 10_000, 100_000},
		}, []string{"feed"}),
	}
	if reg != nil {
		reg.MustRegister(m.checks, m.expires, m.duration, m.batch, m.inFlight, m.taken)
	}
	return m
}

func (m *metrics) usage(n usage.News) {
	if records := n.Counts.Records(); records > 0 {
		m.taken.WithLabelValues(n.Feed.Name).Observe(float64(records))
	}
}

func (m *metrics) observe(r checker.Result) {
	m.checks.WithLabelValues(r.Provider, string(r.Outcome)).Inc()
	if !r.CertificateExpires.IsZero() {
		m.expires.WithLabelValues(r.Provider).Set(float64(r.CertificateExpires.Unix()))
	}
	for phase, d := range map[string]time.Duration{
		"dns": r.Phases.DNS, "connect": r.Phases.Connect, "tls": r.Phases.TLS, "first_byte": r.Phases.FirstByte, "total": r.Phases.Total,
	} {
		if d > 0 {
			m.duration.WithLabelValues(r.Provider, phase).Observe(d.Seconds())
		}
	}
}
