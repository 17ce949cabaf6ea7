package checker

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/secret"
)

// Probe is a request with the token, or with the key of kind api_key, that shows whether a scope works. A check tries it only for
// credentials that declare Scope and were granted it. A token goes in the header Authorization (RFC 6750 §2.1), a key where Provider.Key
// says.
type Probe struct {
	Scope  string // "", of kind api_key alone: it shows whether the key works at all
	Get    string // URL of a GET
	Head   string // or of a HEAD
	Expect []int  // the statuses that say so; default 200
	JQ     JQ     // and what must hold of the JSON that comes; the zero JQ: nothing
}

// request returns the probe's method and URL.
func (pr Probe) request() (method, url string) {
	if pr.Head != "" {
		return http.MethodHead, pr.Head
	}
	return http.MethodGet, pr.Get
}

// ask makes the probe's request.
func (pr Probe) ask(ctx context.Context, p Provider, show shown) (*http.Request, error) {
	method, at := pr.request()
	req, err := http.NewRequestWithContext(ctx, method, at, nil)
	if err != nil {
		return nil, errors.New("the probe's URL is not a URL")
	}
	if p.Kind == APIKey {
		for name, text := range p.Request.Headers {
			req.Header.Set(name, text)
		}
	}
	return req, show(req)
}

func (pr Probe) expects(status int) bool {
	if len(pr.Expect) == 0 {
		return status == http.StatusOK
	}
	return slices.Contains(pr.Expect, status)
}

// probe asks the API about each declared scope that the provider has a probe for, with the real
// token or key, and turns a denied scope into ScopeReduced.
func (c *Checker) probe(
	ctx context.Context,
	client *http.Client,
	p Provider,
	cred credential.Credential,
	proof *prover,
	show shown,
	r *Result,
) {
	for _, pr := range p.Probes {
		if pr.Scope == "" || !slices.Contains(cred.Scopes, pr.Scope) || slices.Contains(r.Missing, pr.Scope) {
			continue
		}
		got := c.probeOne(ctx, client, p, pr, proof, show, r)
		r.trace("probe of %s: HTTP %d, %s %s", pr.Scope, got.HTTPStatus, got.Verdict, got.Reason)
		r.Probes = append(r.Probes, got)
		if got.Verdict == ProbeDenied {
			r.Outcome, r.Reason, r.Rule = ScopeReduced, ProbeFailed, "probe"
			r.Missing = append(r.Missing, pr.Scope)
			r.Message = worksOf[p.Kind] + ", but the API refuses its use: " + got.Message
		}
	}
}

// worksOf is the message of OK, by kind.
var worksOf = map[Kind]string{ClientCredentials: issued, APIKey: keyWorks}

// shown puts a token or a key into a request.
type shown func(*http.Request) error

// bearer is for a token (RFC 6750 §2.1).
func bearer(token secret.Value) shown {
	return func(req *http.Request) error {
		req.Header.Set("Authorization", "Bearer "+token.Reveal())
		return nil
	}
}

func (c *Checker) probeOne(
	ctx context.Context,
	client *http.Client,
	p Provider,
	pr Probe,
	proof *prover,
	show shown,
	r *Result,
) ProbeResult {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	got := ProbeResult{Scope: pr.Scope, Verdict: ProbeInconclusive, Reason: APIUnreachable}
	var unmade error
	resp, err := proof.do(ctx, client, func(ctx context.Context) (req *http.Request, err error) {
		if req, unmade = pr.ask(ctx, p, show); unmade == nil {
			c.setCheckHeaders(req, r)
		}
		return req, unmade
	})
	switch {
	case unmade != nil:
		got.Message = unmade.Error()
		return got
	case err != nil:
		got.Message = noAnswer(err).Message
		return got
	}
	defer resp.Body.Close()
	body, err := readBody(resp)
	got.HTTPStatus = resp.StatusCode
	got.Verdict, got.Reason, got.Message = readProbe(pr, resp, body, errors.Is(err, errTooLarge))
	return got
}

