package checker

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/time/rate"

	"github.com/keyrounds/keyrounds/outbound"
	"github.com/keyrounds/keyrounds/secret"
)

// Checker checks credentials. It is safe for concurrent use. All that it remembers is the metadata of issuers: for an
// hour, and for a day where it cannot be read again.
type Checker struct {
	userAgent  string
	now        func() time.Time
	dial       outbound.Dial // nil: the guarded one
	discovered discovered
}

// Options are options of New. The zero value is ready for use.
type Options struct {
	Version string           // in the User-Agent; default "dev"
	Now     func() time.Time // default time.Now
	Dial    outbound.Dial    // instead of the network, for tests: no address is guarded then
}

// New makes a Checker. It makes no request yet, and there is nothing to close.
func New(o Options) *Checker {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Checker{
		userAgent: "keyrounds/" + first(o.Version, "dev") + " (+https://github.com/keyrounds/keyrounds)",
		now:       o.Now,
		dial:      o.Dial,
	}
}

// Check exchanges t's credential for a token at p (RFC 6749 §4.4), which must be complete (Provider.Complete), and
// tries its probes. It is CheckAll for one target.
//
// Whatever goes wrong is in the result, which always has an outcome. Where ctx ends before the exchange, that is
// Unreachable with the reason TimedOut.
func (c *Checker) Check(ctx context.Context, p Provider, t Target) Result {
	if all := c.CheckAll(ctx, nil, p, []Target{t}); len(all) == 1 {
		return all[0]
	}
	r := c.start(p, t)
	r.Reading = noAnswer(context.Canceled)
	return r
}

// CheckAll checks ts at one provider, which must be complete, at most p.Concurrency at once and p.Rate a second. Each
// request has Timeout and is made once; no redirect is followed.
//
// When stop closes, ctx ends, or the provider asks to be left alone for more than LongestPause, no further check
// begins. When stop closes, exchanges under way end, and what follows them (introspection, probes, revocation) is cut
// short; the end of ctx cuts exchanges short as well. A nil stop never closes.
//
// The results are those of the checks that began, in the order of ts. Where p cannot be asked at all, since its proxy
// or TLS cannot be used or its issuer's metadata cannot be read, every target has a result that says so. Where p has
// an issuer and something was Rejected, its metadata is asked for once more: if that fails too, the refusals become
// ProviderError or Misconfigured. A panic becomes a result with the reason InternalError.
func (c *Checker) CheckAll(ctx context.Context, stop <-chan struct{}, p Provider, ts []Target) []Result {
	// A stop ends what can be left out, never an exchange.
	optional, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-stop:
			cancel()
		case <-optional.Done():
		}
	}()
	client, err := c.newClient(p, nil)
	if err != nil {
		return c.Fail(p, ts, err)
	}
	defer client.CloseIdleConnections()
	whole, bad := c.complete(optional, client, p)
	if bad != nil {
		return c.fail(p, ts, *bad)
	}
	var (
		b       = batch{c, client, whole, optional, p.TokenURL == ""}
		results = make([]*Result, len(ts))
		turn    = turn{limit: rate.NewLimiter(p.Rate, 1), slots: make(chan struct{}, max(1, p.Concurrency))}
		wait    sync.WaitGroup
	)
	for i, t := range ts {
		waits, ok := turn.take(optional)
		if !ok {
			break
		}
		wait.Go(func() {
			defer func() { <-turn.slots }()
			results[i] = b.checkSafely(ctx, t)
			if results[i] != nil {
				results[i].Waits = waits
			}
			turn.hold.ask(results[i])
		})
	}
	wait.Wait()
	b.control(optional, results, ts)
	for _, r := range results {
		if r != nil {
			r.cleanTrace(secret.Scrubber{}) // what control noted
		}
	}
	var done []Result
	for _, r := range results {
		if r != nil {
			done = append(done, *r)
		}
	}
	return done
}

// Token exchanges t's credential for a token at p, which must be complete, and hands the token over, for those who
// use it: the feeds. It tries no probe, does not revoke the token, and shows no client certificate. The caller wipes
// the token.
//
// The zero Value: there was none, and the result says why. A secret that cannot be read is Misconfigured without a
// reason here.
func (c *Checker) Token(ctx context.Context, p Provider, t Target) (secret.Value, Result) {
	r := c.start(p, t)
	client, err := c.newClient(p, nil)
	if err != nil {
		return secret.Value{}, c.Fail(p, []Target{t}, err)[0]
	}
	defer client.CloseIdleConnections()
	whole, bad := c.complete(ctx, client, p)
	if bad != nil {
		return secret.Value{}, c.fail(p, []Target{t}, *bad)[0]
	}
	value, err := t.Secret(ctx)
	if err != nil {
		return secret.Value{}, c.Fail(p, []Target{t}, err)[0]
	}
	defer value.Wipe()
	auth, err := authenticate(whole, t.Credential, value, c.now())
	if err != nil {
		return secret.Value{}, c.Fail(p, []Target{t}, err)[0]
	}
	token := c.exchange(ctx, client, whole, t.Credential, auth, nil, &r)
	r.clean(secret.NewScrubber(append(auth.sent, token)...))
	return token, r
}

