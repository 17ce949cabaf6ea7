// Package opsgenie has findings told as alerts of Opsgenie, or of Jira Service Management, which has the same API
// (docs.opsgenie.com/docs/alert-api).
//
// A message is one alert, by its alias: it is acknowledged when somebody acknowledges the finding, has a note of what happened since,
// and is closed when the finding ends. What people do in Opsgenie does not come back.
package opsgenie

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/notify"
	"github.com/keyrounds/keyrounds/secret"
)

// The addresses of the Alert API: of most accounts, and of those in the European service region.
const (
	URL   = "https://api.opsgenie.com"
	URLEU = "https://api.eu.opsgenie.com"
)

// Options are options of New. Pause is optional, the others are required.
type Options struct {
	Name   string
	URL    string                                      // URL, URLEU, Jira's or a gateway: /v2/alerts is added
	Key    func(context.Context) (secret.Value, error) // of an API integration
	Client *http.Client                                // of package outbound
	Pause  time.Duration                               // before it is asked again what became of a request; default a second
}

// Receiver is one integration of Opsgenie. It is safe for concurrent use.
type Receiver struct{ o Options }

// New makes a Receiver. It asks Opsgenie nothing.
func New(o Options) *Receiver {
	if o.Pause <= 0 {
		o.Pause = time.Second
	}
	return &Receiver{o}
}

// Name is Options.Name, which routes use and errors begin with.
func (r *Receiver) Name() string { return r.o.Name }

// Traits says that it is told of every change, and takes no letters.
func (*Receiver) Traits() notify.Traits { return notify.Traits{Edits: true, Alerts: true} }

// Pages says that its messages page somebody.
func (*Receiver) Pages(context.Context) bool { return true }

// Where says what it is, and its host.
func (r *Receiver) Where(context.Context) string {
	if u, err := url.Parse(r.o.URL); err == nil {
		return "Opsgenie at " + u.Host
	}
	return "Opsgenie"
}

// The states of an alert.
const (
	open         = "open"
	acknowledged = "acknowledged"
	closed       = "closed"
)

// told is what Opsgenie was told of an alert last; the zero value: nothing.
type told struct{ State, Priority string }

// ref is told as a receipt has it and people read it: open P1.
func (t told) ref() string { return strings.TrimSpace(t.State + " " + t.Priority) }

// readTold reads a receipt; what is none was told by another receiver of this name.
func readTold(r notify.Receipt) told {
	state, priority, _ := strings.Cut(r.Ref, " ")
	return told{state, priority}
}

// Send makes the alert of m what m is: created, acknowledged once somebody looks after all of it, of another priority, with a note of
// what happened, or closed. Opsgenie does that later: Send asks what became of it for a few seconds, and takes it for done where nobody
// says by then. One alias is one alert, so sending again is harmless. Receipt.Ref is what Opsgenie was told.
//
// HTTP 429 is *notify.RetryError. HTTP 400 and 422, and a letter, are a *notify.RefusedError about this message only; another status
// below 500, or a key that cannot be read, is one that needs a person. A status from 500 on, or no answer, may have been taken.
func (r *Receiver) Send(ctx context.Context, m notify.Message) (notify.Receipt, error) {
	if len(m.Findings) == 0 {
		return notify.Receipt{}, &notify.RefusedError{Err: fmt.Errorf("%s: takes alerts only, no letters", r.o.Name), OnlyThis: true}
	}
	before := readTold(m.Told)
	now := told{stateOf(m), priorities[m.Severity()]}
	steps := stepsOf(m, before, now)
	if now.State == acknowledged && before.State == "" && !m.Unclear {
		now, steps = told{}, nil // somebody looks after it already, so nobody is paged
	}
	if len(steps) > 0 {
		header, err := r.header(ctx)
		if err != nil {
			return notify.Receipt{}, err
		}
		for _, s := range steps {
			if err := r.do(ctx, header, s); err != nil {
				return notify.Receipt{}, err
			}
		}
	}
	return notify.Receipt{Channel: "alerts", Ref: now.ref()}, nil
}

func stateOf(m notify.Message) string {
	switch {
	case m.Over():
		return closed
	case m.LookedAfter():
		return acknowledged
	}
	return open
}

var priorities = map[finding.Severity]string{finding.Critical: "P1", finding.Warning: "P3", finding.Info: "P5"}

// step is one request of the Alert API.
type step struct {
	method, path string
	body         map[string]any
	lasting      bool // what fails is a failure of the message; else the alert is right without it
}

