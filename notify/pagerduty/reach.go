package pagerduty

import (
	"context"
	"fmt"
	"net/http"

	"github.com/keyrounds/keyrounds/notify"
)

// Reach reads the key and asks the root of the Events API. Whether PagerDuty knows the key shows with an incident only: it takes any.
func (r *Receiver) Reach(ctx context.Context) (notify.Contact, error) {
	key, err := r.key(ctx)
	if err != nil {
		return notify.Contact{}, err
	}
	key.Wipe()
	if _, err := notify.Request(ctx, r.o.Client, http.MethodHead, r.o.URL+"/", nil, nil); err != nil {
		return notify.Contact{}, fmt.Errorf("%s: %w", r.o.Name, err)
	}
	return notify.Contact{Says: r.Where(ctx) + " answers; whether it knows routing_key shows with an incident only"}, nil
}
