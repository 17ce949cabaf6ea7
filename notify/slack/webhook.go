package slack

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"github.com/keyrounds/keyrounds/notify"
	"github.com/keyrounds/keyrounds/secret"
)

// Webhook is an incoming webhook, the poor man's Slack: it posts and cannot update, so what is over is a second
// message.
type Webhook struct {
	url    func(context.Context) (secret.Value, error)
	client *http.Client
}

// NewWebhook makes a Webhook. url reads its URL before every message, so that a new one is used at once; client, of
// package outbound, sends.
func NewWebhook(url func(context.Context) (secret.Value, error), client *http.Client) *Webhook {
	return &Webhook{url, client}
}

// Name is "webhook", the name that routes use.
func (*Webhook) Name() string { return "webhook" }

// Where says what it is; Slack chose its channel when it was made.
func (*Webhook) Where(context.Context) string {
	return "an incoming webhook of Slack, in the channel it was made for"
}

// Traits says that it posts only, in its one channel, a message a second.
func (*Webhook) Traits() notify.Traits { return notify.Traits{Pace: time.Second} }

// Send posts m, whether it was posted before or not. A limit of Slack is *notify.RetryError. HTTP 400 is a
// *notify.RefusedError about this message only; another status below 500, or a URL that cannot be read, is one that
// needs a person. The URL is in no error.
func (w *Webhook) Send(ctx context.Context, m notify.Message) (notify.Receipt, error) {
	raw, err := w.url(ctx)
	if err != nil {
		return notify.Receipt{}, &notify.RefusedError{
			Err:         fmt.Errorf("webhook: its URL: %w", err),
			NeedsPerson: true,
			Fix:         "mend slack.webhook_url, or what it points at",
		}
	}
	defer raw.Wipe()
	d := &delivery{&Receiver{}, nil, m}
	msg := &slack.WebhookMessage{Text: escape(m.Title(), 300)}
	unfurl := false
	msg.UnfurlLinks, msg.UnfurlMedia = &unfurl, &unfurl
	blocks := []slack.Block{}
	if m.Letter != nil {
		msg.Text = escape(m.Letter.Title, 300)
		blocks = letterBlocks(*m.Letter, "", false)
	} else {
		if m.Mention != "" {
			msg.Text = m.Mention + " " + msg.Text
		}
		if m.Turn != "" {
			blocks = append(blocks, section("*"+d.dated(escape(m.Turn, 600))+"*"))
		}
		blocks = append(blocks, d.blocks(mark(m.Findings)+" "+m.Title())...)
	}
	msg.Blocks = &slack.Blocks{BlockSet: blocks}
	if err := slack.PostWebhookCustomHTTPContext(ctx, strings.TrimSpace(raw.Reveal()), w.client, msg); err != nil {
		return notify.Receipt{}, webhookError(err, secret.NewScrubber(raw))
	}
	return notify.Receipt{Channel: "webhook"}, nil
}

// webhookError reads what a webhook answers: the status, and a word in its body that the library leaves out.
func webhookError(err error, s secret.Scrubber) error {
	err = plain(err, s)
	var refused *notify.RefusedError
	if errors.As(err, &refused) {
		switch {
		case strings.HasSuffix(refused.Error(), "HTTP 400"):
			refused.OnlyThis = true
		default: // 403 and 410: it was switched off, 404: it is gone
			refused.NeedsPerson, refused.Fix = true, "the webhook is gone or switched off: make a new one, and store its URL"
		}
	}
	return err
}
