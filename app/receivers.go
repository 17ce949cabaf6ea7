package app

import (
	"context"

	"github.com/keyrounds/keyrounds/config"
	"github.com/keyrounds/keyrounds/notify"
	"github.com/keyrounds/keyrounds/notify/slack"
	"github.com/keyrounds/keyrounds/secret"
)

// notifySetup is who is told of what.
func (a *App) notifySetup(c *config.Config) notify.Setup {
	return notify.Setup{Receivers: receivers(c), Policy: notify.Policy{Digest: c.Digest != ""}}
}

func receivers(c *config.Config) []notify.Receiver {
	if c.Slack.Token.IsZero() {
		return nil
	}
	return []notify.Receiver{slack.New(slack.Options{
		Token:   func(ctx context.Context) (secret.Value, error) { return secret.Resolve(ctx, c.Slack.Token) },
		Channel: c.Slack.Channel, APIURL: c.Slack.APIURL,
	})}
}
