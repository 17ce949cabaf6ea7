package checker

import (
	"bytes"
	"context"
	"net/http"
	"slices"

	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/secret"
)

// probe asks the API about each declared scope that the provider has a probe for, with the real
// token, and turns a denied scope into ScopeReduced.
func (c *Checker) probe(ctx context.Context, client *http.Client, p Provider, cred credential.Credential, token secret.Value, r *Result) {
	for _, pr := range p.Probes {
		if !slices.Contains(cred.Scopes, pr.Scope) || slices.Contains(r.Missing, pr.Scope) {
			continue
		}
		got := c.probeOne(ctx, client, pr, token)
		r.trace("probe of %s: HTTP %d, %s", pr.Scope, got.HTTPStatus, got.Verdict)
		r.Probes = append(r.Probes, got)
		if got.Verdict == ProbeDenied {
			r.Outcome, r.Reason, r.Rule = ScopeReduced, ProbeFailed, "probe"
			r.Missing = append(r.Missing, pr.Scope)
			r.Message = "token issued, but the API refuses its use: " + got.Message
		}
	}
}

func (c *Checker) probeOne(ctx context.Context, client *http.Client, pr Probe, token secret.Value) ProbeResult {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	got := ProbeResult{Scope: pr.Scope, Verdict: ProbeInconclusive}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, pr.Get, nil)
	if err != nil {
		got.Message = "the probe's URL is not valid"
		return got
	}
	c.dress(req)
	req.Header.Set("Authorization", "Bearer "+token.Reveal())
	resp, err := client.Do(req)
	if err != nil {
		got.Message = noAnswer(err).Message
		return got
	}
	defer resp.Body.Close()
	body, _ := readBody(resp)
	got.HTTPStatus = resp.StatusCode
	got.Verdict, got.Message = readProbe(pr, resp, body)
	return got
}

// readProbe reads an API's answer. 403 is a missing scope (RFC 6750 §3.1) or a missing role; a
// web page with 403 is a firewall's and says nothing.
func readProbe(pr Probe, resp *http.Response, body []byte) (ProbeVerdict, string) {
	a := readAnswer(Response{Status: resp.StatusCode, Header: resp.Header, Body: body})
	switch {
	case pr.expects(resp.StatusCode):
		return ProbeOK, ""
	case a.kind == html:
		return ProbeInconclusive, "a web page came instead of the API's answer"
	case a.code == "insufficient_scope" || resp.StatusCode == http.StatusForbidden && bytes.Contains(body, []byte("OAuthPermissionsException")):
		return ProbeDenied, "the token lacks the scope " + pr.Scope
	case resp.StatusCode == http.StatusForbidden:
		return ProbeDenied, "the scope " + pr.Scope + " is forbidden, as a missing role would be"
	case resp.StatusCode == http.StatusUnauthorized:
		return ProbeInconclusive, "the API does not accept the fresh token"
	case resp.StatusCode == http.StatusTooManyRequests:
		return ProbeInconclusive, "the API limits requests"
	case resp.StatusCode >= 500:
		return ProbeInconclusive, "the API is in trouble"
	}
	return ProbeInconclusive, "the API's answer was not expected"
}