// readProbe reads an API's answer. 403 is a missing scope (RFC 6750 §3.1) or a missing role; a
// web page with 403 is a firewall's and says nothing.
func readProbe(pr Probe, resp *http.Response, body []byte, cut bool) (ProbeVerdict, ProbeReason, string) {
	a := readAnswer(Response{Status: resp.StatusCode, Header: resp.Header, Body: body}, nil)
	switch {
	case pr.expects(resp.StatusCode) && pr.JQ.IsZero():
		return ProbeOK, "", ""
	case a.kind == html:
		return ProbeInconclusive, APIIntercepted, "a web page came instead of the API's answer"
	case pr.expects(resp.StatusCode) && cut:
		return ProbeInconclusive, UnexpectedBody, "the API's answer is too large to be read"
	case pr.expects(resp.StatusCode) && a.kind != object && a.kind != otherJSON:
		return ProbeInconclusive, UnexpectedBody, "the API's answer is not JSON"
	case pr.expects(resp.StatusCode):
		switch holds, err := pr.JQ.holds(body); {
		case err != nil:
			return ProbeInconclusive, UnexpectedBody, "the API's answer could not be read: " + err.Error()
		case holds:
			return ProbeOK, "", ""
		}
		return ProbeDenied, UnexpectedBody, "the API answers for " + pr.Scope + ", but not what the probe's jq expects"
	case a.code == "insufficient_scope",
		resp.StatusCode == http.StatusForbidden && bytes.Contains(body, []byte("OAuthPermissionsException")):
		return ProbeDenied, InsufficientScope, "it lacks the scope " + pr.Scope
	case resp.StatusCode == http.StatusForbidden:
		return ProbeDenied, Forbidden, "the scope " + pr.Scope + " is forbidden, as a missing role would be"
	case resp.StatusCode == http.StatusUnauthorized:
		return ProbeInconclusive, InvalidToken, "the API does not accept it here, though it was valid just now"
	case resp.StatusCode == http.StatusTooManyRequests:
		return ProbeInconclusive, APILimits, "the API limits requests"
	case resp.StatusCode >= 500:
		return ProbeInconclusive, APITrouble, "the API is in trouble"
	}
	return ProbeInconclusive, UnexpectedStatus, "the API's answer was not expected"
}

// TokenState says whether an API takes a token; the zero value is TokenUnknown.
type TokenState string

// The states of a token.
const (
	TokenWorks   TokenState = "works"
	TokenStopped TokenState = "stopped" // HTTP 401 (RFC 6750 §3.1)
	TokenUnknown TokenState = ""        // there is no probe, or its answer says nothing
)

// Present asks the API of p, which must be complete, whether it takes a token that was issued to t's credential
// before. It makes one request within Timeout: the first probe of p for a scope that the credential declares, or else
// the first probe. It reads no secret, and shows no client certificate.
//
// A 403 is TokenWorks: the API knows the token and refuses what was asked for. Whatever else says nothing, such as a
// network error, is TokenUnknown.
func (c *Checker) Present(ctx context.Context, p Provider, t Target, token secret.Value) TokenState {
	if len(p.Probes) == 0 {
		return TokenUnknown
	}
	client, err := c.kept(p)
	if err != nil {
		return TokenUnknown
	}
	r := c.start(p, p.setup(), t)
	pr := p.Probes[max(0, slices.IndexFunc(p.Probes, func(pr Probe) bool { return slices.Contains(t.Credential.Scopes, pr.Scope) }))]
	got := c.probeOne(ctx, client, p, pr, nil, bearer(token), &r)
	switch {
	case got.Verdict == ProbeOK, got.Verdict == ProbeDenied && got.HTTPStatus == http.StatusForbidden:
		return TokenWorks
	case got.Reason == InvalidToken:
		return TokenStopped
	}
	return TokenUnknown
}
