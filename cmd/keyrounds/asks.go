package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/keyrounds/keyrounds/access"
	"github.com/keyrounds/keyrounds/action"
	"github.com/keyrounds/keyrounds/api"
	"github.com/keyrounds/keyrounds/api/client"
	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/decision"
	"github.com/keyrounds/keyrounds/notify"
	"github.com/keyrounds/keyrounds/report"
)

func (d *desk) status(ctx context.Context) (s api.StatusJSON, err error) {
	return s, d.Get(ctx, "/status", nil, &s)
}

// findings lists up to f.Limit, and says how many there are.
func (d *desk) findings(ctx context.Context, f audit.Filter) ([]api.FindingJSON, int, error) {
	q := url.Values{}
	for name, value := range map[string]string{"kind": string(f.Kind), "credential": f.Credential} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if f.Resolved {
		q.Set("resolved", "true")
	}
	if f.After != 0 {
		q.Set("after", strconv.FormatInt(f.After, 10))
	}
	if !f.Since.IsZero() {
		q.Set("since", f.Since.UTC().Format(time.RFC3339Nano))
	}
	list, total, err := client.List[api.FindingJSON](ctx, d.Client, "/findings", q, f.Limit)
	if err != nil && f.Credential != "" {
		if err := d.named(ctx, f.Credential); err != nil {
			return nil, 0, err
		}
	}
	return list, total, plainly(err)
}

func (d *desk) finding(ctx context.Context, id int64) (j api.FindingJSON, err error) {
	return j, d.ofFinding(id, d.Get(ctx, fmt.Sprintf("/findings/%d", id), nil, &j))
}

func (d *desk) respond(ctx context.Context, do deed, id int64) (j api.FindingJSON, err error) {
	if do.on != "" {
		now, err := d.finding(ctx, id)
		if err != nil {
			return j, err
		}
		if now.State != do.on {
			return j, fmt.Errorf("finding %d is not %s", id, do.on)
		}
	}
	var body any
	if do.body != nil {
		body = do.body()
	}
	return j, d.ofFinding(id, d.Post(ctx, fmt.Sprintf("/findings/%d/%s", id, do.path), body, &j))
}

// ofFinding names the finding that there is not.
func (d *desk) ofFinding(id int64, err error) error {
	var p *client.Problem
	if errors.As(err, &p) && p.Status == http.StatusNotFound {
		what := "there is no finding %d"
		if d.elsewhere {
			what += ", or not for you"
		}
		return &hintError{fmt.Errorf(what, id), "see keyrounds findings list"}
	}
	return plainly(err)
}

func (d *desk) credentials(ctx context.Context, retired bool, each func(api.CredentialJSON)) error {
	q := url.Values{}
	if retired {
		q.Set("retired", "true")
	}
	_, err := client.Each(ctx, d.Client, "/credentials", q, 0, func(page []api.CredentialJSON) {
		for _, j := range page {
			each(j)
		}
	})
	return plainly(err)
}

// credential is the one of a name. The error says which one may have been meant, where none has it.
func (d *desk) credential(ctx context.Context, name string) (j api.CredentialJSON, err error) {
	err = d.Get(ctx, "/credentials/"+url.PathEscape(name), nil, &j)
	var p *client.Problem
	if !errors.As(err, &p) || p.Status != http.StatusNotFound {
		return j, plainly(err)
	}
	hint := "see keyrounds credentials list"
	if list, _, err := client.List[api.CredentialJSON](ctx, d.Client, "/credentials", url.Values{"fields": {"name"}}, 0); err == nil {
		var names []string
		for _, c := range list {
			names = append(names, c.Name)
		}
		hint = meant(name, names, hint)
	}
	what := "no credential has the name %q"
	if d.elsewhere {
		what += ", or none for you"
	}
	return j, &hintError{&saidError{fmt.Sprintf(what, name), p}, hint}
}

// named returns the error of credential.
func (d *desk) named(ctx context.Context, name string) error {
	_, err := d.credential(ctx, name)
	return err
}

func (d *desk) silence(ctx context.Context, s notify.Silence) (made notify.Silence, err error) {
	in := api.SilenceIn{Credential: s.Credential, Provider: s.Provider, Labels: s.Labels, Why: s.Why, HowLong: api.HowLong{Until: s.Until}}
	return made, plainly(d.Post(ctx, "/silences", in, &made))
}

