package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/keyrounds/keyrounds/action"
	"github.com/keyrounds/keyrounds/api"
	"github.com/keyrounds/keyrounds/api/client"
	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/decision"
	"github.com/keyrounds/keyrounds/notify"
	"github.com/keyrounds/keyrounds/report"
)

// there is the desk of a daemon elsewhere, by its API.
type there struct{ *client.Client }

func (t *there) close() {}

func (t *there) status(ctx context.Context) (s api.StatusJSON, err error) {
	return s, t.Get(ctx, "/status", nil, &s)
}

func (t *there) findings(ctx context.Context, f audit.Filter) ([]api.FindingJSON, int, error) {
	if f.After != 0 {
		return nil, 0, elsewhere("--after")
	}
	q := url.Values{}
	for name, value := range map[string]string{"kind": string(f.Kind), "credential": f.Credential} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if f.Resolved {
		q.Set("resolved", "true")
	}
	most := f.Limit
	if !f.Since.IsZero() {
		most = 0 // which of them are as new is seen here
	}
	list, total, err := client.List[api.FindingJSON](ctx, t.Client, "/findings", q, most)
	if err != nil {
		return nil, 0, plainly(err)
	}
	if !f.Since.IsZero() {
		list = slices.DeleteFunc(list, func(j api.FindingJSON) bool { return j.OpenedAt.Before(f.Since) })
		total = len(list)
		if f.Limit > 0 {
			list = list[:min(len(list), f.Limit)]
		}
	}
	return list, total, nil
}

func (t *there) finding(ctx context.Context, id int64) (j api.FindingJSON, err error) {
	return j, ofFinding(id, t.Get(ctx, fmt.Sprintf("/findings/%d", id), nil, &j))
}

func (t *there) respond(ctx context.Context, d deed, id int64) (j api.FindingJSON, err error) {
	var body any
	if d.body != nil {
		body = d.body()
	}
	return j, ofFinding(id, t.Post(ctx, fmt.Sprintf("/findings/%d/%s", id, d.path), body, &j))
}

// ofFinding names the finding that there is not.
func ofFinding(id int64, err error) error {
	var p *client.Problem
	if errors.As(err, &p) && p.Status == http.StatusNotFound {
		return &hintError{fmt.Errorf("there is no finding %d, or not for you", id), "see keyrounds findings list"}
	}
	return plainly(err)
}

func (t *there) credentials(ctx context.Context, retired bool, each func(api.CredentialJSON)) error {
	q := url.Values{}
	if retired {
		q.Set("retired", "true")
	}
	list, _, err := client.List[api.CredentialJSON](ctx, t.Client, "/credentials", q, 0)
	for _, j := range list {
		each(j)
	}
	return plainly(err)
}

func (t *there) named(ctx context.Context, name string) error {
	var j api.CredentialJSON
	err := t.Get(ctx, "/credentials/"+url.PathEscape(name), nil, &j)
	var p *client.Problem
	if errors.As(err, &p) && p.Status == http.StatusNotFound {
		hint := "see keyrounds credentials list"
		if list, _, err := client.List[api.CredentialJSON](ctx, t.Client, "/credentials", url.Values{"fields": {"name"}}, 0); err == nil {
			var names []string
			for _, c := range list {
				names = append(names, c.Name)
			}
			hint = meant(name, names, hint)
		}
		return &hintError{fmt.Errorf("no credential has the name %q, or none for you", name), hint}
	}
	return plainly(err)
}

func (t *there) silence(ctx context.Context, s notify.Silence) (made notify.Silence, err error) {
	in := api.SilenceIn{Credential: s.Credential, Provider: s.Provider, Labels: s.Labels, Why: s.Why, HowLong: api.HowLong{Until: s.Until}}
	return made, plainly(t.Post(ctx, "/silences", in, &made))
}

func (t *there) silences(ctx context.Context, all bool) ([]notify.Silence, error) {
	q := url.Values{}
	if all {
		q.Set("all", "true")
	}
	list, _, err := client.List[notify.Silence](ctx, t.Client, "/silences", q, 0)
	return list, plainly(err)
}

func (t *there) endSilence(ctx context.Context, id int64) (s notify.Silence, err error) {
	return s, plainly(t.Delete(ctx, fmt.Sprintf("/silences/%d", id), &s))
}

func (t *there) notifications(ctx context.Context, limit int) ([]notify.Delivery, error) {
	list, _, err := client.List[notify.Delivery](ctx, t.Client, "/notifications", nil, limit)
	return list, plainly(err)
}

func (t *there) decide(ctx context.Context, name string, c action.Choice) (d decision.Decision, err error) {
	in := map[string]string{"choice": string(c.Choice), "why": c.Why} // api.DecideIn
	if !c.Until.IsZero() {
		in["until"] = c.Until.Format(time.DateOnly)
	}
	return d, t.ofCredential(ctx, name, t.Post(ctx, "/credentials/"+url.PathEscape(name)+"/decide", in, &d))
}

func (t *there) undecide(ctx context.Context, name string) (d decision.Decision, err error) {
	return d, t.ofCredential(ctx, name, t.Post(ctx, "/credentials/"+url.PathEscape(name)+"/undecide", nil, &d))
}

func (t *there) decisions(ctx context.Context) ([]decision.Decision, error) {
	list, _, err := client.List[decision.Decision](ctx, t.Client, "/decisions", nil, 0)
	return list, plainly(err)
}

func (t *there) signOff(ctx context.Context, month string, r report.Review) (s report.SignOff, err error) {
	m, err := monthOf(month, time.UTC, time.Now())
	if err != nil {
		return s, err
	}
	in := api.SignOffIn{Owner: r.Owner, WithUndecided: r.WithUndecided, Note: r.Note}
	return s, plainly(t.Post(ctx, "/reports/"+m.String()+"/signoff", in, &s))
}

// ofCredential says of what is not found which credential may have been meant.
func (t *there) ofCredential(ctx context.Context, name string, err error) error {
	var p *client.Problem
	if errors.As(err, &p) && p.Status == http.StatusNotFound {
		if err := t.named(ctx, name); err != nil {
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
	text := printable(p.Error(), false)
	if rest, ok := strings.CutPrefix(text, "There is "); ok {
		text = "there is " + rest
	}
	hint := ""
	if p.Status == http.StatusForbidden {
		hint = "an admin can give another role (docs/access.md)"
	}
	return &hintError{errors.New(text), hint}
}
