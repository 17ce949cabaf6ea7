package slack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	"github.com/slack-go/slack"
	"github.com/slack-go/slack/socketmode"

	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/notify"
	"github.com/keyrounds/keyrounds/outbound"
	"github.com/keyrounds/keyrounds/secret"
)

// Rules of what people press and type:
//
//  1. Slack wants an answer in 3 s. What only changes the database is done first and answered then, so that
//     a press is not lost where this process dies; a check is answered first.
//  2. Slack may send the same envelope twice, and to any replica. The replica that does what it asks for stores its id.
//  3. Only who is allowed may act. Everybody may read the channel, so status is for those as well.

// SocketOptions are options of NewSocket. All but APIURL and Allow are required; without Allow nobody may act.
type SocketOptions struct {
	Token    func(context.Context) (secret.Value, error) // the bot token
	AppToken func(context.Context) (secret.Value, error) // the app-level token (scope connections:write)
	APIURL   string                                      // default Slack's own; ends with a slash
	Policy   outbound.Policy                             // of what goes out: calls of the API, the connection, answers
	Allow    []string                                    // ids of users and user groups; "*": everybody
	// Do does what was asked for and returns what the person is told. Its error is for the person as well where
	// it has a method Public.
	Do  func(ctx context.Context, a notify.Action) (string, error)
	Log *slog.Logger
}

// Socket takes what people press and type, over a connection that goes out (Socket Mode).
type Socket struct {
	SocketOptions
	groups groups
	doing  sync.WaitGroup
}

// NewSocket makes a Socket. It connects only when Run is called.
func NewSocket(o SocketOptions) *Socket { return &Socket{SocketOptions: o} }

