package app

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/keyrounds/keyrounds/config"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/notify"
	"github.com/keyrounds/keyrounds/notify/alertmanager"
	"github.com/keyrounds/keyrounds/notify/mail"
	"github.com/keyrounds/keyrounds/notify/opsgenie"
	"github.com/keyrounds/keyrounds/notify/pagerduty"
	"github.com/keyrounds/keyrounds/notify/shoutrrr"
	"github.com/keyrounds/keyrounds/notify/slack"
	"github.com/keyrounds/keyrounds/notify/teams"
	"github.com/keyrounds/keyrounds/notify/webhook"
	"github.com/keyrounds/keyrounds/outbound"
	"github.com/keyrounds/keyrounds/secret"
)

// notifySetup is who is told of what. An error says that receivers cannot be reached as c says.
func (a *App) notifySetup(c *config.Config) (notify.Setup, error) {
	receivers, err := a.receivers(c)
	if err != nil {
		return notify.Setup{}, err
	}
	s := notify.Setup{Receivers: receivers, Policy: c.Notify, Templates: c.Templates}
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

// receivers makes the receivers of c. An error says that nothing can be reached as it says.
func (a *App) receivers(c *config.Config) (list []notify.Receiver, err error) {
	client, err := outbound.Client(receiverPolicy(c))
	if err != nil {
		return nil, fmt.Errorf("notifications: %w", err)
	}
	way, err := outbound.Transport(receiverPolicy(c)) // mail goes through no proxy
	if err != nil {
		return nil, fmt.Errorf("notifications: %w", err)
	}
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
		list = append(list, a.receiver(c, r, client, way.DialContext))
	}
	return list, nil
}

func (a *App) receiver(c *config.Config, r config.Receiver, client *http.Client, dial dialer) notify.Receiver {
	switch r.Type {
	case config.Shoutrrr:
		return shoutrrr.New(r.Name, resolving(r.URL), receiverPolicy(c))
	case config.Webhook:
		return webhook.New(webhook.Options{Name: r.Name, URL: r.Base, Secret: resolving(r.Secret), Client: client, Now: a.Now})
	case config.Teams:
		return teams.New(r.Name, resolving(r.URL), client)
	case config.PagerDuty:
		at := regional(r.Base, pagerduty.URL, pagerduty.URLEU)
		return pagerduty.New(pagerduty.Options{Name: r.Name, URL: at, Key: resolving(r.Key), Client: client})
	case config.Opsgenie:
		at := regional(r.Base, opsgenie.URL, opsgenie.URLEU)
		return opsgenie.New(opsgenie.Options{Name: r.Name, URL: at, Key: resolving(r.Key), Client: client})
	case config.Mail:
		return mail.New(mail.Options{
			Name: r.Name, URL: r.Base, Plain: r.Plain, From: r.From, To: r.To, Username: r.Username, Password: resolving(r.Password),
			Dial: dial, Now: a.Now,
		})
	}
	o := alertmanager.Options{Name: r.Name, URL: r.Base, Username: r.Username, Client: client, Now: a.Now}
	if !r.Token.IsZero() {
		o.Token = resolving(r.Token)
	}
	if r.Username != "" {
		o.Password = resolving(r.Password)
	}
	return alertmanager.New(o)
}

// dialer connects as package outbound does.
type dialer = func(ctx context.Context, network, address string) (net.Conn, error)

// regional is where a pager is: config.Receiver.Base is an address, or a region.
func regional(base, us, eu string) string {
	switch base {
	case "", "us":
		return us
	case "eu":
		return eu
	}
	return base
}

// resolving reads a secret anew each time, so that a new one is used at once.
func resolving(ref secret.Reference) func(context.Context) (secret.Value, error) {
	return func(ctx context.Context) (secret.Value, error) { return secret.Resolve(ctx, ref) }
}
