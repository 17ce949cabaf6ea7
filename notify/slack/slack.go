// Package slack tells findings on Slack with chat.postMessage, and keeps each message up to date
// with chat.update.
package slack

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/notify"
	"github.com/keyrounds/keyrounds/secret"
)

// Options of New.
type Options struct {
	// Token reads the bot token (scope chat:write), before every message, so that a new one is used
	// at once.
	Token   func(context.Context) (secret.Value, error)
	Channel string // name with # or id
	APIURL  string // default Slack's own; ends with a slash
}

// Receiver is a Slack channel.
type Receiver struct{ o Options }

// New makes a Receiver.
func New(o Options) *Receiver { return &Receiver{o} }

// Name is "slack".
func (*Receiver) Name() string { return "slack" }

const timeout = 10 * time.Second

// Send posts or updates one message.
func (r *Receiver) Send(ctx context.Context, m notify.Message) (notify.Receipt, error) {
	token, err := r.o.Token(ctx)
	if err != nil {
		return notify.Receipt{}, fmt.Errorf("slack token: %w", err)
	}
	defer token.Wipe()
	client := r.client(token)
	receipt, err := r.send(ctx, client, m)
	if err != nil {
		return notify.Receipt{}, plain(err, secret.NewScrubber(token))
	}
	return receipt, nil
}

func (r *Receiver) send(ctx context.Context, client *slack.Client, m notify.Message) (_ notify.Receipt, err error) {
	if m.Unclear && m.Told.Ref == "" {
		if m.Told, err = r.posted(ctx, client, m); err != nil {
			return m.Told, err
		}
	}
	content := append(render(m.Finding), marked(metadataMessage, key(m.Finding)))
	if m.Told.Ref != "" {
		_, _, _, err = client.UpdateMessageContext(ctx, m.Told.Channel, m.Told.Ref, content...)
		var said slack.SlackErrorResponse
		if errors.As(err, &said) && said.Err == "message_not_found" { // a person deleted it: it is told anew
			m.Told, m.Turn, err = notify.Receipt{}, "", nil
		}
		if err != nil {
			return m.Told, err
		}
	}
	if m.Told.Ref == "" {
		m.Told.Channel, m.Told.Ref, err = client.PostMessageContext(ctx, r.o.Channel, content...)
		return m.Told, err
	}
	return m.Told, r.reply(ctx, client, m)
}

// reply keeps a finding's history in its thread.
func (r *Receiver) reply(ctx context.Context, client *slack.Client, m notify.Message) error {
	if m.Turn == "" {
		return nil
	}
	if m.Unclear {
		if done, err := r.replied(ctx, client, m); done || err != nil {
			return err
		}
	}
	_, _, err := client.PostMessageContext(ctx, m.Told.Channel, slack.MsgOptionTS(m.Told.Ref), slack.MsgOptionText(escape(cut(upperFirst(m.Turn), maxSection)), false),
		marked(metadataReply, replyKey(m.Finding)), slack.MsgOptionDisableLinkUnfurl(), slack.MsgOptionDisableMediaUnfurl())
	return err
}

// plain keeps the kind of an error and drops what may hold a URL or a token.
func plain(err error, s secret.Scrubber) error {
	var (
		limited *slack.RateLimitedError
		status  slack.StatusCodeError
		said    slack.SlackErrorResponse
	)
	switch {
	case errors.As(err, &limited):
		return &notify.RetryError{After: limited.RetryAfter, Err: fmt.Errorf("slack limits messages, again in %s", limited.RetryAfter)}
	case errors.As(err, &said):
		return &notify.RefusedError{Err: fmt.Errorf("slack: %s", s.Clean(said.Err, 100))}
	case errors.As(err, &status) && status.Code < http.StatusInternalServerError:
		return &notify.RefusedError{Err: fmt.Errorf("slack answered HTTP %d", status.Code)}
	case errors.As(err, &status):
		return fmt.Errorf("slack answered HTTP %d", status.Code)
	case errors.Is(err, context.DeadlineExceeded):
		return errors.New("slack did not answer in time")
	}
	return errors.New("slack could not be reached")
}

// The limits of Block Kit, in characters (api.slack.com/reference/block-kit/blocks).
const (
	maxHeader  = 150
	maxSection = 3000
)

func render(f finding.Finding) []slack.MsgOption {
	w := notify.Describe(f)
	title := mark(f) + " " + w.Title
	blocks := []slack.Block{
		slack.NewHeaderBlock(slack.NewTextBlockObject(slack.PlainTextType, cut(title, maxHeader), true, false)),
	}
	if w.State != "" {
		blocks = append(blocks, section("*"+escape(upperFirst(w.State))+"*"))
	}
	var facts strings.Builder
	for _, fact := range w.Facts {
		fmt.Fprintf(&facts, "*%s:* %s\n", escape(fact.Label), escape(cut(fact.Text, 600)))
	}
	if facts.Len() > 0 {
		blocks = append(blocks, section(facts.String()))
	}
	if f.State != finding.Resolved && len(w.Steps) > 0 {
		var steps strings.Builder
		for _, s := range w.Steps {
			fmt.Fprintf(&steps, "• %s\n", escape(s))
		}
		blocks = append(blocks, section(steps.String()))
	}
	blocks = append(blocks, slack.NewContextBlock("", slack.NewTextBlockObject(slack.MarkdownType,
		escape(fmt.Sprintf("keyrounds finding %d · %s · keyrounds findings show %d", f.ID, f.Kind, f.ID)), false, false)))
	return []slack.MsgOption{
		slack.MsgOptionText(escape(cut(title, maxSection)), false),
		slack.MsgOptionBlocks(blocks...),
		slack.MsgOptionDisableLinkUnfurl(),
		slack.MsgOptionDisableMediaUnfurl(),
	}
}

// mark tells severity and state by shape, beside the words.
func mark(f finding.Finding) string {
	switch {
	case f.State == finding.Resolved:
		return "✔ RESOLVED"
	case f.Severity == finding.Critical:
		return "■"
	case f.Severity == finding.Warning:
		return "▲"
	}
	return "●"
}

func section(text string) slack.Block {
	return slack.NewSectionBlock(slack.NewTextBlockObject(slack.MarkdownType, cut(text, maxSection), false, false), nil, nil)
}

// escape takes Slack's control characters out of text, so that no name mentions a channel or makes
// a link, and the signs of its formatting.
func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "*", "∗", "`", "ˋ", "~", "∼").Replace(s)
}

func cut(s string, most int) string {
	r := []rune(s)
	if len(r) <= most {
		return s
	}
	return string(r[:most-1]) + "…"
}

func upperFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
