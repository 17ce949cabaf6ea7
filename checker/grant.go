package checker

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/secret"
)

// The grants that something is known of. Any other is as its name and Provider.Parameters say.
const (
	GrantClientCredentials = "client_credentials"                          // RFC 6749 §4.4
	GrantJWTBearer         = "urn:ietf:params:oauth:grant-type:jwt-bearer" // RFC 7523 §2.1: the secret signs an assertion
)

// The placeholders of Provider.Parameters, Provider.Request and Assertion.Claims.
const (
	idPlaceholder     = "{client_id}"
	secretPlaceholder = "{client_secret}"
	scopePlaceholder  = "{scope}"
)

// grant is what a token request names.
func (p Provider) grant() string {
	if named, ok := p.Request.Body["grant_type"].(string); ok && p.AuthMethod == Custom {
		return named
	}
	return first(p.GrantType, GrantClientCredentials)
}

// otherGrant: there is a grant that an answer can be about, since it is not client_credentials.
func (p Provider) otherGrant() bool { return p.grant() != GrantClientCredentials }

// signsGrant reports whether the secret signs the assertion that is the grant.
func (p Provider) signsGrant() bool { return p.GrantType == GrantJWTBearer && p.AuthMethod == NoAuth }

// algorithms lists what the secret of p signs with, nil where it signs nothing.
func (p Provider) algorithms() []string {
	if p.signsGrant() {
		return PrivateKeyJWT.Algorithms()
	}
	return p.AuthMethod.Algorithms()
}

// TakesKey reports whether the secrets of p's credentials are private keys.
func (p Provider) TakesKey() bool { return p.signsGrant() || p.AuthMethod.takesKey() }

// readBeside reads SecretParameters into a. The caller wipes them by wipe.
func (p Provider) readBeside(ctx context.Context, a *clientAuth) error {
	for name, ref := range p.SecretParameters {
		v, err := secret.Resolve(ctx, ref)
		if err != nil {
			return fmt.Errorf("secret_parameters.%s: %w", name, err)
		}
		if a.beside == nil {
			a.beside = map[string]secret.Value{}
		}
		a.beside[name] = v
	}
	return nil
}

// wipe forgets what readBeside read.
func (a *clientAuth) wipe() {
	for _, v := range a.beside {
		v.Wipe()
	}
}

// inParameters reports whether a text of the request has the secret.
func (p Provider) inParameters() bool {
	has := func(texts map[string]string) bool {
		return slices.ContainsFunc(
			slices.Collect(maps.Values(texts)),
			func(s string) bool { return strings.Contains(s, secretPlaceholder) },
		)
	}
	return has(p.Parameters) || has(p.Request.Headers)
}

func (p Provider) validateGrant(add complaint) {
	for _, name := range slices.Sorted(maps.Keys(p.SecretParameters)) {
		if p.AuthMethod == Custom {
			add("secret_parameters", "one credential, one secret", "with auth_method custom the whole body is yours")
		} else if _, twice := p.Parameters[name]; twice || !p.mayAdd(name) {
			add("secret_parameters."+name, "for example password", "%s is keyrounds' to send, or in parameters as well", name)
		}
	}
	switch {
	case p.AuthMethod != NoAuth && p.GrantType == GrantJWTBearer:
		add(
			"auth_method",
			"auth_method: none",
			"the secret signs the assertion of this grant, and %s would send it or sign another",
			p.AuthMethod,
		)
	case p.AuthMethod == Custom && p.GrantType != "":
		add("grant_type", "request: {body: {grant_type: …}}", "with auth_method custom the whole body is yours")
	case p.AuthMethod == NoAuth && !p.signsGrant() && !p.inParameters():
		add("auth_method", `for example grant_type: password, parameters: {username: svc, password: "{client_secret}"}`,
			"nothing of the request has the secret: a check would say nothing of it")
	}
}

// mayAdd reports whether a member of the token request can be a parameter: one that no method sends by itself can.
func (p Provider) mayAdd(name string) bool {
	if p.signsGrant() && (name == "client_id" || name == "client_secret") {
		return true // Box wants them beside the assertion
	}
	return !slices.Contains(reserved, name)
}

// filler replaces placeholders by what they stand for.
func filler(cred credential.Credential, value secret.Value) *strings.Replacer {
	return strings.NewReplacer(idPlaceholder, cred.Subject, secretPlaceholder, value.Reveal(),
		scopePlaceholder, strings.Join(cred.Scopes, " "))
}

// claims are those of Assertion.Claims, filled in; a text that is then empty is left out.
func (a Assertion) claims(cred credential.Credential) map[string]any {
	fills := strings.NewReplacer(idPlaceholder, cred.Subject, scopePlaceholder, strings.Join(cred.Scopes, " "))
	all := map[string]any{}
	for name, v := range a.Claims {
		if v = fill(v, fills); v != "" {
			all[name] = v
		}
	}
	return all
}

// reservedClaims are keyrounds' to make.
var reservedClaims = []string{"iss", "sub", "aud", "exp", "iat", "nbf", "jti"}

func (a Assertion) validate(add complaint) {
	for _, name := range slices.Sorted(maps.Keys(a.Claims)) {
		if slices.Contains(reservedClaims, name) {
			add("assertion.claims."+name, "assertion: {issuer: …, subject: …, audience: …, lifetime: …}", "%s is keyrounds' to make", name)
		} else if strings.Contains(fmt.Sprint(a.Claims[name]), secretPlaceholder) {
			add("assertion.claims."+name, "{client_id} and {scope} are filled in", "a claim is no place for a secret")
		}
	}
	if a.Lifetime < 0 || a.Lifetime > mostAssertionAge {
		add("assertion.lifetime", "for example 45s", "%s is out of range: up to %s",
			credential.FormatDuration(a.Lifetime), credential.FormatDuration(mostAssertionAge))
	}
}
