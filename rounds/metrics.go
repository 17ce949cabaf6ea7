package rounds

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/traces"
	"github.com/keyrounds/keyrounds/usage"
)

type metrics struct {
	checks        *prometheus.CounterVec
	requests      *prometheus.CounterVec
	duration      *prometheus.HistogramVec
	waits         *prometheus.CounterVec
	ownerChecks   *prometheus.CounterVec
	ownerDuration *prometheus.HistogramVec
	expires       *prometheus.GaugeVec
	secrets       *prometheus.CounterVec
	batch         prometheus.Histogram
	inFlight      prometheus.Gauge
	beats         *prometheus.CounterVec
	taken         *prometheus.HistogramVec

	exemplars bool
	ends      sync.Map // by provider: when its certificate ends, a time.Time
	mu        sync.Mutex
	owners    map[string]bool
	series    map[[2]string]*series // by provider and owner
}

var latencies = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

// histogram has classic buckets, and native ones for those who scrape them.
func histogram(name, help string, buckets []float64) prometheus.HistogramOpts {
	return prometheus.HistogramOpts{
		Name: name, Help: help, Buckets: buckets,
		NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100, NativeHistogramMinResetDuration: time.Hour,
	}
}

func newMetrics(reg prometheus.Registerer, exemplars bool) *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m := &metrics{
		checks: counter("keyrounds_checks_total", "Checks done by this process, by provider and outcome.", "provider", "outcome"),
		requests: counter(
			"keyrounds_token_requests_total",
			"Token requests made by this process, by provider, purpose (check, check_by_hand, first_check, leaked_secret, feed) "+
				"and outcome.",
			"provider",
			"purpose",
			"outcome",
		),
		duration: prometheus.NewHistogramVec(
			histogram(
				"keyrounds_check_duration_seconds",
				"How long the phases of an exchange took (dns, connect, tls, first_byte, total).",
				latencies,
			),
			[]string{"provider", "phase"},
		),
		waits: counter(
			"keyrounds_check_wait_seconds_total",
			"How long checks waited for their turn at a provider, for its concurrency, its rate, or a pause that it asked for.",
			"provider",
			"cause",
		),
		ownerChecks: counter(
			"keyrounds_owner_checks_total",
			"Checks done by this process, by owner of the credential, provider and outcome.",
			"owner",
			"provider",
			"outcome",
		),
		ownerDuration: prometheus.NewHistogramVec(
			histogram(
				"keyrounds_owner_check_duration_seconds",
				"How long exchanges took, by owner of the credential and provider.",
				latencies,
			),
			[]string{"owner", "provider"},
		),
		expires: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "keyrounds_provider_certificate_expiry_timestamp_seconds",
			Help: "When the token endpoint's TLS certificate ends, as this process last saw it.",
		}, []string{"provider"}),
		secrets: counter(
			"keyrounds_secrets_resolved_total",
			"Secrets that were to be read for checks, by scheme of the reference and result (ok, failed).",
			"scheme",
			"result",
		),
		batch: prometheus.NewHistogram(
			histogram("keyrounds_batch_duration_seconds", "How long a batch of checks took, from the first secret to the commit.",
				[]float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 20, 40, 60}),
		),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "keyrounds_checks_in_flight",
			Help: "Credentials that this process has leased, or checks for somebody, and whose results are not stored yet.",
		}),
		taken: prometheus.NewHistogramVec(
			histogram("keyrounds_feed_batch_records", "Records in what this process took in at once, by feed.",
				[]float64{1, 10, 100, 1000, 10_000, 100_000}),
			[]string{"feed"},
		),
		exemplars: exemplars,
		owners:    map[string]bool{},
		series:    map[[2]string]*series{},
	}
	m.beats = counter(
		"keyrounds_heartbeats_total", "Heartbeats to another monitor, by result (ok, failed, withheld: the rounds stand still).", "result",
	)
	if reg != nil {
		reg.MustRegister(m.beats)
		reg.MustRegister(
			m.checks,
			m.requests,
			m.duration,
			m.waits,
			m.ownerChecks,
			m.ownerDuration,
			m.expires,
			m.secrets,
			m.batch,
			m.inFlight,
			m.taken,
		)
	}
	return m
}

