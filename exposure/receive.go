package exposure

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/keyrounds/keyrounds/leak"
	"github.com/keyrounds/keyrounds/leak/intake"
	"github.com/keyrounds/keyrounds/outbound"
	"github.com/keyrounds/keyrounds/postgres"
	"github.com/keyrounds/keyrounds/secret"
)

// What comes in at POST /api/v1/leaks/NAME: signature first, then the record, then all else.

// LeakReport is a delivery of another scanner, or a security event token.
type LeakReport struct {
	Reporter string // the end of the URL: a webhook or a transmitter
	Address  string // whom it came from
	Header   http.Header
	Body     []byte
	Quiet    bool // where it is refused that is counted, and neither logged nor recorded: its sender has been so too often
}

// Reported is what a report came to.
type Reported struct {
	Findings   int  `json:"findings"`
	Registered int  `json:"registered"`
	Foreign    int  `json:"foreign"`
	Waiting    bool `json:"waiting,omitempty"`   // it is in order, and will be read later
	Duplicate  bool `json:"duplicate,omitempty"` // it was taken in before, and was not again
	Token      bool `json:"-"`                   // it is a security event token, whose answer is empty (RFC 8935 §2.2)
}

// ErrNoReporter says that nothing of that name is configured.
var ErrNoReporter = errors.New("no webhook or transmitter has that name")

// Receive verifies a report, holds it against the registry, and writes down what it came to. What is not from whom it
// should be is *intake.RefusedError or *intake.SETError, what cannot be read *intake.FormatError, an unknown reporter
// ErrNoReporter, and all else worth sending again.
func (x *Exposure) Receive(ctx context.Context, r LeakReport) (Reported, error) {
	got, err := x.receive(ctx, r)
	result := "ok"
	var (
		refused *intake.RefusedError
		token   *intake.SETError
		format  *intake.FormatError
	)
	switch {
	case err == nil && got.Waiting:
		result = "waiting"
	case err == nil && got.Duplicate: // a person had it delivered again, or its sender got no answer
		result = "duplicate"
	case err == nil:
	case errors.Is(err, ErrNoReporter):
		return got, err // its name is anybody's: neither a label nor a record
	case errors.As(err, &refused), errors.As(err, &token):
		result = "refused"
	case errors.As(err, &format):
		result = "malformed"
	default:
		result, err = "failed", postgres.Plain(err)
	}
	x.received.WithLabelValues(r.Reporter, result).Inc()
	if result == "refused" && !r.Quiet {
		x.Log.Warn("a report was refused", "reporter", r.Reporter, "address", r.Address, "error", err)
		what := map[string]any{"address": r.Address, "why": err.Error()}
		if err := x.Audit.Note(ctx, "reporter "+r.Reporter, "leaks.refused", "keyrounds", what); err != nil {
			x.Log.Error("a refused report could not be recorded", "error", err)
		}
	}
	return got, err
}

// reportResults are the results of reports, as the metric names them.
var reportResults = []string{"ok", "duplicate", "waiting", "refused", "malformed", "failed"}

// ShowReporters has every reporter count from zero, so that Prometheus sees its first report. A daemon does so at its
// start and after each reload; commands receive nothing.
func (x *Exposure) ShowReporters() {
	c := x.settings.Load()
	for _, r := range reportResults {
		for _, w := range c.Webhooks {
			x.received.WithLabelValues(w.Name, r)
		}
		for _, t := range c.Transmitters {
			x.received.WithLabelValues(t.Name, r)
		}
	}
}

func newReceivedMetric(reg prometheus.Registerer) *prometheus.CounterVec {
	m := prometheus.NewCounterVec(
		prometheus.CounterOpts{
			Name: "keyrounds_leak_reports_total",
			Help: "Reports of leaks that came in, by reporter and result: ok, duplicate (taken in before), waiting (until its alert " +
				"can be fetched), refused (signature), malformed or failed.",
		},
		[]string{"reporter", "result"},
	)
	reg.MustRegister(m)
	return m
}

