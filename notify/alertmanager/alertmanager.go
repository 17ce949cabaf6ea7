// Package alertmanager has findings told by an Alertmanager, for teams that route their alerts there.
//
// Each finding is an alert, whose labels are the same as long as it is open: Alertmanager knows it again by
// them. It groups, silences and repeats on its own.
package alertmanager

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/notify"
	"github.com/keyrounds/keyrounds/secret"
)

// Options are options of New. Name, URL, Client and Now are required. Token wins over Username and Password.
type Options struct {
	Name     string
	URL      string                                      // such as http://alertmanager:9093
	Token    func(context.Context) (secret.Value, error) // bearer token; nil: none
	Username string                                      // of basic authentication; "": none
	Password func(context.Context) (secret.Value, error)
	Client   *http.Client // of package outbound
	Now      func() time.Time
}

// Receiver is one Alertmanager. Of several that belong together each is one. It is safe for concurrent use.
type Receiver struct{ o Options }

// New makes a Receiver. It asks Alertmanager nothing.
func New(o Options) *Receiver { return &Receiver{o} }

// Name is Options.Name, which routes use and errors begin with.
func (r *Receiver) Name() string { return r.o.Name }

// An Alertmanager that was started anew knows no alert, so open ones are sent again and again, as Prometheus does. Each
// time says how long it holds without another word: a keyrounds that is away knows nothing, so nothing is resolved by
// that. A day is longer than somebody takes to start it again, and ends what nobody can end any more.
const (
	resend  = time.Minute
	expires = 24 * time.Hour
	maxSkew = time.Minute // by which Alertmanager's clock may be behind ours
)

// Traits says that it edits, takes no letters, and wants to be told again each minute: an Alertmanager that restarts forgets alerts.
func (*Receiver) Traits() notify.Traits {
	return notify.Traits{Edits: true, Again: resend, Alerts: true}
}

// alert is one of POST /api/v2/alerts (the OpenAPI specification of Alertmanager).
type alert struct {
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	StartsAt     time.Time         `json:"startsAt,omitzero"`
	EndsAt       time.Time         `json:"endsAt"`
	GeneratorURL string            `json:"generatorURL,omitempty"`
}

// Where says what it is, and its host.
func (r *Receiver) Where(context.Context) string {
	if u, err := url.Parse(r.o.URL); err == nil {
		return "Alertmanager at " + u.Host
	}
	return "Alertmanager"
}

