package checker

import (
	"context"
	"encoding/base64"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/keyrounds/keyrounds/secret"
)

// Checker checks credentials. It is safe for concurrent use.
type Checker struct {
	userAgent string
	now       func() time.Time
}

// Options of New. The zero value is ready for use.
type Options struct {
	Version string           // in the User-Agent; default "dev"
	Now     func() time.Time // default time.Now
}

// New makes a Checker.
func New(o Options) *Checker {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Checker{"keyrounds/" + first(o.Version, "dev") + " (+https://github.com/keyrounds/keyrounds)", o.Now}
}

// Check exchanges t's credential for a token at p, which must be complete, and tries its probes.
// Whatever goes wrong is in the result.
func (c *Checker) Check(ctx context.Context, p Provider, t Target) Result {
	if all := c.CheckAll(ctx, nil, p, []Target{t}); len(all) == 1 {
		return all[0]
	}
	r := c.start(p, t)
	r.Reading = noAnswer(context.Canceled)
	return r
}

// CheckAll checks ts at one provider, at most p.Concurrency at once and p.Rate a second.
//
// When stop closes, no further check begins; those under way end. The results are those of the
// checks that began, in the order of ts. A nil stop never closes. The secrets in ts are wiped.
func (c *Checker) CheckAll(ctx context.Context, stop <-chan struct{}, p Provider, ts []Target) []Result {
	client, release, err := newClient(p)
	if err == nil {
		defer release()
	}
	var (
		results = make([]*Result, len(ts))
		limit   = rate.NewLimiter(p.Rate, 1)
		slots   = make(chan struct{}, max(1, p.Concurrency))
		wait    sync.WaitGroup
	)
	// A stop ends the wait for the rate, never a check.
	waiting, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-stop:
			cancel()
		case <-waiting.Done():
		}
	}()
	for i, t := range ts {
		if err != nil {
			r := c.start(p, t)
			r.Reading = says(Misconfigured, "", "provider", "%v", err)
			results[i] = &r
			continue
		}
		select {
		case slots <- struct{}{}:
		case <-waiting.Done():
		}
		if t.SecretErr == nil && limit.Wait(waiting) != nil || waiting.Err() != nil {
			break
		}
		results[i] = &Result{}
		wait.Go(func() {
			defer func() { <-slots }()
			*results[i] = c.checkSafely(ctx, client, p, t)
			t.Secret.Wipe()
		})
	}
	wait.Wait()
	var done []Result
	for _, r := range results {
		if r != nil {
			done = append(done, *r)
		}
	}
	return done
}

func (c *Checker) start(p Provider, t Target) Result {
	return Result{CredentialID: t.Credential.ID, Credential: t.Credential.Name, Provider: p.Name, At: c.now()}
}

// checkSafely turns a panic into a result, so that one answer never costs a batch. The panic's
// text is dropped: it may hold anything.
func (c *Checker) checkSafely(ctx context.Context, client *http.Client, p Provider, t Target) (r Result) {
	defer func() {
		if recover() != nil {
			r = c.start(p, t)
			r.Reading = says(Misconfigured, InternalError, "panic", "keyrounds failed while it checked; this is a fault of keyrounds")
		}
	}()
	return c.check(ctx, client, p, t)
}

func (c *Checker) check(ctx context.Context, client *http.Client, p Provider, t Target) Result {
	r := c.start(p, t)
	if t.SecretErr != nil {
		r.Reading = says(Misconfigured, SecretUnreadable, "secret", "%v", t.SecretErr)
		return r
	}
	r.trace("POST %s with %s", p.TokenURL, p.AuthMethod)
	token := c.exchange(ctx, client, p, t, &r)
	r.trace("read as %s %s by: %s", r.Outcome, r.Reason, r.Rule)
	if !token.IsZero() {
		c.probe(ctx, client, p, t, token, &r)
	}
	r.clean(secret.NewScrubber(t.Secret, token, basicAuth(t)))
	token.Wipe()
	return r
}

// basicAuth is the whole value of an Authorization header, which a provider may echo.
func basicAuth(t Target) secret.Value {
	return secret.New([]byte(base64.StdEncoding.EncodeToString([]byte(t.Credential.ClientID + ":" + t.Secret.Reveal()))))
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
	r.Message = s.Clean(r.Message, maxDescription)
	for _, list := range []*[]string{&r.Granted, &r.Missing, &r.Extra, &r.Trace} {
		if len(*list) > maxScopes {
			*list = (*list)[:maxScopes]
		}
		for i := range *list {
			(*list)[i] = s.Clean((*list)[i], maxDescription)
		}
	}
	for i := range r.Probes {
		r.Probes[i].Message = s.Clean(r.Probes[i].Message, maxDescription)
	}
}
