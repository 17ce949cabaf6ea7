package opsgenie

import (
	"context"
	"fmt"
	"net/http"

	"github.com/keyrounds/keyrounds/notify"
)

// Reach asks what became of a request that nobody made: who may not ask is told so, and HTTP 404 is the answer to who may.
func (r *Receiver) Reach(ctx context.Context) (notify.Contact, error) {
	header, err := r.header(ctx)
	if err != nil {
		return notify.Contact{}, err
	}
	const nobodys = "/v2/alerts/requests/00000000-0000-0000-0000-000000000000"
	answer, err := notify.Request(ctx, r.o.Client, http.MethodGet, r.o.URL+nobodys, header, nil)
	if err != nil {
		return notify.Contact{}, fmt.Errorf("%s: %w", r.o.Name, err)
	}
	switch answer.Status {
	case http.StatusNotFound, http.StatusUnprocessableEntity, http.StatusMethodNotAllowed:
	default:
		if err := answer.Err(r.o.Name, fix); err != nil {
			return notify.Contact{}, err
		}
	}
	return notify.Contact{Says: r.Where(ctx) + " answers, and does not refuse the key"}, nil
}