// expect shows the outcomes of the providers as 0 until they come: of a series that begins at 1 Prometheus sees no
// increase.
func (m *metrics) expect(providers map[string]checker.Provider) {
	for name, p := range providers {
		for _, outcome := range checker.Outcomes() {
			if !p.Passive {
				m.checks.WithLabelValues(name, string(outcome))
			}
		}
	}
}

func (m *metrics) usage(n usage.Ingested) {
	if records := n.Counts.Records(); records > 0 {
		m.taken.WithLabelValues(n.Feed.Name).Observe(float64(records))
	}
}

// CertificateEnds is when the TLS certificate of a provider's token endpoint ends, as this process last saw it; zero: it saw none.
func (r *Rounds) CertificateEnds(provider string) time.Time {
	at, _ := r.metrics.ends.Load(provider)
	end, _ := at.(time.Time)
	return end
}

// check counts one result, of a credential of owner.
func (m *metrics) check(ctx context.Context, r checker.Result, owner string) {
	owner = m.owner(owner)
	of := m.seriesOf(r.Provider, owner)
	m.checks.WithLabelValues(r.Provider, string(r.Outcome)).Inc()
	m.ownerChecks.WithLabelValues(owner, r.Provider, string(r.Outcome)).Inc()
	if !r.CertificateExpires.IsZero() {
		m.expires.WithLabelValues(r.Provider).Set(float64(r.CertificateExpires.Unix()))
		m.ends.Store(r.Provider, r.CertificateExpires)
	}
	for i, d := range [...]time.Duration{r.Phases.DNS, r.Phases.Connect, r.Phases.TLS, r.Phases.FirstByte, r.Phases.Total} {
		if d > 0 {
			m.observe(ctx, of.phase(i), d)
		}
	}
	if r.Phases.Total > 0 {
		m.observe(ctx, of.ofOwner(), r.Phases.Total)
	}
	for i, d := range [...]time.Duration{r.Waits.Concurrency, r.Waits.Rate, r.Waits.Pause} {
		of.waits[i].Add(d.Seconds())
	}
}

// series are those of the checks of an owner's credentials at a provider, looked up once.
type series struct {
	phase   func(i int) prometheus.Observer // in the order of phaseNames; made when there is something to observe
	waits   []prometheus.Counter            // in the order of waitNames
	ofOwner func() prometheus.Observer      // likewise
}

var (
	phaseNames = []string{"dns", "connect", "tls", "first_byte", "total"}
	waitNames  = []string{"concurrency", "rate", "pause"}
)

func (m *metrics) seriesOf(provider, owner string) *series {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := [2]string{provider, owner}
	if known, ok := m.series[key]; ok {
		return known
	}
	var phases []func() prometheus.Observer
	for _, phase := range phaseNames {
		phases = append(phases, sync.OnceValue(func() prometheus.Observer { return m.duration.WithLabelValues(provider, phase) }))
	}
	of := &series{
		phase:   func(i int) prometheus.Observer { return phases[i]() },
		ofOwner: sync.OnceValue(func() prometheus.Observer { return m.ownerDuration.WithLabelValues(owner, provider) }),
	}
	for _, cause := range waitNames {
		of.waits = append(of.waits, m.waits.WithLabelValues(provider, cause))
	}
	m.series[key] = of
	return of
}

// requested counts a token request, whatever it was for.
func (m *metrics) requested(provider string, why Purpose, outcome checker.Outcome) {
	m.requests.WithLabelValues(provider, why.Name, string(outcome)).Inc()
}

func (m *metrics) observe(ctx context.Context, o prometheus.Observer, d time.Duration) {
	id := traces.ID(ctx)
	if e, ok := o.(prometheus.ExemplarObserver); ok && m.exemplars && id != "" {
		e.ObserveWithExemplar(d.Seconds(), prometheus.Labels{"trace_id": id})
		return
	}
	o.Observe(d.Seconds())
}

func (m *metrics) resolved(scheme string, err error) {
	result := "ok"
	if err != nil {
		result = "failed"
	}
	m.secrets.WithLabelValues(scheme, result).Inc()
}

// Overflow stands in a label for all that is beyond a limit: who writes the configuration must not be able to
// fill the memory of those who scrape.
const Overflow = "_overflow"

const maxOwners = 1000

func (m *metrics) owner(name string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.owners[name] {
		if len(m.owners) >= maxOwners {
			return Overflow
		}
		m.owners[name] = true
	}
	return name
}
