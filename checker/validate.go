package checker

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/outbound"
)

type complaint func(field, hint, format string, args ...any)

// Validate returns all that is wrong with a completed provider, nil where nothing is. The fields are as in the
// configuration, from the provider's entry on (parameters.audience, probes.0.scope). It makes no request, and reads
// no file.
func (p Provider) Validate() []credential.Problem {
	var ps []credential.Problem
	var add complaint = func(field, hint, format string, args ...any) {
		ps = append(ps, credential.Problem{Field: field, Message: fmt.Sprintf(format, args...), Hint: hint})
	}
	if !slices.Contains(Kinds(), p.Kind) {
		add("kind", OneOf(Kinds()), "unknown kind %q", p.Kind)
		return ps
	}
	if p.Kind == APIKey {
		p.validateKey(add)
	} else if p.Key != (Key{}) || len(p.Headers) > 0 {
		add("api_key", "kind: api_key", "api_key and response_headers have no meaning for kind %s", p.Kind)
	}
	if p.Kind != APIKey && p.TokenURL == "" && p.Issuer == "" {
		add("token_url", "the provider's token endpoint, https://…, or its issuer", "is missing, and the preset %q has none", p.Preset)
	}
	for field, text := range map[string]string{
		"token_url": p.TokenURL, "issuer": p.Issuer, "revocation_url": p.RevocationURL, "introspection_url": p.IntrospectionURL,
	} {
		if why := badURL(text, p.AllowPrivateNetworks); text != "" && why != "" {
			add(field, "https://host/path, without user information or fragment", "%s", why)
		}
	}
	p.validateRequest(add)
	if p.Kind != APIKey && !slices.Contains(AuthMethods(), p.AuthMethod) {
		add("auth_method", OneOf(AuthMethods()), "unknown auth_method %q", p.AuthMethod)
	}
	if p.Kind != APIKey {
		p.validateAssertion(add)
		p.validateGrant(add)
	}
	if p.Concurrency < 1 || p.Concurrency > MaxConcurrency {
		add("concurrency", "how many checks of the provider run at once", "%d is out of range: from 1 to %d", p.Concurrency, MaxConcurrency)
	}
	if p.Rate <= 0 || p.Rate > MaxRate {
		rate := strconv.FormatFloat(float64(p.Rate), 'f', -1, 64)
		add("rate", "for example 10/s or 30/m", "%s/s is out of range: above 0, to %d/s", rate, MaxRate)
	}
	if p.MinInterval < 0 {
		add("min_interval", "for example 1h", "%s is out of range: 0s or more", p.MinInterval)
	}
	if p.Budget < 0 {
		add("budget", "token requests a month; 0 for no limit", "%d is out of range: 0 or more", p.Budget)
	}
	for _, name := range slices.Sorted(maps.Keys(p.Parameters)) {
		if !p.mayAdd(name) {
			add("parameters."+name, "for example audience or resource", "%s is keyrounds' to send", name)
		}
	}
	for i, m := range p.Matchers {
		for _, pr := range m.Validate() {
			add(fmt.Sprintf("matchers.%d.%s", i, pr.Field), pr.Hint, "%s", pr.Message)
		}
	}
	for i, pr := range p.Probes {
		pr.validate(fmt.Sprintf("probes.%d.", i), p, add)
	}
	return ps
}

func (p Provider) validateAssertion(add complaint) {
	allowed := p.algorithms()
	p.Assertion.validate(add)
	if !p.Assertion.isZero() && allowed == nil {
		add(
			"assertion", "client_secret_jwt, private_key_jwt and the grant jwt-bearer sign assertions",
			"has no meaning for auth_method %s", p.AuthMethod,
		)
	} else if p.Assertion.Algorithm != "" && !slices.Contains(allowed, p.Assertion.Algorithm) {
		add("assertion.algorithm", OneOf(allowed), "%q cannot be used with %s", p.Assertion.Algorithm, p.AuthMethod)
	}
}

