package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/keyrounds/keyrounds/config"
	"github.com/keyrounds/keyrounds/outbound"
	"github.com/keyrounds/keyrounds/postgres"
	"github.com/keyrounds/keyrounds/secret"
)

// A sweep that is older than this says that the rounds stand still.
const sweepAge = time.Minute

// beat tells another monitor that the rounds go on, as long as they do: a daemon that died, and one that
// lives and sweeps no more, both fall silent there.
func (a *App) beat(ctx context.Context) {
	last := "ok" // how it ended; the first sweep may be under way yet
	if !wait(ctx, 3*cmp.Or(a.Tick, 5*time.Second)) {
		return
	}
	for {
		c := a.config.Load()
		h := c.Heartbeat
		next := h.Every
		if h.URL.IsZero() {
			next = 5 * time.Second // a reload may bring one
		} else {
			result, err := a.beatOnce(ctx, c)
			if ctx.Err() != nil {
				return
			}
			a.beats.WithLabelValues(result).Inc()
			if err != nil && result != last {
				a.Log.Warn("no heartbeat was sent", "result", result, "error", err)
			}
			last = result
		}
		if !wait(ctx, next) {
			return
		}
	}
}

// wait is false where ctx ended.
func wait(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

func (a *App) beatOnce(ctx context.Context, c *config.Config) (result string, err error) {
	ctx, cancel := context.WithTimeout(ctx, receiverTimeout)
	defer cancel()
	e, err := a.Rounds.Engine(ctx)
	if err != nil {
		return "withheld", postgres.Plain(err)
	}
	if age := a.Now().Sub(e.LastSweep); age > max(sweepAge, 3*a.Tick) {
		return "withheld", fmt.Errorf("the last sweep was %s ago", age.Round(time.Second))
	}
	url, err := secret.Resolve(ctx, c.Heartbeat.URL)
	if err != nil {
		return "failed", err
	}
	defer url.Wipe()
	if err := heartbeatGet(ctx, receiverPolicy(c), url); err != nil {
		return "failed", err
	}
	return "ok", nil
}

func newBeats(reg prometheus.Registerer) *prometheus.CounterVec {
	beats := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "keyrounds_heartbeats_total",
		Help: "Heartbeats to another monitor, by result (ok, failed, withheld: the rounds stand still).",
	}, []string{"result"})
	reg.MustRegister(beats)
	return beats
}

// heartbeatGet asks a URL and drops what comes. Its errors do not name the URL, which is a secret.
func heartbeatGet(ctx context.Context, policy outbound.Policy, url secret.Value) error {
	policy.SecretURL, policy.MaxBody = true, 1<<20
	client, err := outbound.Client(policy)
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url.Reveal(), nil)
	if err != nil {
		return errors.New("heartbeat.url is no URL")
	}
	resp, err := client.Do(req)
	switch {
	case errors.Is(err, outbound.ErrAddress):
		return errors.New("heartbeat.url names an address that may not be dialled: a cloud metadata service")
	case errors.Is(err, outbound.ErrProxy):
		return errors.New("heartbeat.url could not be reached: the proxy refused the connection (notifications.proxy)")
	case err != nil:
		return errors.New("heartbeat.url could not be reached")
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	switch {
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		return fmt.Errorf(
			"heartbeat.url: HTTP %d: it redirects, which is not followed; write the address that it redirects to",
			resp.StatusCode,
		)
	case resp.StatusCode >= 400:
		return fmt.Errorf("heartbeat.url: HTTP %d", resp.StatusCode)
	}
	return nil
}
