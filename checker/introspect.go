package checker

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/secret"
)

// introspect asks the provider about the fresh token (RFC 7662): whether it is active, and which
// scopes it has where the answer did not say. A refusal here is about us as the asker, and says
// nothing.
func (c *Checker) introspect(
	ctx context.Context,
	client *http.Client,
	p Provider,
	cred credential.Credential,
	value, token secret.Value,
	r *Result,
) {
	if p.IntrospectionURL == "" {
		return
	}
	resp, body, err := c.withToken(ctx, client, p, p.IntrospectionURL, cred, value, token, r)
	if err != nil {
		r.trace("introspection: %s", noAnswer(err).Message)
		return
	}
	defer clear(body)
	var about struct {
		Active *bool `json:"active"`
		Scope  any   `json:"scope"`
	}
	if resp.StatusCode != http.StatusOK || json.Unmarshal(body, &about) != nil || about.Active == nil {
		r.trace("introspection: HTTP %d, no answer to the question", resp.StatusCode)
		return
	}
	r.trace("introspection: active %t", *about.Active)
	if !*about.Active {
		r.Outcome, r.Reason, r.Rule = ScopeReduced, TokenInactive, "introspection (RFC 7662)"
		r.Message = "a token was issued, but the provider says that it is not active"
		return
	}
	if r.Granted == nil {
		r.compare(scopesOf(about.Scope), cred.Scopes)
	}
}

// withToken posts the token with client authentication, as RFC 7009 and RFC 7662 have it.
func (c *Checker) withToken(
	ctx context.Context,
	client *http.Client,
	p Provider,
	url string,
	cred credential.Credential,
	value, token secret.Value,
	r *Result,
) (*http.Response, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	auth, err := authenticate(p, cred, value, c.now()) // an assertion serves once
	if err != nil {
		return nil, nil, err
	}
	auth.form.Set("token", token.Reveal())
	auth.form.Set("token_type_hint", "access_token")
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(auth.form.Encode()))
	if err != nil {
		return nil, nil, err
	}
	auth.addHeaders(req)
	c.setCheckHeaders(req, r)
	resp, err := client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	body, err := readBody(resp)
	return resp, body, err
}

// revoke gives the token back where the provider has a revocation endpoint (RFC 7009 §2.1). How that
// goes says nothing of the credential: it is in the trace only.
func (c *Checker) revoke(
	ctx context.Context,
	client *http.Client,
	p Provider,
	cred credential.Credential,
	value, token secret.Value,
	r *Result,
) {
	if p.RevocationURL == "" {
		return
	}
	resp, _, err := c.withToken(ctx, client, p, p.RevocationURL, cred, value, token, r)
	if err != nil {
		r.trace("revocation of the token: %s", noAnswer(err).Message)
		return
	}
	r.trace("revocation of the token: HTTP %d", resp.StatusCode)
}