// Send posts the alerts of m, one for each finding (POST /api/v2/alerts). A resolved finding ends its alert; a
// snoozed one does until the snooze is over. An alert that was told with other labels, since its severity or owner
// has changed, is ended: Alertmanager takes it for another. Receipt.Ref holds the labels as told.
//
// HTTP 429 is *notify.RetryError, after at least 5 seconds. HTTP 400, and a letter, are a *notify.RefusedError about
// this message only; another status below 500, or a token or password that cannot be read, is one that needs a
// person. A status from 500 on, or no answer, may have been taken: sending again does no harm.
func (r *Receiver) Send(ctx context.Context, m notify.Message) (notify.Receipt, error) {
	var alerts []alert
	for _, f := range m.Findings {
		alerts = append(alerts, r.alert(f, m.Words))
	}
	if len(alerts) == 0 {
		return notify.Receipt{}, &notify.RefusedError{Err: fmt.Errorf("%s: takes alerts only, no letters", r.o.Name), OnlyThis: true}
	}
	receipt, err := receiptOf(alerts)
	if err != nil {
		return notify.Receipt{}, err
	}
	body, err := json.Marshal(append(alerts, r.outdated(m.Told, alerts)...))
	if err != nil {
		return notify.Receipt{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.o.URL+"/api/v2/alerts", bytes.NewReader(body))
	if err != nil {
		return notify.Receipt{}, fmt.Errorf("%s: its URL: %w", r.o.Name, err)
	}
	req.Header.Set("Content-Type", "application/json")
	scrub, err := r.signIn(ctx, req)
	if err != nil {
		return notify.Receipt{}, &notify.RefusedError{
			Err:         fmt.Errorf("%s: %w", r.o.Name, err),
			NeedsPerson: true,
			Fix:         "mend token or password of the receiver, or what it points at",
		}
	}
	resp, err := r.o.Client.Do(req)
	if err != nil {
		return notify.Receipt{}, fmt.Errorf("%s: could not be reached", r.o.Name)
	}
	defer resp.Body.Close()
	return receipt, r.answer(resp, scrub)
}

// receiptOf keeps the labels of alerts, by which Alertmanager knows them.
func receiptOf(alerts []alert) (notify.Receipt, error) {
	var told []map[string]string
	for _, a := range alerts {
		told = append(told, a.Labels)
	}
	b, err := json.Marshal(told)
	return notify.Receipt{Channel: "alerts", Ref: string(b)}, err
}

// outdated ends the alerts that were told and are not among those now. What an older version told has no labels to know.
func (r *Receiver) outdated(told notify.Receipt, alerts []alert) (ended []alert) {
	var before []map[string]string
	if json.Unmarshal([]byte(told.Ref), &before) != nil {
		return nil
	}
	for _, labels := range before {
		if !slices.ContainsFunc(alerts, func(a alert) bool { return maps.Equal(a.Labels, labels) }) {
			ended = append(ended, alert{Labels: labels, Annotations: map[string]string{}, EndsAt: r.ended(r.o.Now())})
		}
	}
	return ended
}

func (r *Receiver) signIn(ctx context.Context, req *http.Request) (secret.Scrubber, error) {
	read := r.o.Token
	if read == nil {
		read = r.o.Password
	}
	if read == nil {
		return secret.Scrubber{}, nil
	}
	v, err := read(ctx)
	if err != nil {
		return secret.Scrubber{}, err
	}
	if r.o.Token != nil {
		req.Header.Set("Authorization", "Bearer "+v.Reveal())
	} else {
		req.SetBasicAuth(r.o.Username, v.Reveal())
	}
	return secret.NewScrubber(v), nil
}

func (r *Receiver) answer(resp *http.Response, scrub secret.Scrubber) error {
	if resp.StatusCode/100 == 2 {
		return nil
	}
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	err := fmt.Errorf("%s: HTTP %d: %s", r.o.Name, resp.StatusCode, scrub.Clean(strings.TrimSpace(string(text)), 200))
	switch s := resp.StatusCode; {
	case s == http.StatusTooManyRequests:
		after, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
		return &notify.RetryError{After: time.Duration(max(after, 5)) * time.Second, Err: err}
	case s == http.StatusUnauthorized || s == http.StatusForbidden:
		return &notify.RefusedError{Err: err, NeedsPerson: true, Fix: "mend token, or username and password, of the receiver"}
	case s == http.StatusBadRequest:
		return &notify.RefusedError{Err: err, OnlyThis: true}
	case s >= 500:
		return err
	}
	return &notify.RefusedError{Err: err, NeedsPerson: true, Fix: "look at url of the receiver: /api/v2/alerts is added to it"}
}

func (r *Receiver) alert(f finding.Finding, burst notify.Words) alert {
	w := notify.Describe(f)
	a := alert{
		Labels:      map[string]string{"alertname": alertName(f.Kind), "severity": string(f.Severity), "kind": string(f.Kind)},
		Annotations: map[string]string{"summary": w.Title},
		StartsAt:    f.OpenedAt, EndsAt: r.o.Now().Add(expires), GeneratorURL: burst.Link,
	}
	for name, v := range map[string]string{"provider": f.Subject.Provider, "credential": f.Subject.Credential, "owner": f.About.Owner} {
		if v != "" {
			a.Labels[name] = v
		}
	}
	for name, v := range f.About.Labels {
		a.Labels["label_"+notInName.ReplaceAllString(name, "_")] = v
	}
	if f.ID > 0 { // a sample has none
		a.Annotations["finding"] = strconv.FormatInt(f.ID, 10)
	}
	var lines []string
	if w.Effect != "" {
		lines = append(lines, w.Effect)
	}
	lines = append(lines, w.Steps...)
	for _, fact := range w.Facts {
		lines = append(lines, fact.Label+": "+fact.Text)
	}
	if f.State == finding.Acknowledged {
		lines = append(lines, w.State)
	}
	a.Annotations["description"] = strings.Join(lines, "\n")
	if w.Guide != "" {
		a.Annotations["runbook_url"] = w.Guide
	}
	switch f.State {
	case finding.Resolved:
		a.EndsAt = r.ended(f.ResolvedAt)
	case finding.Snoozed: // it fires again when that ends
		a.EndsAt = r.ended(r.o.Now())
	}
	return a
}

// ended is at, or a little earlier, so that it is over by Alertmanager's clock too: an end that is still ahead loses
// against the later one that was sent before.
func (r *Receiver) ended(at time.Time) time.Time {
	if latest := r.o.Now().Add(-maxSkew); at.After(latest) {
		return latest
	}
	return at
}

var notInName = regexp.MustCompile(`[^a-zA-Z0-9_]`)

// alertName is a kind as alerts are named: KeyroundsScopeLost.
func alertName(k finding.Kind) string {
	name := "Keyrounds"
	for part := range strings.SplitSeq(string(k), "_") {
		name += strings.ToUpper(part[:1]) + part[1:]
	}
	return name
}