// stepsOf is what makes an alert that is as before what it is now, in this order.
func stepsOf(m notify.Message, before, now told) (steps []step) {
	of := func(what string) string {
		return "/v2/alerts/" + url.PathEscape(aliasOf(m)) + what + "?identifierType=alias"
	}
	note := map[string]any{"source": source, "user": source}
	note["note"] = notify.Cut(cmp.Or(m.Turn, m.Title()), mostNote)
	if now.State == closed {
		return []step{{http.MethodPost, of("/close"), note, true}}
	}
	again := now.State == open && (before.State == acknowledged || m.Loud) // somebody may have closed it in Opsgenie meanwhile
	known := before.State == open || before.State == acknowledged
	switch {
	case !known || again || m.Unclear:
		steps = append(steps, step{http.MethodPost, "/v2/alerts", alertOf(m, now), true})
	case before.Priority != now.Priority:
		steps = append(steps, step{http.MethodPut, of("/priority"), map[string]any{"priority": now.Priority}, false})
	}
	switch {
	case now.State == acknowledged && (before.State != acknowledged || m.Unclear):
		return append(steps, step{http.MethodPost, of("/acknowledge"), note, true})
	case now.State == open && before.State == acknowledged:
		steps = append(steps, step{http.MethodPost, of("/unacknowledge"), note, false})
	}
	if m.Turn != "" && known {
		steps = append(steps, step{http.MethodPost, of("/notes"), note, false})
	}
	return steps
}

func aliasOf(m notify.Message) string { return "keyrounds-" + m.Key }

const source = "keyrounds"

// Opsgenie takes so many characters (docs.opsgenie.com/docs/alert-api), and cuts or refuses what is longer.
const (
	mostMessage     = 130
	mostDescription = 15000
	mostNote        = 25000
	mostEntity      = 512
	mostTag         = 50
	mostDetail      = 1000 // of 8000 of all details
)

// alertOf is the alert as it is created. One that is open already is left as it is, and counts.
func alertOf(m notify.Message, now told) map[string]any {
	f := m.Findings[0]
	title, body := m.Plain()
	details := map[string]string{"kind": string(f.Kind), "severity": string(f.Severity)}
	for name, v := range map[string]string{
		"provider": f.Subject.Provider, "credential": f.Subject.Credential, "owner": f.About.Owner, "finding": m.Words.Link,
		"runbook": m.Words.Guide,
	} {
		if v != "" {
			details[name] = notify.Cut(v, mostDetail)
		}
	}
	return map[string]any{
		"message": notify.Cut(title, mostMessage), "alias": aliasOf(m), "description": notify.Cut(title+"\n"+body, mostDescription),
		"entity": notify.Cut(f.Who(), mostEntity), "source": source, "user": source, "priority": now.Priority, "details": details,
		"tags": []string{source, notify.Cut(string(f.Kind), mostTag)},
	}
}

func (r *Receiver) header(ctx context.Context) (http.Header, error) {
	v, err := r.o.Key(ctx)
	if err != nil || strings.TrimSpace(v.Reveal()) == "" {
		if err == nil {
			err = errors.New("is empty")
		}
		return nil, &notify.RefusedError{
			Err: fmt.Errorf("%s: api_key: %w", r.o.Name, err), NeedsPerson: true, Fix: "mend api_key of the receiver, or what it points at",
		}
	}
	defer v.Wipe()
	return http.Header{"Authorization": {"GenieKey " + strings.TrimSpace(v.Reveal())}}, nil
}

const fix = "look at api_key, region and url of the receiver: the key of an API integration that may create and close alerts"

// do makes a request and asks what became of it.
func (r *Receiver) do(ctx context.Context, header http.Header, s step) error {
	answer, err := notify.Request(ctx, r.o.Client, s.method, r.o.URL+s.path, header, s.body)
	if err != nil {
		return fmt.Errorf("%s: %w", r.o.Name, err)
	}
	if !s.lasting && (answer.Status == http.StatusNotFound || answer.Status == http.StatusMethodNotAllowed) {
		return nil // Jira Service Management has not all of the API
	}
	if err := answer.Err(r.o.Name, fix); err != nil {
		return err
	}
	var said struct {
		RequestID string `json:"requestId"`
	}
	if json.Unmarshal(answer.Body, &said) != nil || said.RequestID == "" {
		return nil
	}
	return r.became(ctx, header, s, said.RequestID)
}

const asks = 4 // how often it is asked what became of a request

// became asks what became of a request that was accepted. What is not processed yet is HTTP 404. That an alert is there no more, or is
// closed already, is as good where it is closed.
func (r *Receiver) became(ctx context.Context, header http.Header, s step, id string) error {
	for range asks {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(r.o.Pause):
		}
		answer, err := notify.Request(ctx, r.o.Client, http.MethodGet, r.o.URL+"/v2/alerts/requests/"+url.PathEscape(id), header, nil)
		if err != nil || answer.Status == http.StatusTooManyRequests || answer.Status >= http.StatusInternalServerError {
			continue
		}
		var said struct {
			Data struct {
				Success *bool  `json:"isSuccess"`
				Status  string `json:"status"`
			} `json:"data"`
		}
		if answer.Status != http.StatusOK || json.Unmarshal(answer.Body, &said) != nil || said.Data.Success == nil {
			continue
		}
		status := strings.ToLower(said.Data.Status)
		gone := strings.HasSuffix(s.path, "/close?identifierType=alias") &&
			(strings.Contains(status, "does not exist") || strings.Contains(status, "already closed"))
		if *said.Data.Success || gone || !s.lasting {
			return nil
		}
		return &notify.RefusedError{
			Err:      fmt.Errorf("%s: Opsgenie accepted a request and could not do it; its log of the integration says why", r.o.Name),
			OnlyThis: true,
		}
	}
	return nil
}
