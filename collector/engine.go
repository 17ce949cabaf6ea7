package collector

import (
	"context"
	"time"
)

var (
	roundLag    = gauge("keyrounds_round_lag_seconds", "How long the credential that waits longest for its result is overdue.")
	providerLag = gauge(
		"keyrounds_provider_lag_seconds",
		"How long the credential of a provider that waits longest for its result is overdue.",
		"provider",
	)
	lastSweep   = gauge("keyrounds_last_sweep_timestamp_seconds", "When it was last looked for what is due, by whichever replica.")
	leader      = gauge("keyrounds_leader", "1 if this process is the leader, which starts the sweeps.")
	jobs        = gauge("keyrounds_jobs", "Jobs that are not done, by state.", "state")
	queueDepth  = gauge("keyrounds_queue_depth", "Jobs that could begin now and wait for a worker.", "queue")
	queueOldest = gauge("keyrounds_queue_oldest_seconds", "For how long the job that could begin now and waits longest does.", "queue")
	booked      = gauge(
		"keyrounds_provider_booked_seconds",
		"For how long the requests that are booked take a provider's rate, or it asked to be left alone.",
		"provider",
	)
	spent = gauge("keyrounds_provider_month_requests", "Token requests that a provider got in this month (UTC).", "provider")

	engineFamilies = []family{roundLag, providerLag, lastSweep, leader, jobs, queueDepth, queueOldest, booked, spent}
)

func (c *collector) engine(ctx context.Context, s scrape) error {
	lags, err := c.Registry.Lags(ctx, s.now)
	if err != nil {
		return err
	}
	longest := time.Duration(0)
	for provider, lag := range lags {
		s.put(providerLag, lag.Seconds(), provider)
		longest = max(longest, lag)
	}
	s.put(roundLag, longest.Seconds())
	e, err := c.Engine(ctx)
	if err != nil {
		return err
	}
	s.at(lastSweep, e.LastSweep)
	v := 0.0
	if e.Leader {
		v = 1
	}
	s.put(leader, v)
	for state, n := range e.Jobs {
		s.put(jobs, float64(n), state)
	}
	for queue, q := range e.Queues {
		s.put(queueDepth, float64(q.Waiting), queue)
		s.since(queueOldest, q.Oldest, queue)
	}
	paces, err := c.Registry.Paces(ctx, s.now)
	if err != nil {
		return err
	}
	for provider, p := range paces {
		s.put(booked, p.Booked.Seconds(), provider)
		s.put(spent, float64(p.Requests), provider)
	}
	return nil
}