// Fail returns one result for each of ts, in their order, that says that nothing could be checked: Misconfigured,
// without a reason, with err as its message. It makes no request. No secret is known here to be scrubbed, so err must
// hold none.
func (c *Checker) Fail(p Provider, ts []Target, err error) []Result {
	return c.fail(p, ts, says(Misconfigured, "", "provider", "%v", err))
}

func (c *Checker) fail(p Provider, ts []Target, why Reading) []Result {
	var all []Result
	for _, t := range ts {
		r := c.start(p, t)
		r.Reading = why
		r.clean(secret.Scrubber{})
		all = append(all, r)
	}
	return all
}

func (c *Checker) start(p Provider, t Target) Result {
	id := t.ID
	if id == uuid.Nil {
		id = uuid.Must(uuid.NewV7())
	}
	return Result{
		ID: id, CredentialID: t.Credential.ID, Credential: t.Credential.Name, Provider: p.Name, At: c.now(), Setup: p.setup(),
		Expires: t.Credential.Expires,
	}
}

// batch is what the checks of one CheckAll share.
type batch struct {
	*Checker
	client   *http.Client
	provider Provider // with the endpoints that its issuer names
	optional context.Context
	byIssuer bool // the token endpoint is the issuer's word
}

// checkSafely turns a panic into a result, so that one answer never costs a batch. The panic's
// text is dropped: it may hold anything.
func (b batch) checkSafely(ctx context.Context, t Target) (r *Result) {
	defer func() {
		if recover() != nil {
			failed := b.start(b.provider, t)
			failed.Reading = says(Misconfigured, InternalError, "panic", "keyrounds failed while it checked; this is a fault of keyrounds")
			r = &failed
		}
	}()
	return b.check(ctx, t)
}

// check returns nil where it was stopped before the exchange.
func (b batch) check(ctx context.Context, t Target) *Result {
	r := b.start(b.provider, t)
	defer r.took(time.Now())
	value, err := t.Secret(b.optional)
	if err != nil {
		if b.optional.Err() != nil {
			return nil
		}
		r.Reading = says(Misconfigured, SecretUnreadable, "secret", "%v", err)
		r.clean(secret.Scrubber{})
		return &r
	}
	defer value.Wipe()
	r.Ends = endOf(value)
	auth, err := authenticate(b.provider, t.Credential, value, b.now())
	if err != nil {
		return b.unusable(r, value, err)
	}
	client, cert := b.client, (*certificate)(nil)
	if b.provider.AuthMethod.showsCertificate() {
		if cert, err = readCertificate(value); err != nil {
			return b.unusable(r, value, err)
		}
		own, err := b.newClient(b.provider, cert)
		if err != nil {
			return b.unusable(r, value, err)
		}
		defer own.CloseIdleConnections()
		client = own
	}
	r.trace("POST %s with %s", b.provider.TokenURL, b.provider.AuthMethod)
	token := b.exchange(ctx, client, b.provider, t.Credential, auth, cert, &r)
	defer token.Wipe()
	r.blameUs(b.provider, t, value, cert)
	r.trace("read as %s %s by: %s", r.Outcome, r.Reason, ours(r.Rule))
	if !token.IsZero() {
		b.introspect(b.optional, client, b.provider, t.Credential, value, token, &r)
		b.probe(b.optional, client, b.provider, t.Credential, token, &r)
		r.unproven(b.provider, t.Credential)
		b.revoke(b.optional, client, b.provider, t.Credential, value, token, &r)
	}
	r.clean(secret.NewScrubber(append(auth.sent, token)...))
	return &r
}

// unusable: the secret was read, and cannot be what this provider wants.
func (b batch) unusable(r Result, value secret.Value, err error) *Result {
	r.Reading = says(Misconfigured, SecretUnreadable, "client authentication", "%v", err)
	r.clean(secret.NewScrubber(value))
	return &r
}

// The most characters that are kept of a provider's text.
const (
	maxCode        = 64
	maxDescription = 500
	maxScopes      = 500
)

// clean scrubs all that came from outside, once, before anything else sees it.
func (r *Result) clean(s secret.Scrubber) {
	r.ErrorCode = s.Clean(r.ErrorCode, maxCode)
	r.ErrorDescription = s.Clean(r.ErrorDescription, maxDescription)
	if r.Outcome != Rejected || r.Message != refusals[r.Reason] {
		r.Message = s.Clean(r.Message, maxDescription)
	}
	for _, list := range []*[]string{&r.Granted, &r.Missing, &r.Extra, &r.Unproven} {
		if len(*list) > maxScopes {
			*list = (*list)[:maxScopes]
		}
		for i := range *list {
			(*list)[i] = s.Clean((*list)[i], maxDescription)
		}
	}
	r.cleanTrace(s)
	for i := range r.Probes {
		r.Probes[i].Message = s.Clean(r.Probes[i].Message, maxDescription)
	}
}