// reserved are the members of a token request that Parameters cannot be.
var reserved = []string{"grant_type", "scope", "client_id", "client_secret", "client_assertion", "client_assertion_type", "assertion"}

func badURL(s string, plain bool) string {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "":
		return "is not a URL"
	case u.User != nil:
		return "has user information: secrets do not belong in a URL"
	case u.Fragment != "":
		return "has a fragment"
	case u.Scheme == "http" && !plain:
		return "is plain http: a secret would cross the network unencrypted (allowed only with allow_private_networks)"
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Sprintf("has the scheme %q", u.Scheme)
	}
	return ""
}

// OneOf writes "one of a, b, c", for the hint of a message.
func OneOf[T ~string](vs []T) string {
	texts := make([]string, len(vs))
	for i, v := range vs {
		texts[i] = string(v)
	}
	return "one of " + strings.Join(texts, ", ")
}

func (p Provider) validateRequest(add complaint) {
	if p.Request.Encoding != "" && !slices.Contains(Encodings(), p.Request.Encoding) {
		add("request.encoding", OneOf(Encodings()), "%q is none", p.Request.Encoding)
	}
	for _, name := range slices.Sorted(maps.Keys(p.Request.Headers)) {
		if slices.Contains(ownHeaders, http.CanonicalHeaderKey(name)) || !httpguts.ValidHeaderFieldName(name) ||
			!httpguts.ValidHeaderFieldValue(p.Request.Headers[name]) {
			add("request.headers."+name, "for example X-Tenant", "%s is keyrounds' to send, or no header", name)
		}
	}
	custom := p.AuthMethod == Custom
	switch {
	case custom && len(p.Request.Body) == 0 && len(p.Request.Headers) == 0:
		add(
			"request",
			"request: {body: {id: \"{client_id}\", key: \"{client_secret}\"}}",
			"auth_method custom needs a body or headers with placeholders",
		)
	case p.Kind == APIKey: // said by validateKey
	case !custom && len(p.Request.Body) > 0:
		add("request.body", "auth_method: custom", "has no meaning for auth_method %s", p.AuthMethod)
	case custom && (p.RevocationURL != "" || p.IntrospectionURL != ""):
		add("auth_method", "leave revocation_url and introspection_url out", "custom says nothing of how they authenticate the client")
	}
	for name := range p.Response {
		if !slices.Contains(ResponseMembers(), name) {
			add("response."+name, OneOf(ResponseMembers()), "is no member of an answer")
		}
	}
	for name, header := range p.Headers {
		if !slices.Contains(HeaderMembers(), name) || !httpguts.ValidHeaderFieldName(header) {
			add("response_headers."+name, OneOf(HeaderMembers())+", and the name of a header", "%q is no header that has it", header)
		}
	}
	if why, fix := outbound.ProxyProblem(p.Proxy); why != "" {
		add("proxy", fix, "%s", why)
	}
}

func (pr Probe) validate(field string, p Provider, add complaint) {
	plain := p.AllowPrivateNetworks
	if !credential.ValidScope(pr.Scope) && (pr.Scope != "" || p.Kind != APIKey) {
		add(field+"scope", "one scope", "%q is not a scope", pr.Scope)
	}
	switch _, at := pr.request(); {
	case pr.Get != "" && pr.Head != "":
		add(field+"head", "get or head", "there is a get already")
	case badURL(at, plain) != "":
		add(field+"get", "the URL of a read-only API request", "%s", badURL(at, plain))
	}
	if pr.Head != "" && !pr.JQ.IsZero() {
		add(field+"jq", "get", "the answer to a HEAD has no body")
	}
	for _, s := range pr.Expect {
		if s < 100 || s > 599 {
			add(field+"expect", "HTTP statuses", "%d is out of range: from 100 to 599", s)
		}
	}
}
