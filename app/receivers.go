package app

import (
	"context"
	"fmt"

	"github.com/keyrounds/keyrounds/config"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/notify"
	"github.com/keyrounds/keyrounds/notify/alertmanager"
	"github.com/keyrounds/keyrounds/notify/shoutrrr"
	"github.com/keyrounds/keyrounds/notify/slack"
	"github.com/keyrounds/keyrounds/secret"
)

// notifySetup is who is told of what.
func (a *App) notifySetup(c *config.Config) notify.Setup {
	s := notify.Setup{Receivers: a.receivers(c), Policy: c.Notify, Templates: c.Templates}
	if c.ExternalURL != "" {
		s.Link = func(f finding.Finding) string { return fmt.Sprintf("%s/#finding-%d", c.ExternalURL, f.ID) }
	}
	return s
}

func (a *App) receivers(c *config.Config) (list []notify.Receiver) {
	if !c.Slack.Token.IsZero() {
		list = append(list, slack.New(slack.Options{
			Token: resolving(c.Slack.Token), Channel: c.Slack.Channel, APIURL: c.Slack.APIURL, Buttons: !c.Slack.AppToken.IsZero(),
		}))
	}
	if !c.Slack.Webhook.IsZero() {
		list = append(list, slack.NewWebhook(resolving(c.Slack.Webhook)))
	}
	for _, r := range c.Receivers {
		if r.Type == config.Shoutrrr {
			list = append(list, shoutrrr.New(r.Name, resolving(r.URL)))
			continue
		}
		o := alertmanager.Options{Name: r.Name, URL: r.Base, Username: r.Username, Now: a.Now}
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
