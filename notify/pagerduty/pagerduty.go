// Package pagerduty has findings told as incidents of PagerDuty, by its Events API v2 (developer.pagerduty.com/docs/events-api-v2).
//
// A message is one alert, by its dedup_key: PagerDuty opens an incident, which is acknowledged when somebody acknowledges the finding
// and resolved when the finding ends. What people do in PagerDuty does not come back.
package pagerduty

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	events "github.com/PagerDuty/go-pagerduty"

	"github.com/keyrounds/keyrounds/notify"
	"github.com/keyrounds/keyrounds/secret"
)

// The addresses of the Events API: of most accounts, and of those in the European service region.
const (
	URL   = "https://events.pagerduty.com"
	URLEU = "https://events.eu.pagerduty.com"
)

// Options are options of New. All are required.
type Options struct {
	Name   string
	URL    string                                      // URL, URLEU or a gateway, without /v2/enqueue
	Key    func(context.Context) (secret.Value, error) // the integration key of a service: 32 letters and digits
	Client *http.Client                                // of package outbound
}

// Receiver is one service of PagerDuty. It is safe for concurrent use.
type Receiver struct{ o Options }

// New makes a Receiver. It asks PagerDuty nothing.
func New(o Options) *Receiver { return &Receiver{o} }

// Name is Options.Name, which routes use and errors begin with.
func (r *Receiver) Name() string { return r.o.Name }

// Traits says that it is told of every change, and takes no letters.
func (*Receiver) Traits() notify.Traits { return notify.Traits{Edits: true, Alerts: true} }

// Pages says that its messages page somebody.
func (*Receiver) Pages(context.Context) bool { return true }

// Where says what it is, and its host.
func (r *Receiver) Where(context.Context) string { return "PagerDuty at " + r.host() }

func (r *Receiver) host() string {
	u, err := url.Parse(r.o.URL)
	if err != nil {
		return r.o.URL
	}
	return u.Host
}

// Send makes the incident of m what m is: triggered, acknowledged once somebody looks after all of it, or resolved. Nothing is sent
// where PagerDuty knows it already and nothing happened: one dedup_key is one incident, so sending again is harmless. Receipt.Ref is
// what was sent.
//
// HTTP 429 is *notify.RetryError. HTTP 400, and a letter, are a *notify.RefusedError about this message only; another status below
// 500, or a key that cannot be read or is none, is one that needs a person. A status from 500 on, or no answer, may have been taken.
func (r *Receiver) Send(ctx context.Context, m notify.Message) (notify.Receipt, error) {
	if len(m.Findings) == 0 {
		return notify.Receipt{}, &notify.RefusedError{Err: fmt.Errorf("%s: takes alerts only, no letters", r.o.Name), OnlyThis: true}
	}
	e := eventOf(m)
	receipt := notify.Receipt{Channel: "incidents", Ref: e.Action + " " + string(m.Severity())}
	if receipt == m.Told && m.Turn == "" && !m.Unclear {
		return receipt, nil
	}
	key, err := r.key(ctx)
	if err != nil {
		return notify.Receipt{}, err
	}
	defer key.Wipe()
	e.RoutingKey = key.Reveal()
	answer, err := notify.Request(ctx, r.o.Client, http.MethodPost, r.o.URL+"/v2/enqueue", nil, e)
	if err != nil {
		return notify.Receipt{}, fmt.Errorf("%s: %w", r.o.Name, err)
	}
	return receipt, answer.Err(r.o.Name, "look at routing_key of the receiver: the integration key of a service, for the Events API v2")
}

var errKey = errors.New("routing_key: it is 32 letters and digits, the integration key of a service for the Events API v2")

// key reads the integration key. PagerDuty takes any of the right form and drops the event where it knows none, so the form is looked
// at here.
func (r *Receiver) key(ctx context.Context) (secret.Value, error) {
	v, err := r.o.Key(ctx)
	switch {
	case err != nil:
		err = fmt.Errorf("routing_key: %w", err)
	case len(v.Reveal()) != 32 || strings.ContainsFunc(v.Reveal(), func(c rune) bool {
		return (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z')
	}):
		v.Wipe()
		err = errKey
	default:
		return v, nil
	}
	return secret.Value{}, &notify.RefusedError{
		Err: fmt.Errorf("%s: %w", r.o.Name, err), NeedsPerson: true, Fix: "mend routing_key of the receiver, or what it points at",
	}
}

const (
	trigger     = "trigger"
	acknowledge = "acknowledge"
	resolve     = "resolve"
)

// eventOf is what a message is as an event, without the key. Only a trigger has what people read.
func eventOf(m notify.Message) events.V2Event {
	e := events.V2Event{Action: actionOf(m), DedupKey: "keyrounds-" + m.Key, Client: "keyrounds", ClientURL: m.Words.Link}
	if e.Action != trigger {
		return e
	}
	f := m.Findings[0]
	title, body := m.Plain()
	e.Payload = &events.V2Payload{
		Summary: notify.Cut(title, mostSummary), Source: f.Who(), Severity: string(f.Severity),
		Timestamp: f.OpenedAt.UTC().Format(time.RFC3339),
		Component: f.Subject.Credential, Group: f.Subject.Provider, Class: string(f.Kind),
		Details: map[string]string{"text": notify.Cut(body, mostText)},
	}
	for _, l := range []struct{ href, text string }{{m.Words.Link, "The finding in keyrounds"}, {m.Words.Guide, "Runbook"}} {
		if l.href != "" {
			e.Links = append(e.Links, map[string]string{"href": l.href, "text": l.text})
		}
	}
	return e
}

// PagerDuty takes 1024 characters as the summary and 512 KB as a whole.
const (
	mostSummary = 1024
	mostText    = 20000
)

// actionOf is what the incident of m becomes.
func actionOf(m notify.Message) string {
	switch {
	case m.Over():
		return resolve
	case m.LookedAfter():
		return acknowledge
	}
	return trigger
}