func (d *desk) silences(ctx context.Context, all bool) ([]notify.Silence, error) {
	q := url.Values{}
	if all {
		q.Set("all", "true")
	}
	list, _, err := client.List[notify.Silence](ctx, d.Client, "/silences", q, 0)
	return list, plainly(err)
}

func (d *desk) endSilence(ctx context.Context, id int64) (s notify.Silence, err error) {
	return s, plainly(d.Delete(ctx, fmt.Sprintf("/silences/%d", id), &s))
}

func (d *desk) notifications(ctx context.Context, limit int) ([]notify.Delivery, int, error) {
	list, total, err := client.List[notify.Delivery](ctx, d.Client, "/notifications", nil, limit)
	return list, total, plainly(err)
}

func (d *desk) decide(ctx context.Context, name string, c action.Choice) (made decision.Decision, err error) {
	in := map[string]string{"choice": string(c.Choice), "why": c.Why} // api.DecideIn
	if !c.Until.IsZero() {
		in["until"] = c.Until.Format(time.DateOnly)
	}
	return made, d.ofCredential(ctx, name, d.Post(ctx, "/credentials/"+url.PathEscape(name)+"/decide", in, &made))
}

func (d *desk) undecide(ctx context.Context, name string) (was decision.Decision, err error) {
	return was, d.ofCredential(ctx, name, d.Post(ctx, "/credentials/"+url.PathEscape(name)+"/undecide", nil, &was))
}

func (d *desk) decisions(ctx context.Context) ([]decision.Decision, error) {
	list, _, err := client.List[decision.Decision](ctx, d.Client, "/decisions", nil, 0)
	return list, plainly(err)
}

// signOff signs off the report of a month, "": of the last one that is over.
func (d *desk) signOff(ctx context.Context, month string, r report.Review) (s report.SignOff, err error) {
	m, err := d.monthOf(ctx, month)
	if err != nil {
		return s, err
	}
	in := api.SignOffIn{Owner: r.Owner, WithUndecided: r.WithUndecided, Note: r.Note, Edition: r.Edition}
	return s, plainly(d.Post(ctx, "/reports/"+m.String()+"/signoff", in, &s))
}

// ofCredential says of what is not found which credential may have been meant.
func (d *desk) ofCredential(ctx context.Context, name string, err error) error {
	var p *client.Problem
	if errors.As(err, &p) && p.Status == http.StatusNotFound {
		if err := d.named(ctx, name); err != nil {
			return err
		}
	}
	return plainly(err)
}

// plainly has what a daemon says is wrong begin as our own errors do, and says whom to ask for another role.
func plainly(err error) error {
	var p *client.Problem
	if !errors.As(err, &p) {
		return err
	}
	text, hint := small(printable(p.Error(), true)), printable(p.Hint(), false)
	if p.Status == http.StatusForbidden && hint == "" {
		hint = "an admin can give another role (docs/access.md)"
	}
	return &hintError{&saidError{text, p}, hint}
}

// saidError is what a daemon says is wrong, as we say it.
type saidError struct {
	text string
	of   *client.Problem
}

func (e *saidError) Error() string { return e.text }
func (e *saidError) Unwrap() error { return e.of }

// none is what a list says that is empty. Who is an owner is told whose credentials it is about.
func (d *desk) none(text string) func() string {
	return func() string {
		var me api.Me
		if !d.elsewhere || d.Get(context.Background(), "/me", nil, &me) != nil || me.Role != access.Owner {
			return text
		}
		text, _, _ = strings.Cut(text, ";")
		return fmt.Sprintf("of the credentials of %s: %s", joinComma(me.Owners), text)
	}
}

// answered says whether a daemon answered with a status.
func answered(err error, status int) bool {
	var p *client.Problem
	return errors.As(err, &p) && p.Status == status
}

// small begins a sentence as our own errors begin. A name at its beginning stays as it is.
func small(text string) string {
	first, _, _ := strings.Cut(text, " ")
	switch first {
	case "A", "An", "Each", "In", "It", "No", "Nobody", "Nothing", "One", "That", "The", "There", "This", "When", "You":
		return strings.ToLower(text[:1]) + text[1:]
	}
	return text
}
