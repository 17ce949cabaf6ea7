package exposure

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
)

// A delivery that is in order, and whose alert cannot be fetched, waits and is tried again.

const (
	firstWait   = time.Minute
	longestWait = time.Hour
	waitsFor    = 72 * time.Hour // and is given up then
	waitingTick = 2              // deliveries
)

func (x *Exposure) wait(ctx context.Context, w intake.Webhook, r LeakReport, why *intake.FetchError) error {
	x.Log.Warn("an alert could not be fetched; it is tried again", "reporter", w.Name, "error", why)
	return x.Leaks.AddDelivery(ctx, leak.WaitingDelivery{
		Reporter: w.Name, Event: r.Header.Get("X-Github-Event"), Body: r.Body,
		Since: x.Now(), Next: x.Now().Add(x.waitAfter(0)), Why: why.Why,
	})
}

func (x *Exposure) waitAfter(tries int) time.Duration {
	return min(min(firstWait, x.settings.Load().TryEvery)<<min(tries, 10), longestWait)
}

// takeWaiting tries the deliveries that are due.
func (x *Exposure) takeWaiting(ctx context.Context) error {
	for range waitingTick {
		d, ok, err := x.Leaks.ClaimDelivery(ctx, x.Now(), x.Now().Add(tryHold))
		if err == nil && ok {
			err = x.takeAgain(ctx, d)
		}
		if err != nil || !ok {
			return postgres.Plain(err)
		}
	}
	return nil
}

func (x *Exposure) takeAgain(ctx context.Context, d leak.WaitingDelivery) error {
	var (
		fetch  *intake.FetchError
		format *intake.FormatError
	)
	hooks := x.settings.Load().Webhooks
	i := slices.IndexFunc(hooks, func(w intake.Webhook) bool { return w.Name == d.Reporter })
	if i < 0 {
		return x.giveUp(ctx, d, "the configuration has no webhook of that name any more")
	}
	_, err := x.readDelivery(ctx, hooks[i], http.Header{"X-Github-Event": {d.Event}}, d.Body)
	switch {
	case err == nil:
		x.received.WithLabelValues(d.Reporter, "ok").Inc()
		return x.Leaks.DropDelivery(ctx, d)
	case errors.Is(err, errTakenBefore): // somebody had it delivered again
		return x.Leaks.DropDelivery(ctx, d)
	case errors.As(err, &format):
		return x.giveUp(ctx, d, err.Error())
	case errors.As(err, &fetch) && x.Now().Sub(d.Since) > waitsFor:
		return x.giveUp(ctx, d, fmt.Sprintf("for three days %s", fetch.Why))
	case errors.As(err, &fetch):
		return x.Leaks.PostponeDelivery(ctx, d, x.Now().Add(x.waitAfter(d.Tries)), fetch.Why)
	}
	return err // of the database: it stays as it was claimed
}

// giveUp forgets a delivery, and tells that.
func (x *Exposure) giveUp(ctx context.Context, d leak.WaitingDelivery, why string) error {
	x.received.WithLabelValues(d.Reporter, "failed").Inc()
	x.Log.Error("a report is given up", "reporter", d.Reporter, "since", d.Since, "error", why)
	detail := map[string]any{"since": d.Since, "tries": d.Tries, "why": why}
	return errors.Join(x.Audit.Note(ctx, "reporter "+d.Reporter, "leaks.given_up", "keyrounds", detail), x.Leaks.DropDelivery(ctx, d))
}
