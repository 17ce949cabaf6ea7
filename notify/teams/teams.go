// Package teams has findings told in Microsoft Teams by a workflow that begins when a webhook request is received, as Adaptive Cards.
//
// It posts only: a workflow answers before it has posted, so nothing can be updated. Connectors of office.com are retired and not used.
package teams

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/keyrounds/keyrounds/notify"
	"github.com/keyrounds/keyrounds/secret"
)

// Receiver is one workflow. It is safe for concurrent use.
type Receiver struct {
	name   string
	url    func(context.Context) (secret.Value, error)
	client *http.Client
}

// New makes a Receiver. url reads the workflow's URL before every message; who has it may post. client is of package outbound. Nothing
// is asked of the workflow.
func New(name string, url func(context.Context) (secret.Value, error), client *http.Client) *Receiver {
	return &Receiver{name, url, client}
}

// Name is the one it was made with, which routes use and errors begin with.
func (r *Receiver) Name() string { return r.name }

// Traits says that it posts only, in its one channel, without a pace.
func (*Receiver) Traits() notify.Traits { return notify.Traits{} }

// Where says what it is, and its host. It reads the URL.
func (r *Receiver) Where(ctx context.Context) string {
	u, err := r.address(ctx)
	if err != nil {
		return "Teams"
	}
	return "Teams by " + u.Host
}

// Send posts m as a card, whether it was posted before or not. 202 says that the workflow has begun: what it does then is seen in Power
// Automate only.
//
// HTTP 429 is *notify.RetryError. HTTP 413, and 400 where it is not about the workflow, are a *notify.RefusedError about this message
// only; another status below 500, or a URL that cannot be read or is none, is one that needs a person. A status from 500 on, or no
// answer, may have been posted.
func (r *Receiver) Send(ctx context.Context, m notify.Message) (notify.Receipt, error) {
	u, err := r.address(ctx)
	if err != nil {
		return notify.Receipt{}, err
	}
	answer, err := notify.Request(ctx, r.client, http.MethodPost, u.String(), nil, messageOf(m))
	if err != nil {
		return notify.Receipt{}, fmt.Errorf("%s: %w", r.name, err)
	}
	if err := r.offWorkflow(answer); err != nil {
		return notify.Receipt{}, err
	}
	if err := answer.Err(r.name, "make a new workflow in Teams, and store its URL: this one is gone, or it wants a sign-in"); err != nil {
		return notify.Receipt{}, err
	}
	return notify.Receipt{Channel: "teams"}, nil
}

// offWorkflow is the error of HTTP 400 that any other card gets as well, by the codes of Azure Logic Apps.
func (r *Receiver) offWorkflow(a notify.Answer) error {
	var said struct {
		Error struct {
			Code string `json:"code"`
		} `json:"error"`
	}
	if a.Status/100 != 4 || json.Unmarshal(a.Body, &said) != nil {
		return nil
	}
	var why, fix string
	switch said.Error.Code {
	case "WorkflowTriggerIsNotEnabled":
		why, fix = "the workflow is turned off", "turn it on in Power Automate"
	case "TriggerInputSchemaMismatch":
		why, fix = "the workflow takes another kind of request",
			"make it from the template that posts to a channel when a webhook request is received"
	default:
		return nil
	}
	return &notify.RefusedError{Err: fmt.Errorf("%s: %s", r.name, why), NeedsPerson: true, Fix: fix}
}

// address reads the URL. Its error has nothing of it.
func (r *Receiver) address(ctx context.Context) (*url.URL, error) {
	refused := func(err error, fix string) error {
		return &notify.RefusedError{Err: fmt.Errorf("%s: %w", r.name, err), NeedsPerson: true, Fix: fix}
	}
	v, err := r.url(ctx)
	if err != nil {
		return nil, refused(fmt.Errorf("its URL: %w", err), "mend url of the receiver, or what it points at")
	}
	defer v.Wipe()
	u, err := url.Parse(strings.TrimSpace(v.Reveal()))
	if err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
		return nil, refused(errors.New("its URL is not one with https"), "copy the URL of the workflow's trigger again")
	}
	if host := strings.ToLower(u.Hostname()); host == "outlook.office.com" || strings.HasSuffix(host, ".webhook.office.com") {
		return nil, refused(errors.New("its URL is that of a connector, and Microsoft has retired those"),
			"make a workflow in Teams that posts to the channel when a webhook request is received, and store its URL")
	}
	return u, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
