package checker

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/keyrounds/keyrounds/credential"
)

// AuthMethod is how a client authenticates at the token endpoint, in the words of the OAuth
// registry "OAuth Token Endpoint Authentication Methods" (RFC 7591 §2).
type AuthMethod string

// The methods. Both parts of client_secret_basic are form-encoded before base64 (RFC 6749 §2.3.1).
const (
	ClientSecretPost  AuthMethod = "client_secret_post"
	ClientSecretBasic AuthMethod = "client_secret_basic"
	ClientSecretJWT   AuthMethod = "client_secret_jwt" // the secret signs an assertion and is not sent (RFC 7523)
	PrivateKeyJWT     AuthMethod = "private_key_jwt"   // so does a private key, which is the credential's secret
)

// AuthMethods lists the methods.
func AuthMethods() []AuthMethod {
	return []AuthMethod{ClientSecretPost, ClientSecretBasic, ClientSecretJWT, PrivateKeyJWT}
}

// Provider is an authorization server as a check needs to know it. Complete fills in what is
// not given.
type Provider struct {
	Name                 string
	Preset               string     // "": generic
	TokenURL             string     // https, or http where private networks are allowed
	AuthMethod           AuthMethod // default client_secret_post
	RevocationURL        string     // where the token is given back after the check (RFC 7009); "": nowhere
	Assertion            Assertion  // of client_secret_jwt and private_key_jwt
	AllowPrivateNetworks bool       // loopback, private and link-local addresses; never metadata services
	TLS                  TLS
	Concurrency          int               // checks at once, on one replica; default 4
	Rate                 rate.Limit        // checks a second, over all replicas; default 10
	Budget               int               // token requests a month; 0: no limit
	RequestScopes        bool              // send the declared scopes as the scope parameter
	Parameters           map[string]string // more members of the token request, such as audience or resource (RFC 8707)
	Probes               []Probe
	ConsoleURL           string // where a person revokes a credential
	Matchers             []Matcher
}

// TLS names files in PEM.
type TLS struct{ CAFile, CertFile, KeyFile string }

// Probe is a request that shows whether a scope works: GET with the token, and the statuses
// that say it does (default 200).
type Probe struct {
	Scope  string
	Get    string
	Expect []int
}

const (
	defaultConcurrency = 4
	defaultRate        = 10
)

// Complete returns p with its preset's values, and then the defaults, where p gives none.
func (p Provider) Complete() (Provider, error) {
	preset, err := FindPreset(p.Preset)
	if err != nil {
		return p, err
	}
	p.Preset = preset.Name
	from := preset.Provider
	p.TokenURL = first(p.TokenURL, from.TokenURL)
	p.AuthMethod = first(p.AuthMethod, AuthMethod(from.AuthMethod), ClientSecretPost)
	p.Concurrency = first(p.Concurrency, from.Concurrency, defaultConcurrency)
	p.Rate = first(p.Rate, from.Rate.Limit, defaultRate)
	p.ConsoleURL = first(p.ConsoleURL, preset.Console)
	if p.Probes == nil {
		for _, pr := range from.Probes {
			p.Probes = append(p.Probes, Probe(pr))
		}
	}
	own := slices.Clone(p.Matchers)
	for i := range own {
		own[i].rule = fmt.Sprintf("provider %s, matcher %d", p.Name, i+1)
	}
	p.Matchers = slices.Concat(own, preset.Matchers)
	return p, nil
}

func first[T comparable](vs ...T) T {
	var zero T
	for _, v := range vs {
		if v != zero {
			return v
		}
	}
	return zero
}

// Validate returns all that is wrong with a completed provider.
func (p Provider) Validate() []credential.Problem {
	var ps []credential.Problem
	add := func(field, hint, format string, args ...any) {
		ps = append(ps, credential.Problem{Field: field, Message: fmt.Sprintf(format, args...), Hint: hint})
	}
	if p.TokenURL == "" {
		add("token_url", "the provider's token endpoint, https://…", "is missing, and the preset %q has none", p.Preset)
	} else if why := badURL(p.TokenURL, p.AllowPrivateNetworks); why != "" {
		add("token_url", "https://host/path, without user information or fragment", "%s", why)
	}
	if why := badURL(p.RevocationURL, p.AllowPrivateNetworks); p.RevocationURL != "" && why != "" {
		add("revocation_url", "https://host/path, without user information or fragment", "%s", why)
	}
	if !slices.Contains(AuthMethods(), p.AuthMethod) {
		add("auth_method", OneOf(AuthMethods()), "unknown auth_method %q", p.AuthMethod)
	}
	if allowed := p.AuthMethod.Algorithms(); p.Assertion != (Assertion{}) && allowed == nil {
		add("assertion", "client_secret_jwt and private_key_jwt sign assertions", "has no meaning for auth_method %s", p.AuthMethod)
	} else if p.Assertion.Algorithm != "" && !slices.Contains(allowed, p.Assertion.Algorithm) {
		add("assertion.algorithm", OneOf(allowed), "%q cannot be used with %s", p.Assertion.Algorithm, p.AuthMethod)
	}
	if p.Concurrency < 1 || p.Concurrency > 64 {
		add("concurrency", "from 1 to 64", "%d is out of range", p.Concurrency)
	}
	if p.Rate <= 0 || p.Rate > 10000 {
		add("rate", "for example 10/s or 30/m", "is out of range")
	}
	if p.Budget < 0 {
		add("budget", "token requests a month; 0 for no limit", "is negative")
	}
	for _, name := range slices.Sorted(maps.Keys(p.Parameters)) {
		if slices.Contains(reserved, name) {
			add("parameters."+name, "for example audience or resource", "%s is keyrounds' to send", name)
		}
	}
	for i, m := range p.Matchers {
		for _, pr := range m.Validate() {
			add(fmt.Sprintf("matchers.%d.%s", i, pr.Field), pr.Hint, "%s", pr.Message)
		}
	}
	for i, pr := range p.Probes {
		field := fmt.Sprintf("probes.%d", i)
		if !credential.ValidScope(pr.Scope) {
			add(field+".scope", "one scope", "%q is not a scope", pr.Scope)
		}
		if why := badURL(pr.Get, p.AllowPrivateNetworks); why != "" {
			add(field+".get", "the URL of a read-only API request", "%s", why)
		}
		for _, s := range pr.Expect {
			if s < 100 || s > 599 {
				add(field+".expect", "HTTP statuses", "%d is not an HTTP status", s)
			}
		}
	}
	return ps
}

// reserved are the members of a token request that Parameters cannot be.
var reserved = []string{"grant_type", "scope", "client_id", "client_secret", "client_assertion", "client_assertion_type"}

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

// OneOf writes "one of a, b, c".
func OneOf[T ~string](vs []T) string {
	texts := make([]string, len(vs))
	for i, v := range vs {
		texts[i] = string(v)
	}
	return "one of " + strings.Join(texts, ", ")
}

// ParseRate reads "10/s", "30/m", "100/h" or "5000/d".
func ParseRate(s string) (rate.Limit, error) {
	n, unit, _ := strings.Cut(s, "/")
	count, err := strconv.ParseFloat(n, 64)
	per, known := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}[unit]
	if err != nil || !known || !(count > 0) || count > 1e9 {
		return 0, fmt.Errorf("%q is not a rate such as 10/s, 30/m or 100/h", s)
	}
	return rate.Limit(count / per.Seconds()), nil
}

// expects reports whether status says that the probe's scope works.
func (pr Probe) expects(status int) bool {
	if len(pr.Expect) == 0 {
		return status == http.StatusOK
	}
	return slices.Contains(pr.Expect, status)
}
