package checker

import (
	"context"
	"net/http"
	"strings"

	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/secret"
)

// revoke gives the token back where the provider has a revocation endpoint (RFC 7009 §2.1). How that
// goes says nothing of the credential: it is in the trace only.
func (c *Checker) revoke(ctx context.Context, client *http.Client, p Provider, cred credential.Credential, value, token secret.Value, r *Result) {
	if p.RevocationURL == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	auth, err := authenticate(p, cred, value, c.now()) // an assertion serves once
	if err != nil {
		return
	}
	auth.form.Set("token", token.Reveal())
	auth.form.Set("token_type_hint", "access_token")
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.RevocationURL, strings.NewReader(auth.form.Encode()))
	if err != nil {
		return
	}
	auth.dress(req)
	c.dress(req)
	resp, err := client.Do(req)
	if err != nil {
		r.trace("revocation of the token: %s", noAnswer(err).Message)
		return
	}
	_ = resp.Body.Close()
	r.trace("revocation of the token: HTTP %d", resp.StatusCode)
}
