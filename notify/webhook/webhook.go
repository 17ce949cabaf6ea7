// Package webhook has findings told to an address of one's own, as signed JSON: Standard Webhooks 1.0.0 (standardwebhooks.com).
package webhook

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/keyrounds/keyrounds/notify"
	"github.com/keyrounds/keyrounds/secret"
)

// Options are options of New. All are required.
type Options struct {
	Name   string
	URL    string                                      // https://host/path
	Secret func(context.Context) (secret.Value, error) // whsec_ and base64 of 24 to 64 bytes, by which events are signed
	Client *http.Client                                // of package outbound
	Now    func() time.Time
}

// Receiver is one address. It is safe for concurrent use.
type Receiver struct{ o Options }

// New makes a Receiver. It asks the address nothing.
func New(o Options) *Receiver { return &Receiver{o} }

// Name is Options.Name, which routes use and errors begin with.
func (r *Receiver) Name() string { return r.o.Name }

// Traits says that it is told of every change.
func (*Receiver) Traits() notify.Traits { return notify.Traits{Edits: true} }

// Where says what it is, and its host.
func (r *Receiver) Where(context.Context) string {
	if u, err := url.Parse(r.o.URL); err == nil {
		return "a webhook at " + u.Host
	}
	return "a webhook"
}

// Send posts m as an Event. webhook-id is the same whenever the same is sent again, so that whoever takes it can tell; it is signed with
// the time of each try. Receipt.Ref holds what the next event calls the state before.
//
// HTTP 429 is *notify.RetryError, after at least 5 seconds. HTTP 400, 413 and 422 are a *notify.RefusedError about this message only;
// another status below 500, 410 (the address is gone) among them, or a secret that cannot be read or is none, is one that needs a
// person. A status from 500 on, or no answer, may have been taken.
func (r *Receiver) Send(ctx context.Context, m notify.Message) (notify.Receipt, error) {
	e, now := eventOf(m)
	body, err := json.Marshal(e)
	if err != nil {
		return notify.Receipt{}, err
	}
	ref, err := json.Marshal(now)
	if err != nil {
		return notify.Receipt{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.o.URL, bytes.NewReader(body))
	if err != nil {
		return notify.Receipt{}, fmt.Errorf("%s: its URL: %w", r.o.Name, err)
	}
	if err := r.sign(ctx, req, m, body); err != nil {
		return notify.Receipt{}, r.noSecret(err)
	}
	resp, err := r.o.Client.Do(req)
	if err != nil {
		return notify.Receipt{}, fmt.Errorf("%s: could not be reached", r.o.Name)
	}
	return notify.Receipt{Channel: "events", Ref: string(ref)}, r.answer(resp)
}

// errSecret says what a secret of a webhook is.
var errSecret = errors.New("secret: it may be whsec_ and base64 of 24 to 64 bytes, such as from: echo whsec_$(openssl rand -base64 32)")

// signer is what signs events, by the secret as it is now.
func (r *Receiver) signer(ctx context.Context) (*standardwebhooks.Webhook, error) {
	v, err := r.o.Secret(ctx)
	if err != nil {
		return nil, fmt.Errorf("secret: %w", err)
	}
	defer v.Wipe()
	text, prefixed := strings.CutPrefix(v.Reveal(), "whsec_")
	hook, err := standardwebhooks.NewWebhook(text)
	if n := len(text) / 4 * 3; err != nil || !prefixed || n < 24 || n > 66 {
		return nil, errSecret // the library's error may hold a part of it
	}
	return hook, nil
}

// noSecret is the error of a signer that there is not.
func (r *Receiver) noSecret(err error) error {
	return &notify.RefusedError{
		Err: fmt.Errorf("%s: %w", r.o.Name, err), NeedsPerson: true, Fix: "mend secret of the receiver, or what it points at",
	}
}

func (r *Receiver) sign(ctx context.Context, req *http.Request, m notify.Message, body []byte) error {
	hook, err := r.signer(ctx)
	if err != nil {
		return err
	}
	id, at := idOf(m, body), r.o.Now()
	signature, err := hook.Sign(id, at, body)
	if err != nil {
		return errSecret
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(standardwebhooks.HeaderWebhookID, id)
	req.Header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(at.Unix(), 10))
	req.Header.Set(standardwebhooks.HeaderWebhookSignature, signature)
	return nil
}

// idOf is the same for the same event of the same message.
func idOf(m notify.Message, body []byte) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s\x00%s\x00", m.Key, m.TurnKey)
	h.Write(body)
	return "msg_" + hex.EncodeToString(h.Sum(nil)[:16])
}

// answer is what an answer means. What it says is nobody's business: it may be hostile.
func (r *Receiver) answer(resp *http.Response) error {
	answer := notify.AnswerOf(resp)
	if answer.Status == http.StatusGone {
		return &notify.RefusedError{
			Err: fmt.Errorf("%s: it answers HTTP %d", r.o.Name, answer.Status), NeedsPerson: true,
			Fix: "its address wants no more events: take the receiver out",
		}
	}
	return answer.Err(r.o.Name, "look at url and secret of the receiver")
}
