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
	"io"
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
		return notify.Receipt{}, &notify.RefusedError{
			Err: fmt.Errorf("%s: %w", r.o.Name, err), NeedsPerson: true, Fix: "mend secret of the receiver, or what it points at",
		}
	}
	resp, err := r.o.Client.Do(req)
	if err != nil {
		return notify.Receipt{}, fmt.Errorf("%s: could not be reached", r.o.Name)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // what it says is nobody's business: it may be hostile
	return notify.Receipt{Channel: "events", Ref: string(ref)}, r.answer(resp)
}

// errSecret says what a secret of a webhook is.
var errSecret = errors.New("secret: it may be whsec_ and base64 of 24 to 64 bytes, such as from: echo whsec_$(openssl rand -base64 32)")

func (r *Receiver) sign(ctx context.Context, req *http.Request, m notify.Message, body []byte) error {
	v, err := r.o.Secret(ctx)
	if err != nil {
		return fmt.Errorf("secret: %w", err)
	}
	defer v.Wipe()
	text, prefixed := strings.CutPrefix(v.Reveal(), "whsec_")
	hook, err := standardwebhooks.NewWebhook(text)
	if n := len(text) / 4 * 3; err != nil || !prefixed || n < 24 || n > 66 {
		return errSecret // the library's error may hold a part of it
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

func (r *Receiver) answer(resp *http.Response) error {
	if resp.StatusCode/100 == 2 {
		return nil
	}
	err := fmt.Errorf("%s: it answers HTTP %d", r.o.Name, resp.StatusCode)
	switch s := resp.StatusCode; {
	case s == http.StatusTooManyRequests:
		after, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
		return &notify.RetryError{After: time.Duration(min(max(after, 5), 3600)) * time.Second, Err: err}
	case s == http.StatusBadRequest, s == http.StatusRequestEntityTooLarge, s == http.StatusUnprocessableEntity:
		return &notify.RefusedError{Err: err, OnlyThis: true}
	case s == http.StatusGone:
		return &notify.RefusedError{Err: err, NeedsPerson: true, Fix: "its address wants no more events: take the receiver out"}
	case s >= http.StatusInternalServerError:
		return err
	}
	return &notify.RefusedError{Err: err, NeedsPerson: true, Fix: "look at url and secret of the receiver"}
}
