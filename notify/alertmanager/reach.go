package alertmanager

import (
	"context"
	"fmt"
	"net/http"

	"github.com/keyrounds/keyrounds/notify"
)

// Reach asks for Alertmanager's status (GET /api/v2/status) as alerts are sent, so that it knows whether those would be taken. Its
// errors are those of Send.
func (r *Receiver) Reach(ctx context.Context) (notify.Contact, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.o.URL+"/api/v2/status", nil)
	if err != nil {
		return notify.Contact{}, fmt.Errorf("%s: its URL: %w", r.o.Name, err)
	}
	scrub, err := r.signIn(ctx, req)
	if err != nil {
		return notify.Contact{}, &notify.RefusedError{
			Err: fmt.Errorf("%s: %w", r.o.Name, err), NeedsPerson: true,
			Fix: "mend token or password of the receiver, or what it points at",
		}
	}
	resp, err := r.o.Client.Do(req)
	if err != nil {
		return notify.Contact{}, fmt.Errorf("%s: could not be reached", r.o.Name)
	}
	defer resp.Body.Close()
	return notify.Contact{Says: r.Where(ctx) + " answers"}, r.answer(resp, scrub)
}
