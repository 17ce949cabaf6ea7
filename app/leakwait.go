package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/keyrounds/keyrounds/leak"
	"github.com/keyrounds/keyrounds/leak/intake"
	"github.com/keyrounds/keyrounds/postgres"
	"github.com/keyrounds/keyrounds/web"
)

// A delivery that is in order, and whose alert cannot be fetched, waits and is tried again.

const (
	firstWait   = time.Minute
	longestWait = time.Hour
	waitsFor    = 72 * time.Hour // and is given up then
	waitingTick = 2              // deliveries
)

func (a *App) wait(ctx context.Context, w intake.Webhook, r web.Report, why *intake.FetchError) error {
	a.Log.Warn("an alert could not be fetched; it is tried again", "receiver", w.Name, "error", why)
	return a.Leaks.AddDelivery(ctx, leak.WaitingDelivery{
		Receiver: w.Name, Event: r.Header.Get("X-Github-Event"), Body: r.Body,
		Since: a.Now(), Next: a.Now().Add(a.waitAfter(0)), Why: why.Why,
	})
}

func (a *App) waitAfter(tries int) time.Duration {
	return min(min(firstWait, a.config.Load().Leaks.TryEvery)<<min(tries, 10), longestWait)
}

// takeWaiting tries the deliveries that are due.
func (a *App) takeWaiting(ctx context.Context) error {
	for range waitingTick {
		d, ok, err := a.Leaks.ClaimDelivery(ctx, a.Now(), a.Now().Add(tryHold))
		if err == nil && ok {
			err = a.takeAgain(ctx, d)
		}
		if err != nil || !ok {
			return postgres.Plain(err)
		}
	}
	return nil
}

func (a *App) takeAgain(ctx context.Context, d leak.WaitingDelivery) error {
	var (
		fetch  *intake.FetchError
		format *intake.FormatError
	)
	hooks := a.config.Load().Leaks.Webhooks
	i := slices.IndexFunc(hooks, func(w intake.Webhook) bool { return w.Name == d.Receiver })
	if i < 0 {
		return a.giveUp(ctx, d, "the configuration has no webhook of that name any more")
	}
	_, err := a.takeDelivery(ctx, hooks[i], http.Header{"X-Github-Event": {d.Event}}, d.Body)
	switch {
	case err == nil:
		a.reports.WithLabelValues(d.Receiver, "ok").Inc()
		return a.Leaks.DropDelivery(ctx, d)
	case errors.Is(err, errTakenBefore): // somebody had it delivered again
		return a.Leaks.DropDelivery(ctx, d)
	case errors.As(err, &format):
		return a.giveUp(ctx, d, err.Error())
	case errors.As(err, &fetch) && a.Now().Sub(d.Since) > waitsFor:
		return a.giveUp(ctx, d, fmt.Sprintf("for three days %s", fetch.Why))
	case errors.As(err, &fetch):
		return a.Leaks.PostponeDelivery(ctx, d, a.Now().Add(a.waitAfter(d.Tries)), fetch.Why)
	}
	return err // of the database: it stays as it was claimed
}

// giveUp forgets a delivery, and tells that.
func (a *App) giveUp(ctx context.Context, d leak.WaitingDelivery, why string) error {
	a.reports.WithLabelValues(d.Receiver, "failed").Inc()
	a.Log.Error("a report is given up", "receiver", d.Receiver, "since", d.Since, "error", why)
	detail := map[string]any{"since": d.Since, "tries": d.Tries, "why": why}
	return errors.Join(a.record(ctx, "receiver "+d.Receiver, "leaks.given_up", "keyrounds", detail), a.Leaks.DropDelivery(ctx, d))
}
