package teams

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/keyrounds/keyrounds/notify"
)

// Reach reads the URL and asks the root of its host: its path would begin the workflow.
func (r *Receiver) Reach(ctx context.Context) (notify.Contact, error) {
	u, err := r.address(ctx)
	if err != nil {
		return notify.Contact{}, err
	}
	root := url.URL{Scheme: u.Scheme, Host: u.Host, Path: "/"}
	if _, err := notify.Request(ctx, r.client, http.MethodHead, root.String(), nil, nil); err != nil {
		return notify.Contact{}, fmt.Errorf("%s: %w", r.name, err)
	}
	return notify.Contact{Says: u.Host + " answers; whether the workflow takes a card shows with a message only"}, nil
}
