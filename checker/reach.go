package checker

import (
	"context"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"time"
)

// Reached is what is seen of a provider without asking it for a token.
type Reached struct {
	Reading           // Outcome OK: something answers by HTTP at its token endpoint; else why nothing does
	Host       string // of the token endpoint; "": it is not known, since the issuer did not say it
	Secure     bool   // by https
	Phases     Phases
	Clock      bool          // it said what time it is
	ClockSkew  time.Duration // its Date less our clock; 0: a second at most
	CertExpiry time.Time     // of the server's certificate; zero: there was none
}

// Reach asks the root of the host of p's token endpoint, or of the first probe of API keys, with HEAD, and p's issuer before
// that where it names the endpoint. It sends no credential, makes no token and waits for 10 s at most, 20 with an issuer. Whatever
// status comes is an answer.
func (c *Checker) Reach(ctx context.Context, p Provider) Reached {
	client, err := c.newClient(p, nil)
	if err != nil {
		return Reached{Reading: says(Misconfigured, "", "tls", "the provider cannot be asked as it is configured: %v", err)}
	}
	defer client.CloseIdleConnections()
	p, bad := c.complete(ctx, client, p)
	if bad != nil {
		return Reached{Reading: *bad}
	}
	address := p.TokenURL
	if p.Kind == APIKey {
		address = p.Endpoint()
	}
	at, err := url.Parse(address)
	if err != nil || at.Host == "" {
		return Reached{Reading: says(Misconfigured, "", "request", "what the credentials are sent to is not a URL")}
	}
	r := Reached{Host: at.Hostname(), Secure: at.Scheme == "https"}
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	watch := &stopwatch{began: time.Now()}
	root := url.URL{Scheme: at.Scheme, Host: at.Host, Path: "/"}
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, watch.trace()), http.MethodHead, root.String(), nil)
	if err != nil {
		r.Reading = says(Misconfigured, "", "request", "what the credentials are sent to is not a URL")
		return r
	}
	c.setHeaders(req)
	resp, err := client.Do(req)
	r.Phases = watch.phases()
	if err != nil {
		r.Reading = noAnswerOrMalformed(err)
		return r
	}
	_ = resp.Body.Close()
	r.Outcome, r.HTTPStatus = OK, resp.StatusCode
	r.Clock, r.ClockSkew = resp.Header.Get("Date") != "", clockSkew(resp.Header, c.now())
	r.CertExpiry = certificateExpires(resp.TLS)
	return r
}
