package app

import (
	"context"
	"reflect"

	"github.com/keyrounds/keyrounds/config"
	"github.com/keyrounds/keyrounds/notify/slack"
)

// socket is the connection for Slack's buttons, while there is one.
type socket struct {
	stop context.CancelFunc
	of   config.Slack
	by   string // NotificationsProxy
}

// listenToSlack opens the connection that c asks for, and closes the one before where that differs. Every
// replica has one: Slack sends each press to one of them.
func (a *App) listenToSlack(c *config.Config) {
	a.pressing.Lock()
	defer a.pressing.Unlock()
	if a.socket.stop != nil {
		if reflect.DeepEqual(a.socket.of, c.Slack) && a.socket.by == c.NotificationsProxy {
			return
		}
		a.socket.stop()
		a.socket = socket{}
	}
	if c.Slack.AppToken.IsZero() || !a.started.Load() {
		return
	}
	s := slack.NewSocket(slack.SocketOptions{
		Token: resolving(
			c.Slack.Token,
		),
		AppToken: resolving(c.Slack.AppToken),
		APIURL:   c.Slack.APIURL,
		Allow:    c.Slack.Allow,
		Policy:   receiverPolicy(c),
		Do:       a.Actions.Do,
		Log:      a.Log,
	})
	ctx, cancel := context.WithCancel(context.Background())
	a.serving.Go(func() { s.Run(ctx) })
	a.socket = socket{cancel, c.Slack, c.NotificationsProxy}
}

// hangUp closes the connection. What was pressed before goes on to its end; Stop waits for that.
func (a *App) hangUp() {
	a.pressing.Lock()
	defer a.pressing.Unlock()
	if a.socket.stop != nil {
		a.socket.stop()
		a.socket = socket{}
	}
}
