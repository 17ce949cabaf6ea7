package web

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/notify"
	"github.com/keyrounds/keyrounds/usage"
	"github.com/keyrounds/keyrounds/verdict"
)

// Sources are where the collector reads. Every replica reads the same, so dashboards take the
// maximum over replicas.
type Sources struct {
	Audit         *audit.Store
	Usage         *usage.Store
	Lag           func(context.Context) (time.Duration, error)
	Jobs          func(context.Context) (map[string]int, error)
	Lanes         func(context.Context) ([]notify.LaneState, error)
	PerCredential bool
	Log           *slog.Logger
	Now           func() time.Time
}

// NewCollector returns a collector of what the database holds, read at each scrape within 5 s.
func NewCollector(s Sources) prometheus.Collector { return &collector{s} }

type collector struct{ Sources }

var (
	descStatus   = prometheus.NewDesc("keyrounds_credential_status", "1 for the status that holds of a credential, 0 for the others.", []string{"credential", "provider", "status"}, nil)
	descSuccess  = prometheus.NewDesc("keyrounds_credential_last_success_timestamp_seconds", "When a credential last got a token.", []string{"credential", "provider"}, nil)
	descFindings = prometheus.NewDesc("keyrounds_findings", "Findings that are not resolved.", []string{"kind", "severity", "state"}, nil)
	descLag      = prometheus.NewDesc("keyrounds_round_lag_seconds", "How long the credential that waits longest is overdue.", nil, nil)
	descJobs     = prometheus.NewDesc("keyrounds_jobs", "Jobs that are not done, by state.", []string{"state"}, nil)
	descUsed     = prometheus.NewDesc("keyrounds_credential_last_used_timestamp_seconds", "When others than keyrounds last used a credential, as its feeds show.", []string{"credential", "provider"}, nil)
	descFeedLast = prometheus.NewDesc("keyrounds_feed_last_event_timestamp_seconds", "Time of a feed's newest record.", []string{"feed"}, nil)
	descFeedLag  = prometheus.NewDesc("keyrounds_feed_lag_seconds", "How long ago a feed last showed that it lives: a record, a heartbeat or an empty poll.", []string{"feed"}, nil)
	descFeedUp   = prometheus.NewDesc("keyrounds_feed_up", "1 if a feed could be read the last time.", []string{"feed"}, nil)
	descEvents   = prometheus.NewDesc("keyrounds_feed_events_total", "Records that a feed brought, by what became of them.", []string{"feed", "result"}, nil)
	descWaiting  = prometheus.NewDesc("keyrounds_notifications_waiting", "Messages that are due and were not sent yet, by receiver and channel.", []string{"receiver", "channel"}, nil)
	descOldest   = prometheus.NewDesc("keyrounds_notifications_oldest_waiting_seconds", "How long the one of them that waits longest is due.", []string{"receiver", "channel"}, nil)
	descFailing  = prometheus.NewDesc("keyrounds_receiver_failing_seconds", "For how long a receiver has taken no message; 0: it works.", []string{"receiver", "channel"}, nil)
	descFound    = prometheus.NewDesc("keyrounds_findings_found", "Findings that there ever were, by provider and kind.", []string{"provider", "kind"}, nil)
	descFalse    = prometheus.NewDesc("keyrounds_findings_false_alarms", "How many of them were false alarms, as people say.", []string{"provider", "kind"}, nil)
	descUp       = prometheus.NewDesc("keyrounds_database_up", "1 if the database answered this scrape.", nil, nil)
)

func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descStatus, descSuccess, descFindings, descLag, descJobs, descUsed, descFeedLast, descFeedLag, descFeedUp, descEvents, descWaiting, descOldest, descFailing, descFound, descFalse, descUp} {
		ch <- d
	}
}

func (c *collector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	counter := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
	}
	err := errors.Join(c.collect(ctx, gauge), c.feeds(ctx, gauge, counter), c.told(ctx, gauge))
	if err != nil {
		c.Log.Debug("the database did not answer a scrape", "error", err)
		gauge(descUp, 0)
		return
	}
	gauge(descUp, 1)
}

func (c *collector) collect(ctx context.Context, gauge func(*prometheus.Desc, float64, ...string)) error {
	if c.PerCredential {
		standings, err := c.Audit.Standings(ctx, false)
		if err != nil {
			return err
		}
		used, err := c.Usage.LastUses(ctx)
		if err != nil {
			return err
		}
		for _, st := range standings {
			for _, s := range verdict.Statuses() {
				v := 0.0
				if s == st.Status {
					v = 1
				}
				gauge(descStatus, v, st.Credential, st.Provider, string(s))
			}
			if at := used[st.CredentialID]; !at.IsZero() {
				gauge(descUsed, float64(at.UnixMilli())/1000, st.Credential, st.Provider)
			}
			if !st.LastSuccess.IsZero() {
				gauge(descSuccess, float64(st.LastSuccess.UnixMilli())/1000, st.Credential, st.Provider)
			}
		}
	}
	counts, err := c.Audit.Counts(ctx)
	if err != nil {
		return err
	}
	for _, n := range counts {
		gauge(descFindings, float64(n.N), string(n.Kind), string(n.Severity), string(n.State))
	}
	lag, err := c.Lag(ctx)
	if err != nil {
		return err
	}
	gauge(descLag, lag.Seconds())
	jobs, err := c.Jobs(ctx)
	if err != nil {
		return err
	}
	for state, n := range jobs {
		gauge(descJobs, float64(n), state)
	}
	return nil
}

func (c *collector) feeds(ctx context.Context, gauge, counter func(*prometheus.Desc, float64, ...string)) error {
	feeds, err := c.Usage.Feeds(ctx)
	if err != nil {
		return err
	}
	for _, f := range feeds {
		if !f.Configured {
			continue
		}
		if !f.LastEvent.IsZero() {
			gauge(descFeedLast, float64(f.LastEvent.UnixMilli())/1000, f.Feed)
		}
		if !f.LastSeen.IsZero() {
			gauge(descFeedLag, max(0, c.Now().Sub(f.LastSeen).Seconds()), f.Feed)
		}
		up := 1.0
		if f.Error != "" {
			up = 0
		}
		gauge(descFeedUp, up, f.Feed)
		for _, r := range usage.Results() {
			counter(descEvents, float64(f.Counts[r]), f.Feed, string(r))
		}
	}
	return nil
}

// told is how the ways to people are, and what people said of what they were told.
func (c *collector) told(ctx context.Context, gauge func(*prometheus.Desc, float64, ...string)) error {
	lanes, err := c.Lanes(ctx)
	if err != nil {
		return err
	}
	since := func(t time.Time) float64 {
		if t.IsZero() {
			return 0
		}
		return max(0, c.Now().Sub(t).Seconds())
	}
	for _, l := range lanes {
		gauge(descWaiting, float64(l.Waiting), l.Receiver, l.Channel)
		gauge(descOldest, since(l.Oldest), l.Receiver, l.Channel)
		gauge(descFailing, since(l.FailingSince), l.Receiver, l.Channel)
	}
	precisions, err := c.Audit.Precisions(ctx)
	for _, p := range precisions {
		gauge(descFound, float64(p.Found), p.Provider, string(p.Kind))
		gauge(descFalse, float64(p.FalseAlarms), p.Provider, string(p.Kind))
	}
	return err
}
