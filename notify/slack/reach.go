package slack

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/keyrounds/keyrounds/notify"
	"github.com/keyrounds/keyrounds/secret"
)

// lacking says what does not work without a scope. One of several will do.
var lacking = []struct {
	anyOf   []string
	buttons bool // only with them
	without string
}{
	{[]string{"files:write"}, false, "the report comes without its file"},
	{[]string{"channels:history", "groups:history"}, false, "a message whose answer was lost can come twice"},
	{[]string{"channels:read", "groups:read"}, false, "the channel is not found by its name before the first message"},
	{[]string{"commands"}, true, "there is no /keyrounds"},
	{[]string{"usergroups:read"}, true, "user groups in slack.allow do not count"},
}

// Reach asks auth.test, whose answer has the scopes of the token. A token without chat:write is a *notify.RefusedError.
func (r *Receiver) Reach(ctx context.Context) (notify.Contact, error) {
	token, err := r.o.Token(ctx)
	if err != nil {
		return notify.Contact{}, &notify.RefusedError{
			Err: fmt.Errorf("slack token: %w", err), NeedsPerson: true, Fix: "mend slack.token, or what it points at",
		}
	}
	defer token.Wipe()
	scrub := secret.NewScrubber(token)
	said, err := apiClient(r.o.Client, token, r.o.APIURL).AuthTestContext(ctx)
	if err != nil {
		return notify.Contact{}, plain(err, scrub)
	}
	reached := notify.Contact{Says: fmt.Sprintf("the token is of the workspace %s", scrub.Clean(said.Team, 100))}
	granted := strings.FieldsFunc(said.Header.Get("X-Oauth-Scopes"), func(c rune) bool { return c == ',' || c == ' ' })
	if len(granted) == 0 {
		reached.Says += "; Slack does not say its scopes"
		return reached, nil
	}
	if !slices.Contains(granted, "chat:write") {
		return reached, &notify.RefusedError{
			Err: errors.New("slack: the token lacks the scope chat:write"), NeedsPerson: true, Fix: fixes["missing_scope"],
		}
	}
	var missing, without []string
	for _, l := range lacking {
		has := slices.ContainsFunc(l.anyOf, func(scope string) bool { return slices.Contains(granted, scope) })
		if !has && (r.o.Buttons || !l.buttons) {
			missing = append(missing, l.anyOf[0])
			without = append(without, l.without)
		}
	}
	if len(missing) > 0 {
		reached.Doubt = "the token lacks " + strings.Join(missing, ", ") + ": " + strings.Join(without, "; ")
		reached.Fix = "add the scopes to the app and install it again, or leave it so (docs/slack.md)"
	}
	return reached, nil
}

// Reach asks the root of the webhook's host with HEAD. Whether its path is still accepted shows with a message only.
func (w *Webhook) Reach(ctx context.Context) (notify.Contact, error) {
	address, err := w.url(ctx)
	if err != nil {
		return notify.Contact{}, &notify.RefusedError{
			Err: fmt.Errorf("webhook URL: %w", err), NeedsPerson: true, Fix: "mend slack.webhook_url, or what it points at",
		}
	}
	defer address.Wipe()
	refused := &notify.RefusedError{
		Err: errors.New("webhook: slack.webhook_url is not a URL"), NeedsPerson: true, Fix: "copy the webhook's URL again",
	}
	u, err := url.Parse(strings.TrimSpace(address.Reveal()))
	if err != nil || u.Host == "" {
		return notify.Contact{}, refused
	}
	root := url.URL{Scheme: u.Scheme, Host: u.Host, Path: "/"}
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, root.String(), nil)
	if err != nil {
		return notify.Contact{}, refused
	}
	resp, err := w.client.Do(req)
	if err != nil {
		return notify.Contact{}, fmt.Errorf("webhook: %s could not be reached", u.Hostname())
	}
	_ = resp.Body.Close()
	return notify.Contact{Says: u.Hostname() + " answers; whether it takes the webhook shows with a message only"}, nil
}