func (x *Exposure) receive(ctx context.Context, r LeakReport) (Reported, error) {
	c := x.settings.Load()
	if i := slices.IndexFunc(c.Webhooks, func(w intake.Webhook) bool { return w.Name == r.Reporter }); i >= 0 {
		return x.receiveWebhook(ctx, c.Webhooks[i], r)
	}
	if i := slices.IndexFunc(c.Transmitters, func(t intake.Transmitter) bool { return t.Name == r.Reporter }); i >= 0 {
		return Reported{Token: true}, x.receiveToken(ctx, c.Transmitters[i], r)
	}
	return Reported{}, ErrNoReporter
}

func (x *Exposure) receiveWebhook(ctx context.Context, w intake.Webhook, r LeakReport) (got Reported, err error) {
	key, err := x.webhookKey(ctx, w)
	if err != nil {
		return got, err
	}
	if err := w.Verify(r.Header, r.Body, key, x.Now()); err != nil {
		return got, err
	}
	if was, err := x.Leaks.WasDelivered(ctx, w.Name, r.Body); err != nil || was {
		return Reported{Duplicate: was}, err
	}
	got, err = x.readDelivery(ctx, w, r.Header, r.Body)
	var fetch *intake.FetchError
	switch {
	case errors.As(err, &fetch):
		return Reported{Waiting: true}, x.wait(ctx, w, r, fetch)
	case errors.Is(err, errTakenBefore):
		return Reported{Duplicate: true}, nil
	}
	return got, err
}

// readDelivery takes in what was verified.
func (x *Exposure) readDelivery(ctx context.Context, w intake.Webhook, header http.Header, body []byte) (got Reported, err error) {
	all, err := w.Read(ctx, header, body, x.fetcher(w))
	if err != nil {
		return got, err
	}
	if err := x.learnAgain(ctx); err != nil {
		return got, err
	}
	t, err := x.matched(ctx, all)
	if err != nil {
		return got, err
	}
	_, err = x.addEvidence(ctx, arrival{
		actor: "reporter " + w.Name, action: "leaks.reported", evidence: t.Evidence,
		detail: map[string]any{"findings": t.Findings, "matched": t.Matched, "foreign": t.Foreign},
		once: func(ctx context.Context, tx pgx.Tx) (bool, error) {
			return x.Leaks.Delivered(ctx, tx, w.Name, body, t, x.Now())
		},
	})
	return Reported{Findings: t.Findings, Registered: t.Matched, Foreign: t.Foreign}, err
}

// matched compares findings with what is registered: by fingerprint, and where that knows nothing by searching their texts, for which
// the secrets are read.
func (x *Exposure) matched(ctx context.Context, all []intake.Reported) (t leak.Taken, err error) {
	var known *knower
	for _, rep := range all {
		before := t
		if err := x.Leaks.Match(ctx, rep, &t); err != nil {
			return t, err
		}
		if known == nil && (len(t.Evidence) > 0 || len(rep.Texts) > 0 || rep.SHA1 != "") {
			if known, err = x.learn(ctx); err != nil {
				return t, err
			}
		}
		if t.Matched == before.Matched && known != nil && known.widen(&rep) {
			t = before
			if err := x.Leaks.Match(ctx, rep, &t); err != nil {
				return t, err
			}
		}
	}
	for i, ev := range t.Evidence {
		t.Evidence[i] = ev.Masked(known.scanner.Mask)
	}
	return t, nil
}

func (x *Exposure) receiveToken(ctx context.Context, t intake.Transmitter, r LeakReport) error {
	kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	if !strings.EqualFold(strings.TrimSpace(kind), "application/secevent+jwt") {
		return &intake.SETError{Code: "invalid_request", Description: "the Content-Type is not application/secevent+jwt (RFC 8935 §2.1)"}
	}
	verify, err := x.verifier(t)
	if err != nil {
		return err
	}
	s, err := t.Read(ctx, verify, string(r.Body), x.Now())
	if err != nil {
		return err
	}
	creds, err := x.Registry.OfClients(ctx, x.Pool, t.Provider, s.Subjects)
	if err != nil {
		return err
	}
	if err := x.learnAgain(ctx); err != nil {
		return err
	}
	got := arrival{actor: "reporter " + t.Name, action: "leaks.signalled"}
	kinds := []string{}
	for _, e := range s.Events {
		kinds = append(kinds, strings.TrimSuffix(e.Type+" "+e.Change, " "))
	}
	matched := 0
	for _, c := range creds {
		if !c.Retired.IsZero() {
			continue
		}
		evidence, soon := leak.EvidenceOfSignal(s, t, c.ID, c.Changed)
		got.evidence = append(got.evidence, evidence...)
		if matched++; soon {
			got.soon = append(got.soon, c.ID)
		}
	}
	counts := leak.Taken{Matched: matched}
	if matched == 0 {
		counts.Foreign = 1
	}
	got.detail = map[string]any{"events": kinds, "matched": matched}
	got.once = func(ctx context.Context, tx pgx.Tx) (bool, error) {
		return x.Leaks.Delivered(ctx, tx, t.Name, []byte("jti "+s.ID), counts, x.Now())
	}
	if _, err := x.addEvidence(ctx, got); !errors.Is(err, errTakenBefore) {
		return err
	}
	return nil // a transmitter sends again what it got no answer to (RFC 8935 §2)
}

