// Package shoutrrr tells findings by mail and in the many services that shoutrrr knows: Teams, Discord,
// PagerDuty, Opsgenie, ntfy, webhooks.
//
// None of them is updated: what is over is a second message. PagerDuty and Opsgenie get a key that makes one
// incident of both.
package shoutrrr

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nicholas-fedor/shoutrrr/pkg/router"
	"github.com/nicholas-fedor/shoutrrr/pkg/types"

	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/notify"
	"github.com/keyrounds/keyrounds/outbound"
	"github.com/keyrounds/keyrounds/secret"
)

// Receiver is one service URL of shoutrrr. It is safe for concurrent use.
type Receiver struct {
	name string
	url  func(context.Context) (secret.Value, error)

	policy outbound.Policy
}

// New makes a Receiver. url reads the service URL (shoutrrr.nickfedor.com/services/overview) before every message, so
// that a new one is used at once. policy holds for the services of Guarded. Nothing is asked of the service.
func New(name string, url func(context.Context) (secret.Value, error), policy outbound.Policy) *Receiver {
	return &Receiver{name, url, policy}
}

// Name is the one it was made with, which routes use and errors begin with.
func (r *Receiver) Name() string { return r.name }

// Traits says that it posts only, in its one channel, without a pace.
func (*Receiver) Traits() notify.Traits { return notify.Traits{} }

// hosted are the services whose URLs have the host of a server there, and no secret.
var hosted = []string{"bark", "generic", "gotify", "matrix", "mattermost", "ntfy", "rocketchat", "signal", "smtp"}

// Where says which service it is, and on which host where its URL has one: of the URL, only what is no secret. It reads the
// URL.
func (r *Receiver) Where(ctx context.Context) string {
	raw, err := r.url(ctx)
	if err != nil {
		return ""
	}
	defer raw.Wipe()
	scheme, rest, _ := strings.Cut(raw.Reveal(), "://")
	scheme, _, _ = strings.Cut(strings.ToLower(scheme), "+")
	if u, err := url.Parse("https://" + rest); err == nil && u.Host != "" && slices.Contains(hosted, scheme) {
		return scheme + " at " + u.Host
	}
	return scheme
}

// Pages reports whether its messages page somebody: its URL is one of PagerDuty or Opsgenie. It reads the URL.
func (r *Receiver) Pages(ctx context.Context) bool {
	raw, err := r.url(ctx)
	if err != nil {
		return false
	}
	defer raw.Wipe()
	scheme, _, _ := strings.Cut(raw.Reveal(), "://")
	return scheme == "pagerduty" || scheme == "opsgenie"
}

// Send posts m, whether it was posted before or not; m.Told is not used. A URL that cannot be read or is none of
// shoutrrr's, or a policy that cannot be used, is a *notify.RefusedError that needs a person. What a server
// answered by HTTP says more: 401, 403, 404 and 410 need a person, 429 is *notify.RetryError. Any other error is what the
// service said: it may have been posted. No part of the URL that can be a secret is in an error.
//
// Most services know no context. When ctx ends, Send returns, and the service goes on until its own timeout.
func (r *Receiver) Send(ctx context.Context, m notify.Message) (notify.Receipt, error) {
	raw, err := r.url(ctx)
	if err != nil {
		return notify.Receipt{}, r.refused(fmt.Errorf("its URL: %w", err), "mend url of the receiver, or what it points at")
	}
	defer raw.Wipe()
	scrub := scrubber(raw)
	scheme, _, _ := strings.Cut(raw.Reveal(), "://")
	service, err := (&router.ServiceRouter{}).Locate(raw.Reveal())
	if err != nil {
		return notify.Receipt{}, r.refused(
			errors.New(scrub.Clean(err.Error(), 200)),
			"its URL is not one of shoutrrr's: shoutrrr.nickfedor.com/services/overview",
		)
	}
	if err := guard(r.policy, service); err != nil {
		return notify.Receipt{}, r.refused(err, "look at notifications.proxy")
	}
	params, text := compose(strings.ToLower(scheme), m)
	if _, query, _ := strings.Cut(raw.Reveal(), "?"); namesPriority(query) {
		delete(params, "priority") // whoever wrote the URL knows better
	}
	done := make(chan error, 1) // most services know no context; they end by their own timeouts
	go func() { done <- service.Send(text, &params) }()
	select {
	case err = <-done:
	case <-ctx.Done():
		err = errors.New("no answer in time")
	}
	if err != nil {
		return notify.Receipt{}, r.failed(scheme, scrub.Clean(err.Error(), 200))
	}
	return notify.Receipt{Channel: scheme}, nil
}

// The services have no types for what a server answered; each writes the HTTP status into its error.
var statusIn = regexp.MustCompile(`(?i)(?:status|code|http)[^0-9]{0,40}\b([45][0-9]{2})\b|\b([45][0-9]{2}) [A-Z]`)

// noAnswer says why nobody answered a service, by what its error has of package net's: the types are gone by then.
var noAnswer = []struct{ said, why string }{
	{"connect: connection refused", "nobody listens at its address"},
	{"no such host", "the host name of its address is not known"},
	{"server misbehaving", "the host name of its address could not be looked up"},
	{"no route to host", "no way leads to its address from this machine"},
	{"network is unreachable", "no way leads to its address from this machine"},
	{"x509: ", "its certificate is not trusted: it is for another name, over, or of an unknown authority"},
	{"server gave HTTP response", "it answers in plain http, and https was asked"},
	{"i/o timeout", "no answer in time"},
	{"context deadline exceeded", "no answer in time"},
	{"Client.Timeout exceeded", "no answer in time"},
}

