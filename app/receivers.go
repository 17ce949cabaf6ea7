package app

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/keyrounds/keyrounds/config"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/notify"
	"github.com/keyrounds/keyrounds/notify/alertmanager"
	"github.com/keyrounds/keyrounds/notify/shoutrrr"
	"github.com/keyrounds/keyrounds/notify/slack"
	"github.com/keyrounds/keyrounds/notify/webhook"
	"github.com/keyrounds/keyrounds/outbound"
	"github.com/keyrounds/keyrounds/secret"
)

// notifySetup is who is told of what. An error says that receivers cannot be reached as c says.
func (a *App) notifySetup(c *config.Config) (notify.Setup, error) {
	client, err := outbound.Client(receiverPolicy(c))
	if err != nil {
		return notify.Setup{}, fmt.Errorf("notifications: %w", err)
	}
	s := notify.Setup{Receivers: a.receivers(c, client), Policy: c.Notify, Templates: c.Templates}
	if c.ExternalURL != "" {
		s.Link = func(f finding.Finding) string { return fmt.Sprintf("%s/findings/%d", c.ExternalURL, f.ID) }
	}
	return s, nil
}

const receiverTimeout = 10 * time.Second // of a request to a receiver or to heartbeat.url

// receiverPolicy is how receivers and the heartbeat are reached: the operator names them, so they may be on
// private networks.
func receiverPolicy(c *config.Config) outbound.Policy {
	return outbound.Policy{AllowPrivate: true, Proxy: c.NotificationsProxy, Timeout: receiverTimeout}
}

func (a *App) receivers(c *config.Config, client *http.Client) (list []notify.Receiver) {
	if !c.Slack.Token.IsZero() {
		list = append(list, slack.New(slack.Options{
			Token: resolving(
				c.Slack.Token,
			),
			Channel: c.Slack.Channel,
			APIURL:  c.Slack.APIURL,
			Client:  client,
			Buttons: !c.Slack.AppToken.IsZero(),
		}))
	}
	if !c.Slack.Webhook.IsZero() {
		list = append(list, slack.NewWebhook(resolving(c.Slack.Webhook), client))
	}
	for _, r := range c.Receivers {
		switch r.Type {
		case config.Shoutrrr:
			list = append(list, shoutrrr.New(r.Name, resolving(r.URL), receiverPolicy(c)))
			continue
		case config.Webhook:
			list = append(list, webhook.New(webhook.Options{
				Name: r.Name, URL: r.Base, Secret: resolving(r.Secret), Client: client, Now: a.Now,
			}))
			continue
		}
		o := alertmanager.Options{Name: r.Name, URL: r.Base, Username: r.Username, Client: client, Now: a.Now}
		if !r.Token.IsZero() {
			o.Token = resolving(r.Token)
		}
		if r.Username != "" {
			o.Password = resolving(r.Password)
		}
		list = append(list, alertmanager.New(o))
	}
	return list
}

// resolving reads a secret anew each time, so that a new one is used at once.
func resolving(ref secret.Reference) func(context.Context) (secret.Value, error) {
	return func(ctx context.Context) (secret.Value, error) { return secret.Resolve(ctx, ref) }
}