// Run holds a connection (docs.slack.dev/apis/events-api/using-socket-mode) until ctx ends, and connects again where
// it breaks, after 1 second to 1 minute. What goes wrong is in the log. It returns when what was pressed before has
// been done, which takes at most about a minute. Both tokens are read at each connection.
func (s *Socket) Run(ctx context.Context) {
	defer s.doing.Wait()
	for wait := time.Second; ; wait = min(2*wait, time.Minute) {
		began := time.Now()
		err := s.connect(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > time.Minute {
			wait = time.Second
		}
		s.Log.Warn("the connection for Slack's buttons broke, connecting again", "wait", wait, "error", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

func (s *Socket) connect(ctx context.Context) error {
	bot, err := s.Token(ctx)
	if err != nil {
		return fmt.Errorf("slack token: %w", err)
	}
	app, err := s.AppToken(ctx)
	if err != nil {
		return fmt.Errorf("slack app_token: %w", err)
	}
	scrub := secret.NewScrubber(bot, app)
	quiet := log.New(io.Discard, "", 0)
	out, err := outbound.Client(s.Policy)
	if err != nil {
		return err
	}
	way, err := outbound.Transport(s.Policy)
	if err != nil {
		return err
	}
	api := apiClient(out, bot, s.APIURL, slack.OptionAppLevelToken(app.Reveal()), slack.OptionLog(quiet))
	client := socketmode.New(api, socketmode.OptionLog(quiet), socketmode.OptionDialer(&websocket.Dialer{
		NetDialContext: way.DialContext, Proxy: way.Proxy, TLSClientConfig: way.TLSClientConfig, HandshakeTimeout: timeout,
	}))
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case e := <-client.Events:
				s.event(ctx, out, api, client, e)
			}
		}
	}()
	return plain(client.RunContext(ctx), scrub)
}

// event reads one envelope and starts what it asks for in a goroutine of its own.
func (s *Socket) event(ctx context.Context, out *http.Client, api *slack.Client, client *socketmode.Client, e socketmode.Event) {
	switch e.Type {
	case socketmode.EventTypeConnected:
		s.Log.Info("connected for Slack's buttons")
	case socketmode.EventTypeConnectionError:
		if failed, ok := e.Data.(*slack.ConnectionErrorEvent); ok {
			s.Log.Warn(
				"no connection for Slack's buttons, trying again",
				"wait", failed.Backoff,
				"error", plain(failed.ErrorObj, secret.Scrubber{}),
			)
		}
	case socketmode.EventTypeInteractive, socketmode.EventTypeSlashCommand:
		if e.Request == nil {
			return
		}
		s.doing.Go(func() {
			defer func() {
				if p := recover(); p != nil { // what comes from outside takes no daemon down
					s.Log.Error("a press was not understood", "panic", fmt.Sprint(p))
				}
			}()
			r := request{s, out, api, client, *e.Request}
			switch data := e.Data.(type) {
			case slack.InteractionCallback:
				r.interaction(context.WithoutCancel(ctx), data)
			case slack.SlashCommand:
				r.command(context.WithoutCancel(ctx), data)
			default:
				r.answer(nil)
			}
		})
	case socketmode.EventTypeEventsAPI:
		if e.Request != nil {
			_ = client.Ack(*e.Request)
		}
	}
}

// request is one envelope.
type request struct {
	s      *Socket
	out    *http.Client
	api    *slack.Client
	client *socketmode.Client
	r      socketmode.Request
}

func (r request) answer(payload any) {
	var err error
	if payload == nil {
		err = r.client.Ack(r.r)
	} else {
		err = r.client.Ack(r.r, payload)
	}
	if err != nil {
		r.s.Log.Warn("a press was done and Slack could not be told", "error", "the connection broke")
	}
}

const (
	quickly = 2500 * time.Millisecond // Slack waits 3 s for an answer
	slowly  = time.Minute
)

func (r request) interaction(ctx context.Context, c slack.InteractionCallback) {
	a := notify.Action{ID: r.r.EnvelopeID, Actor: actor(c.User.ID, c.User.Name)}
	switch {
	case c.Type == slack.InteractionTypeViewSubmission && c.View.CallbackID == viewFalseAlarm:
		r.reasonGiven(ctx, c, a)
		return
	case c.Type == slack.InteractionTypeViewSubmission && c.View.CallbackID == viewDecide:
		r.decided(ctx, c, a)
		return
	case c.Type != slack.InteractionTypeBlockActions || len(c.ActionCallback.BlockActions) == 0:
		r.answer(nil)
		return
	}
	press := c.ActionCallback.BlockActions[0]
	a.Message = press.Value
	switch {
	case strings.HasPrefix(press.ActionID, pressDecide):
		a.Do = notify.Decide
	case press.ActionID == pressAck:
		a.Do = notify.Acknowledge
	case press.ActionID == pressSnooze:
		long, key, _ := strings.Cut(press.SelectedOption.Value, " ")
		d, err := credential.ParseDuration(long)
		if err != nil || d <= 0 || d > 31*24*time.Hour {
			r.answer(nil)
			return
		}
		a.Do, a.Message, a.For = notify.Snooze, key, d
	case press.ActionID == pressCheck:
		a.Do = notify.Check
	case press.ActionID == pressFalseAlarm:
		a.Do = notify.FalseAlarm
	default: // Open is a link: there is nothing to do
		r.answer(nil)
		return
	}
	tell := func(text string) { r.tell(ctx, c.ResponseURL, text) }
	if !r.allowed(ctx, c.User.ID) {
		r.answer(nil)
		tell(notAllowed)
		return
	}
	switch a.Do {
	case notify.FalseAlarm:
		r.answer(nil)
		r.askReason(ctx, c, a.Message)
	case notify.Decide:
		r.answer(nil)
		r.askDecision(ctx, c, press, time.Now())
	case notify.Check:
		r.answer(nil)
		text, fine := r.do(ctx, slowly, a)
		if fine {
			r.note(ctx, c, "Checked by "+a.Actor+": "+text)
		}
		tell(text)
	default:
		text, fine := r.do(ctx, quickly, a)
		r.answer(nil)
		if !fine {
			tell(text)
		}
	}
}

// do returns what the person is told; fine: it was done, by this press.
func (r request) do(ctx context.Context, most time.Duration, a notify.Action) (text string, fine bool) {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	text, err := r.s.Do(ctx, a)
	if err == nil {
		return text, true
	}
	var public interface{ Public() string }
	if errors.As(err, &public) {
		return public.Public(), false
	}
	r.s.Log.Error("what was asked for on Slack failed", "do", a.Do, "by", a.Actor, "error", err)
	return "That did not work; keyrounds' log says why. Try it again.", false
}

const notAllowed = "You may not do this here. Who may is in slack.allow of keyrounds' configuration."

// allowed reports whether a user may act.
func (r request) allowed(ctx context.Context, user string) bool {
	ok := r.s.groups.allow(ctx, r.api, r.s.Allow, user, time.Now())
	if !ok {
		r.s.Log.Warn("somebody who may not act pressed or typed on Slack", "user", user)
	}
	return ok
}

// tell answers to the one who pressed, and nobody else sees it. text is plain: it is escaped here.
func (r request) tell(ctx context.Context, responseURL, text string) {
	if text == "" || !r.s.ours(responseURL) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	body, _ := json.Marshal(map[string]any{
		"response_type":    "ephemeral",
		"replace_original": false,
		"text":             escape(text, maxSection),
		"unfurl_links":     false,
		"unfurl_media":     false,
	})
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, responseURL, strings.NewReader(string(body)))
	if err != nil {
		return
	}
	req.Header.Set("Content-Type", "application/json")
	if resp, err := r.out.Do(req); err == nil {
		resp.Body.Close()
	}
}

// ours reports whether a URL that came with a press is Slack's.
func (s *Socket) ours(text string) bool {
	u, err := url.Parse(text)
	if err != nil || text == "" {
		return false
	}
	api, err := url.Parse(s.APIURL)
	return u.Scheme == "https" && u.Host == "hooks.slack.com" ||
		err == nil && s.APIURL != "" && u.Scheme == api.Scheme && u.Host == api.Host
}

// note puts a line into the thread of the message that was pressed.
func (r request) note(ctx context.Context, c slack.InteractionCallback, text string) {
	_, _, err := r.api.PostMessageContext(
		ctx,
		c.Container.ChannelID,
		slack.MsgOptionTS(c.Container.MessageTs),
		slack.MsgOptionText(escape(text, maxSection), false),
		slack.MsgOptionDisableLinkUnfurl(),
		slack.MsgOptionDisableMediaUnfurl(),
	)
	if err != nil {
		r.s.Log.Warn("a note was not put into a thread", "error", plain(err, secret.Scrubber{}))
	}
}

// actor is how a user of Slack stands in the record and in messages.
func actor(id, name string) string {
	clean := secret.Scrubber{}.Clean(name, 60)
	if clean == "" {
		return "slack " + id
	}
	return clean + " (slack " + id + ")"
}