// failed is the error of a send, by what the service's error says of the server's answer.
func (r *Receiver) failed(scheme, text string) error {
	err := fmt.Errorf("%s: %s", r.name, text)
	if strings.HasPrefix(scheme, "smtp") { // its numbers are not those of HTTP
		if strings.Contains(text, "535") {
			return &notify.RefusedError{
				Err: err, NeedsPerson: true, Fix: "the mail server refuses user and password: put the right ones into its URL",
			}
		}
		return err
	}
	for _, no := range noAnswer {
		if strings.Contains(text, no.said) {
			return fmt.Errorf("%s: %s", r.name, no.why)
		}
	}
	found := statusIn.FindStringSubmatch(text)
	if found == nil {
		return err
	}
	switch status, _ := strconv.Atoi(found[1] + found[2]); {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return &notify.RefusedError{
			Err: err, NeedsPerson: true, Fix: "its address or its token is no longer accepted: make a new one there, and store its URL",
		}
	case status == http.StatusNotFound || status == http.StatusGone:
		return &notify.RefusedError{
			Err: err, NeedsPerson: true, Fix: "there is nothing at its address any more: make a new one there, and store its URL",
		}
	case status == http.StatusTooManyRequests:
		return &notify.RetryError{After: limitWait, Err: err}
	case status >= http.StatusInternalServerError:
		return fmt.Errorf("%w; that server is in trouble, and it is tried again", err)
	}
	return err
}

// limitWait is until a message is tried again that a service limits: shoutrrr does not say how long the service asks for.
const limitWait = 30 * time.Second

func (r *Receiver) refused(err error, fix string) error {
	return &notify.RefusedError{Err: fmt.Errorf("%s: %w", r.name, err), NeedsPerson: true, Fix: fix}
}

// scrubber knows every part of a URL that can be a secret: errors of services hold any of them.
func scrubber(raw secret.Value) secret.Scrubber {
	vs := []secret.Value{raw}
	if u, err := url.Parse(raw.Reveal()); err == nil {
		password, _ := u.User.Password()
		parts := append(strings.Split(u.Path, "/"), password, u.User.Username())
		for _, values := range u.Query() {
			parts = append(parts, values...)
		}
		if !strings.Contains(u.Host, ".") { // a token stands there: discord://token@id, slack://hook:…
			parts = append(parts, u.Hostname())
		}
		for _, p := range parts {
			if len(p) >= 6 {
				vs = append(vs, secret.New([]byte(p)))
			}
		}
	}
	return secret.NewScrubber(vs...)
}

// The services that show a title apart from the text.
var titled = []string{
	"discord",
	"lark",
	"matrix",
	"mattermost",
	"slack",
	"teams",
	"telegram",
	"smtp",
	"opsgenie",
	"bark",
	"gotify",
	"join",
	"ntfy",
	"pushbullet",
	"pushover",
	"generic",
}

// compose is what a service gets: its own parameters, and the text.
func compose(scheme string, m notify.Message) (types.Params, string) {
	title, body := m.Plain()
	scheme, _, _ = strings.Cut(scheme, "+")
	params := types.Params{}
	text := title + "\n" + body
	if slices.Contains(titled, scheme) {
		params.SetTitle(title)
		if text = body; text == "" {
			text = title
		}
	}
	switch scheme {
	case "pagerduty": // support.pagerduty.com: events of one dedup_key are one incident
		params["dedup_key"], params["client"], params["source"] = "keyrounds-"+m.Key, "keyrounds", "keyrounds"
		params["severity"] = severities[m.Severity()]
		if m.Over() && m.Letter == nil {
			params["action"] = "resolve"
		}
		text = notify.Cut(text, 1000)
	case "opsgenie": // alerts of one alias are one alert; shoutrrr cannot close it
		params["alias"], params["source"], params["priority"] = "keyrounds-"+m.Key, "keyrounds", priorities[m.Severity()]
	}
	if of := pushPriorities[scheme]; of != nil {
		params["priority"] = of[m.Severity()]
		if m.Over() || m.Letter != nil {
			params["priority"] = of[finding.Info] // what is over wakes nobody
		}
	}
	return params, notify.Cut(text, 4000)
}

// pushPriorities are how loud a message of a severity is on a telephone: docs.ntfy.sh/publish/#message-priority,
// gotify.net/docs/msgextras (8 and more make a sound that lasts), pushover.net/api#priority (1 passes quiet hours).
var pushPriorities = map[string]map[finding.Severity]string{
	"ntfy":     {finding.Critical: "5", finding.Warning: "4", finding.Info: "2"},
	"gotify":   {finding.Critical: "8", finding.Warning: "5", finding.Info: "2"},
	"pushover": {finding.Critical: "1", finding.Warning: "0", finding.Info: "-1"},
}

// namesPriority says whether a service URL has a priority of its own.
func namesPriority(query string) bool {
	q, err := url.ParseQuery(query)
	if err != nil {
		return false
	}
	for name := range q {
		if strings.EqualFold(name, "priority") {
			return true
		}
	}
	return false
}

var (
	severities = map[finding.Severity]string{finding.Critical: "critical", finding.Warning: "warning", finding.Info: "info"}
	priorities = map[finding.Severity]string{finding.Critical: "P1", finding.Warning: "P3", finding.Info: "P5"}
)
