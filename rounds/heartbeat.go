package rounds

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/keyrounds/keyrounds/outbound"
	"github.com/keyrounds/keyrounds/postgres"
	"github.com/keyrounds/keyrounds/secret"
)

// A sweep that is older than this says that the rounds stand still.
const sweepAge = time.Minute

// Heartbeat is how another monitor is told that the rounds go on. The zero value: nobody is told.
type Heartbeat struct {
	URL    secret.Reference // zero: nobody is told
	Every  time.Duration
	Policy outbound.Policy // of the request
}

const heartbeatTimeout = 10 * time.Second

// beat tells another monitor that the rounds go on, as long as they do: a daemon that died, and one that
// lives and sweeps no more, both fall silent there.
func (r *Rounds) beat(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { // a stop waits for no monitor
		select {
		case <-r.stopping:
			cancel()
		case <-ctx.Done():
		}
	}()
	last, cause := "ok", "" // how it ended, and why; the first sweep may be under way yet
	if r.pass(ctx, 3*r.Tick) != nil {
		return
	}
	for {
		h := r.settings.Load().Heartbeat
		next := h.Every
		if h.URL.IsZero() {
			next = 5 * time.Second // a reload may bring one
		} else {
			result, err := r.beatOnce(ctx, h)
			if r.stopped() {
				return
			}
			r.metrics.beats.WithLabelValues(result).Inc()
			why := ""
			if err != nil {
				why = err.Error()
			}
			// The age of the last sweep is another each time.
			if why != "" && (result != last || result == "failed" && why != cause) {
				r.Log.Warn("no heartbeat was sent", "result", result, "error", err)
			}
			last, cause = result, why
		}
		if r.pass(ctx, next) != nil {
			return
		}
	}
}

func (r *Rounds) beatOnce(ctx context.Context, h Heartbeat) (result string, err error) {
	ctx, cancel := context.WithTimeout(ctx, heartbeatTimeout)
	defer cancel()
	e, err := r.Engine(ctx)
	if err != nil {
		return "withheld", postgres.Plain(err)
	}
	if r.Storing != nil {
		if err := r.Storing(); err != nil {
			return "withheld", err
		}
	}
	if age := r.Now().Sub(e.LastSweep); age > max(sweepAge, 3*r.Tick) {
		return "withheld", fmt.Errorf("the last sweep was %s ago", age.Round(time.Second))
	}
	url, err := secret.Resolve(ctx, h.URL)
	if err != nil {
		return "failed", err
	}
	defer url.Wipe()
	if err := heartbeatGet(ctx, h.Policy, url); err != nil {
		return "failed", err
	}
	return "ok", nil
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
