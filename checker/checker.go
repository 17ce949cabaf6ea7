package checker

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/keyrounds/keyrounds/outbound"
	"github.com/keyrounds/keyrounds/secret"
)

// Checker checks credentials. It is safe for concurrent use. All that it remembers is the metadata of issuers: for an
// hour, and for a day where it cannot be read again; and the connections to providers, for minutes.
type Checker struct {
	userAgent  string
	now        func() time.Time
	dial       outbound.Dial // nil: the guarded one
	discovered discovered
	clients    keptClients
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
// tries its probes; of an APIKey it tries the probes alone. It is CheckAll for one target.
//
// Whatever goes wrong is in the result, which always has an outcome. Where ctx ends before the exchange, that is
// Unreachable with the reason TimedOut.
func (c *Checker) Check(ctx context.Context, p Provider, t Target) Result {
	if all := c.CheckAll(ctx, nil, p, []Target{t}); len(all) == 1 {
		return all[0]
	}
	r := c.start(p, p.setup(), t)
	r.Reading = noAnswer(context.Canceled)
	return r
}

// Token exchanges t's credential for a token at p, which must be complete, and hands the token over, for those who
// use it: the feeds. It tries no probe, does not revoke the token, and shows no client certificate. The caller wipes
// the token.
//
// The zero Value: there was none, and the result says why; or t's credential is an API key, which is checked instead. A
// secret that cannot be read is Misconfigured without a reason here.
func (c *Checker) Token(ctx context.Context, p Provider, t Target) (secret.Value, Result) {
	p.DPoP = false // a bound token is of no use without the key that it is bound to
	r := c.start(p, p.setup(), t)
	if p.Kind == APIKey {
		return secret.Value{}, c.Check(ctx, p, t)
	}
	client, err := c.kept(p)
	if err != nil {
		return secret.Value{}, c.Fail(p, []Target{t}, err)[0]
	}
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
	defer auth.wipe()
	if err := whole.readBeside(ctx, &auth); err != nil {
		return secret.Value{}, c.Fail(p, []Target{t}, err)[0]
	}
	token := c.exchange(ctx, client, whole, t.Credential, auth, nil, nil, &r)
	r.clean(scrubbingOf(func() []secret.Value { return append(auth.sent(), token) }), t.Credential.Scopes)
	return token, r
}

// Fail returns one result for each of ts, in their order, that says that nothing could be checked: Misconfigured,
// without a reason, with err as its message. It makes no request. No secret is known here to be scrubbed, so err must
// hold none.
func (c *Checker) Fail(p Provider, ts []Target, err error) []Result {
	return c.fail(p, ts, says(Misconfigured, "", "provider", "%v", err))
}

func (c *Checker) fail(p Provider, ts []Target, why Reading) []Result {
	all, setup := make([]Result, 0, len(ts)), p.setup()
	for _, t := range ts {
		r := c.start(p, setup, t)
		r.Reading = why
		r.clean(noSecret, nil)
		all = append(all, r)
	}
	return all
}

func (c *Checker) start(p Provider, setup string, t Target) Result {
	id := t.ID
	if id == uuid.Nil {
		id = uuid.Must(uuid.NewV7())
	}
	r := Result{
		ID: id, CredentialID: t.Credential.ID, Credential: t.Credential.Name, Provider: p.Name, At: c.now(), Setup: setup,
		Expires: t.Credential.Expires,
	}
	if !t.Quiet {
		r.Trace = []string{}
	}
	return r
}

// batch is what the checks of one Session share.
type batch struct {
	*Checker
	client   *http.Client
	provider Provider // with the endpoints that its issuer names
	setup    string
	optional context.Context
	byIssuer bool // the token endpoint is the issuer's word
}

// checkSafely turns a panic into a result, so that one answer never costs a batch. The panic's
// text is dropped: it may hold anything.
func (b batch) checkSafely(ctx context.Context, t Target) (r *Result) {
	defer func() {
		if recover() != nil {
			failed := b.start(b.provider, b.setup, t)
			failed.Reading = says(Misconfigured, InternalError, "panic", "keyrounds failed while it checked; this is a fault of keyrounds")
			r = &failed
		}
	}()
	return b.check(ctx, t)
}

// check returns nil where it was stopped before the exchange.
func (b batch) check(ctx context.Context, t Target) *Result {
	r := b.start(b.provider, b.setup, t)
	defer r.took(time.Now())
	if t.Begin != nil && !t.Begin() {
		return nil
	}
	value, err := t.Secret(b.optional)
	if err != nil {
		if b.optional.Err() != nil {
			return nil
		}
		r.Reading = says(Misconfigured, SecretUnreadable, "secret", "%v", err)
		r.clean(noSecret, nil)
		return &r
	}
	defer value.Wipe()
	r.Ends = endOf(value)
	a := Asking{b, &r, t, value, b.client, []secret.Value{value}}
	defer func() {
		for _, v := range a.sent {
			v.Wipe()
		}
	}()
	methods[first(b.provider.Kind, ClientCredentials)](ctx, &a)
	r.clean(scrubbingOf(func() []secret.Value { return a.sent }), t.Credential.Scopes)
	return &r
}

// byToken is the Method of ClientCredentials: the exchange, and what the token shows.
func byToken(ctx context.Context, a *Asking) {
	p, cred, value := a.provider, a.target.Credential, a.secret
	auth, err := authenticate(p, cred, value, a.now())
	if err == nil {
		err = p.readBeside(a.optional, &auth)
	}
	if err != nil {
		a.sent = auth.sent()
		a.unusable(err)
		return
	}
	cert := (*certificate)(nil)
	if p.AuthMethod.showsCertificate() {
		if cert, err = readCertificate(value); err != nil {
			a.unusable(err)
			return
		}
		own, err := a.newClient(p, cert)
		if err != nil {
			a.unusable(err)
			return
		}
		defer own.CloseIdleConnections()
		a.client = own
	}
	var proof *prover
	if p.DPoP {
		if proof, err = newProver(a.now); err != nil {
			a.unusable(err)
			return
		}
	}
	a.trace("POST %s with %s", p.TokenURL, ours(p.Way()))
	token := a.exchange(ctx, a.client, p, cred, auth, cert, proof, a.Result)
	a.sent = append(auth.sent(), token)
	a.blameUs(p, a.target, value, cert)
	if a.Outcome == ScopeDenied {
		a.Missing = refusedOf(a.ErrorDescription, cred.Scopes)
	}
	a.trace("read as %s %s by: %s", a.Outcome, a.Reason, ours(a.Rule))
	if token.IsZero() {
		return
	}
	a.introspect(a.optional, a.client, p, cred, value, token, a.Result)
	a.probe(a.optional, a.client, p, cred, proof, proof.shows(token), a.Result)
	a.unproven(p, cred)
	a.revoke(a.optional, a.client, p, cred, value, token, a.Result)
}

// unusable: the secret was read, and cannot be what this provider wants.
func (a *Asking) unusable(err error) {
	a.Reading = says(Misconfigured, SecretUnreadable, "client authentication", "%v", err)
}

// The most characters that are kept of a provider's text.
const (
	maxCode        = 64
	maxDescription = 500
	maxScopes      = 500
)

// clean scrubs all that came from outside, once, before anything else sees it. Scopes that are declared are ours.
func (r *Result) clean(s scrubbing, declared []string) {
	r.ErrorCode = s.cleaned(r.ErrorCode, maxCode)
	r.ErrorDescription = s.cleaned(r.ErrorDescription, maxDescription)
	own := r.Message == issued || r.Message == keyWorks ||
		r.Outcome == Rejected && (r.Message == refusals[r.Reason] || r.Message == keyRefusals[r.Reason])
	if !own {
		r.Message = s.cleaned(r.Message, maxDescription)
	}
	for _, list := range []*[]string{&r.Granted, &r.Missing, &r.Extra, &r.Unproven} {
		if len(*list) > maxScopes {
			*list = (*list)[:maxScopes]
		}
		for i := range *list {
			if !slices.Contains(declared, (*list)[i]) {
				(*list)[i] = s.cleaned((*list)[i], maxDescription)
			}
		}
	}
	r.cleanTrace(s)
	for i := range r.Probes {
		r.Probes[i].Message = s.cleaned(r.Probes[i].Message, maxDescription)
	}
}
