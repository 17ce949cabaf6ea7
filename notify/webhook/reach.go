package webhook

import (
	"context"
	"fmt"
	"net/http"

	"github.com/keyrounds/keyrounds/notify"
)

// Reach reads the secret and asks the address with HEAD, which tells it of nothing. Whatever it answers but HTTP 410 says that somebody
// is there: many take POST only. Whether it takes the signature shows with an event only.
func (r *Receiver) Reach(ctx context.Context) (notify.Contact, error) {
	if _, err := r.signer(ctx); err != nil {
		return notify.Contact{}, r.noSecret(err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, r.o.URL, nil)
	if err != nil {
		return notify.Contact{}, fmt.Errorf("%s: its URL: %w", r.o.Name, err)
	}
	resp, err := r.o.Client.Do(req)
	if err != nil {
		return notify.Contact{}, fmt.Errorf("%s: could not be reached", r.o.Name)
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusGone {
		return notify.Contact{}, r.answer(resp)
	}
	return notify.Contact{Says: r.Where(ctx) + " answers; whether it takes the signature shows with an event only"}, nil
}
