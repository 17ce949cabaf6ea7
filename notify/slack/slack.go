// Package slack tells findings on Slack with chat.postMessage, keeps each message up to date with chat.update,
// and takes what people press and type through Socket Mode.
package slack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/slack-go/slack"

	"github.com/keyrounds/keyrounds/notify"
	"github.com/keyrounds/keyrounds/secret"
)

// Options are options of New. Token and Client are required.
type Options struct {
	// Token reads the bot token (scope chat:write), before every message, so that a new one is used
	// at once.
	Token   func(context.Context) (secret.Value, error)
	Channel string        // name with # or id; of messages whose route names none
	APIURL  string        // default Slack's own; ends with a slash
	Client  *http.Client  // of package outbound
	Buttons bool          // messages have buttons; a Socket takes what is pressed
	Pace    time.Duration // least time between two posts in one channel; default 1 s, as Slack asks
}

// Receiver is a Slack workspace, by the bot token of an app. It is safe for concurrent use.
type Receiver struct {
	o      Options
	people *people
}

// New makes a Receiver. It asks Slack nothing; a token that is wrong shows at the first Send.
func New(o Options) *Receiver {
	if o.Pace == 0 {
		o.Pace = time.Second
	}
	return &Receiver{o, &people{}}
}

// Name is "slack", the name that routes use.
func (*Receiver) Name() string { return "slack" }

// Where says what it is, and its channel.
func (r *Receiver) Where(context.Context) string { return "Slack, " + r.o.Channel }

// Traits says that it edits, posts to any channel, and takes a message in Options.Pace and channel
// (docs.slack.dev/apis/web-api/rate-limits).
func (r *Receiver) Traits() notify.Traits {
	return notify.Traits{Edits: true, Channels: true, Pace: r.o.Pace}
}

const timeout = 10 * time.Second

// Send posts or updates one message (chat.postMessage, chat.update). What happened since goes into its thread, a
// letter's file as well. A message that was deleted is posted anew. Where m.Unclear says that it may have been
// posted, the channel's history is searched first.
//
// A limit of Slack is *notify.RetryError. What Slack refuses is *notify.RefusedError: with NeedsPerson where the app,
// its token or the channel has to be changed, else about this message only. Anything else may have been posted all
// the same. The token is in no error.
func (r *Receiver) Send(ctx context.Context, m notify.Message) (notify.Receipt, error) {
	token, err := r.o.Token(ctx)
	if err != nil {
		return notify.Receipt{}, &notify.RefusedError{
			Err:         fmt.Errorf("slack token: %w", err),
			NeedsPerson: true,
			Fix:         "mend slack.token, or what it points at",
		}
	}
	defer token.Wipe()
	d := &delivery{r, apiClient(r.o.Client, token, r.o.APIURL), m}
	d.m.Mention = r.people.mention(ctx, d.api, m.Mention, time.Now())
	receipt, err := d.send(ctx)
	if err != nil {
		return notify.Receipt{}, plain(err, secret.NewScrubber(token))
	}
	return receipt, nil
}

func apiClient(client *http.Client, token secret.Value, url string, more ...slack.Option) *slack.Client {
	options := append([]slack.Option{slack.OptionHTTPClient(client)}, more...)
	if url != "" {
		options = append(options, slack.OptionAPIURL(url))
	}
	return slack.New(token.Reveal(), options...)
}

// delivery is one Send.
type delivery struct {
	r   *Receiver
	api *slack.Client
	m   notify.Message
}

func (d *delivery) send(ctx context.Context) (told notify.Receipt, err error) {
	told = d.m.Told
	if d.m.Unclear && told.Ref == "" {
		var looked bool
		if told, looked, err = d.posted(ctx); err != nil {
			return told, err
		}
		if looked && told.Ref == "" && d.m.Letter == nil && d.m.Over() {
			return told, nil
		}
	}
	if told.Ref != "" && d.m.Letter == nil && !d.m.Same {
		err = d.update(ctx, told)
		if refusedWith(err, "message_not_found", "cant_update_message", "edit_window_closed") {
			// It was deleted, or is not ours: it is told anew.
			told, d.m.Turn, err = notify.Receipt{}, "", nil
		}
		if err != nil {
			return told, err
		}
	}
	if told.Ref == "" {
		if told, err = d.post(ctx); err != nil {
			return told, err
		}
	}
	if d.m.Letter != nil {
		return told, d.attach(ctx, told)
	}
	return told, d.reply(ctx, told)
}

func (d *delivery) post(ctx context.Context) (told notify.Receipt, err error) {
	err = d.plainer(func(content []slack.MsgOption) error {
		told.Channel, told.Ref, err = d.api.PostMessageContext(ctx, d.channelName(), content...)
		if d.m.LastSeen != "" && refusedWith(err, "channel_not_found") { // it was renamed
			told.Channel, told.Ref, err = d.api.PostMessageContext(ctx, d.m.LastSeen, content...)
		}
		return err
	})
	return told, err
}

func (d *delivery) update(ctx context.Context, told notify.Receipt) error {
	return d.plainer(func(content []slack.MsgOption) error {
		_, _, _, err := d.api.UpdateMessageContext(ctx, told.Channel, told.Ref, content...)
		return err
	})
}

// plainer sends the text alone where Slack does not take the blocks.
func (d *delivery) plainer(send func([]slack.MsgOption) error) error {
	err := send(d.content(true))
	if refusedWith(err, "invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long") {
		return send(d.content(false))
	}
	return err
}

func (d *delivery) channelName() string {
	if d.m.Channel != "" {
		return d.m.Channel
	}
	return d.r.o.Channel
}

// reply keeps the history in the message's thread.
func (d *delivery) reply(ctx context.Context, told notify.Receipt) error {
	if d.m.Turn == "" {
		return nil
	}
	if d.m.Unclear {
		if done, err := d.replied(ctx, told); done || err != nil {
			return err
		}
	}
	text := d.dated(escape(d.m.Turn, maxSection-200))
	options := []slack.MsgOption{
		slack.MsgOptionTS(
			told.Ref,
		),
		marked(metadataReply, d.m.TurnKey),
		slack.MsgOptionDisableLinkUnfurl(),
		slack.MsgOptionDisableMediaUnfurl(),
	}
	if d.m.Loud {
		options = append(options, slack.MsgOptionBroadcast())
		if d.m.Mention != "" {
			text = d.m.Mention + " " + text
		}
	}
	_, _, err := d.api.PostMessageContext(ctx, told.Channel, append(options, slack.MsgOptionText(text, false))...)
	return err
}

// attach puts a letter's file into its thread (scope files:write). Where the file is refused the message says
// so, since a summary without it is better than none.
func (d *delivery) attach(ctx context.Context, told notify.Receipt) error {
	f := d.m.Letter.File
	if f == nil {
		return nil
	}
	_, err := d.api.UploadFileContext(ctx, slack.UploadFileParameters{
		Reader: bytes.NewReader(
			f.Content,
		),
		FileSize:        len(f.Content),
		Filename:        f.Name,
		Title:           f.Name,
		Channel:         told.Channel,
		ThreadTimestamp: told.Ref,
	})
	if err == nil {
		return nil
	}
	note := "The file could not be attached: " + plain(err, secret.Scrubber{}).Error() + "."
	_, _, _, err = d.api.UpdateMessageContext(ctx, told.Channel, told.Ref, d.letter(note)...)
	var said slack.SlackErrorResponse
	if errors.As(err, &said) {
		return nil // the letter itself is there
	}
	return err
}