const (
	fetchTime   = 8 * time.Second
	maxDocument = 1 << 20
	keysAge     = time.Hour
)

// webhookKey is what a delivery's signature is checked with.
func (x *Exposure) webhookKey(ctx context.Context, w intake.Webhook) ([]byte, error) {
	if w.Type != intake.GitHubPartner {
		v, err := secret.Resolve(ctx, w.Secret)
		return []byte(v.Reveal()), err
	}
	if filepath.IsAbs(w.Keys) {
		return os.ReadFile(w.Keys)
	}
	x.keys.mu.Lock()
	defer x.keys.mu.Unlock()
	if k, has := x.keys.documents[w.Keys]; has && x.Now().Sub(k.at) < keysAge {
		return k.body, nil
	}
	body, err := x.fetch(ctx, w.Keys, secret.Value{}, w.AllowPrivateNetworks)
	if err != nil {
		return nil, fmt.Errorf("the public keys: %w", err)
	}
	if x.keys.documents == nil {
		x.keys.documents = map[string]document{}
	}
	x.keys.documents[w.Keys] = document{body, x.Now()}
	return body, nil
}

// publicKeys are those of senders, as they were last fetched.
type publicKeys struct {
	mu        sync.Mutex
	documents map[string]document
	sets      map[intake.Transmitter]*oidc.RemoteKeySet
}

type document struct {
	body []byte
	at   time.Time
}

func (x *Exposure) fetcher(w intake.Webhook) intake.Fetch {
	return func(ctx context.Context, url string, auth bool) ([]byte, error) {
		var token secret.Value
		if auth {
			var err error
			if token, err = secret.Resolve(ctx, w.Token); err != nil {
				return nil, err
			}
			defer token.Wipe()
		}
		return x.fetch(ctx, url, token, w.AllowPrivateNetworks)
	}
}

// fetch gets a document from an address that the configuration names.
func (x *Exposure) fetch(ctx context.Context, url string, token secret.Value, private bool) ([]byte, error) {
	client, err := outbound.Client(documents(private))
	if err != nil {
		return nil, err
	}
	defer client.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, errors.New("not a URL")
	}
	req.Header.Set("User-Agent", "keyrounds/"+x.Version)
	req.Header.Set("Accept", "application/json")
	if !token.IsZero() {
		req.Header.Set("Authorization", "Bearer "+token.Reveal())
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("HTTP %d", resp.StatusCode)
	}
	return io.ReadAll(resp.Body)
}

// documents is how those of senders of reports are fetched: alerts and public keys.
func documents(private bool) outbound.Policy {
	return outbound.Policy{AllowPrivate: private, Timeout: fetchTime, MaxBody: maxDocument}
}

// verifier checks signatures with a transmitter's keys, which are fetched again when an unknown one is named.
func (x *Exposure) verifier(t intake.Transmitter) (intake.Verify, error) {
	x.keys.mu.Lock()
	defer x.keys.mu.Unlock()
	set, has := x.keys.sets[t]
	if !has {
		client, err := outbound.Client(documents(t.AllowPrivateNetworks))
		if err != nil {
			return nil, err
		}
		set = oidc.NewRemoteKeySet(oidc.ClientContext(context.Background(), client), t.JWKSURL)
		if x.keys.sets == nil {
			x.keys.sets = map[intake.Transmitter]*oidc.RemoteKeySet{}
		}
		x.keys.sets[t] = set
	}
	return set.VerifySignature, nil
}
