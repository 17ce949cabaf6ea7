// Package collector shows as Prometheus metrics what the database holds, read at each scrape.
//
// It counts nothing itself: what a process did is counted where it is done. Every replica reads the
// same, so dashboards and rules take the maximum over replicas.
package collector

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/leak"
	"github.com/keyrounds/keyrounds/notify"
	"github.com/keyrounds/keyrounds/registry"
	"github.com/keyrounds/keyrounds/rounds"
	"github.com/keyrounds/keyrounds/usage"
)

// Sources are where the collector reads, at each scrape. All are required but Series; they must be safe for
// concurrent use.
type Sources struct {
	Audit    *audit.Store
	Registry *registry.Store
	Usage    *usage.Store
	Engine   func(context.Context) (rounds.Engine, error)
	Lanes    func(context.Context) ([]notify.LaneState, error)
	// LeakSources are the sources of leaks that are configured, by name.
	LeakSources func(context.Context) (map[string]leak.SourceState, error)
	// Storing says why nothing can be stored; nil: it can. Where the function is nil it is not asked.
	Storing func() error
	Log     *slog.Logger
	Now     func() time.Time
	// Longest is how long an ordinary check of one of the provider's credentials may be away, given what
	// its schedule says; 0: it is never checked.
	Longest func(provider string, scheduled time.Duration) time.Duration
	Series  Series
}

// Series says which credentials have series of their own. The zero value: none, and no single finding either.
type Series struct {
	PerCredential bool
	Match         map[string]string // only those with these labels
	Labels        []string          // of credentials, shown by keyrounds_credential_info
	Limit         int               // credentials, and findings; those that are not healthy come first
}

// scrapeTime is how long a scrape may ask the database.
const scrapeTime = 8 * time.Second

// New returns the collector. It reads nothing before the first scrape, and a scrape may ask the database for 8 s.
// What cannot be read is left out, and keyrounds_database_up is 0 then, and where nothing can be stored.
func New(s Sources) prometheus.Collector {
	c := &collector{Sources: s}
	c.info = gauge("keyrounds_credential_info", "Always 1; who owns a credential, and the labels that metrics.labels names.",
		append([]string{"credential", "provider", "owner", "canary"}, prefixed(s.Series.Labels)...)...)
	return c
}

type collector struct {
	Sources
	info family
}

// family is a metric that the collector shows.
type family struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
}

func gauge(name, help string, labels ...string) family {
	return family{prometheus.NewDesc(name, help, labels, nil), prometheus.GaugeValue}
}

func counter(name, help string, labels ...string) family {
	return family{prometheus.NewDesc(name, help, labels, nil), prometheus.CounterValue}
}

// scrape is one answer.
type scrape struct {
	ch  chan<- prometheus.Metric
	now time.Time
}

func (s scrape) put(f family, v float64, labels ...string) {
	s.ch <- prometheus.MustNewConstMetric(f.desc, f.kind, v, labels...)
}

// at puts a time, unless it is zero.
func (s scrape) at(f family, t time.Time, labels ...string) {
	if !t.IsZero() {
		s.put(f, float64(t.UnixMilli())/1000, labels...)
	}
}

// since puts how long ago t was: 0 for the zero time and for what is ahead.
func (s scrape) since(f family, t time.Time, labels ...string) {
	v := 0.0
	if !t.IsZero() {
		v = max(0, s.now.Sub(t).Seconds())
	}
	s.put(f, v, labels...)
}

var databaseUp = gauge("keyrounds_database_up", "1 if the database answered this scrape, and something was stored lately.")

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, fs := range [][]family{
		{databaseUp, c.info}, credentialFamilies, findingFamilies, engineFamilies, feedFamilies, leakFamilies, laneFamilies,
	} {
		for _, f := range fs {
			ch <- f.desc
		}
	}
}

// Collect implements prometheus.Collector. What cannot be read is left out, and databaseUp says so.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTime)
	defer cancel()
	s := scrape{ch, c.Now()}
	err := c.read(ctx, s)
	if err == nil && c.Storing != nil {
		err = c.Storing()
	}
	if err != nil {
		c.Log.Debug("the database did not answer a scrape", "error", err)
		s.put(databaseUp, 0)
		return
	}
	s.put(databaseUp, 1)
}

func (c *collector) read(ctx context.Context, s scrape) error {
	return errors.Join(
		c.engine(ctx, s),
		c.credentials(ctx, s),
		c.findings(ctx, s),
		c.feeds(ctx, s),
		c.leaks(ctx, s),
		c.lanes(ctx, s),
	)
}
