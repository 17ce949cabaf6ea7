package checker

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/keyrounds/keyrounds/outbound"
	"github.com/keyrounds/keyrounds/secret"
)

// Provider is an authorization server as a check needs to know it. Complete fills in what is not given, and Validate
// says what is wrong with the result.
type Provider struct {
	Name                 string
	Kind                 Kind       // default that of the preset, else ClientCredentials
	Key                  Key        // of APIKey
	Preset               string     // "": generic
	Issuer               string     // names the endpoints that are not given here (RFC 8414, OpenID Connect Discovery)
	TokenURL             string     // https, or http where private networks are allowed
	AuthMethod           AuthMethod // default client_secret_post; of GrantJWTBearer NoAuth
	GrantType            string     // default that of the preset, else client_credentials
	DPoP                 bool       // ask for a token that is bound to a key, and prove its possession (RFC 9449)
	RevocationURL        string     // where the token is given back after the check (RFC 7009); "": nowhere
	IntrospectionURL     string     // where the fresh token is asked about (RFC 7662); "": nowhere
	Assertion            Assertion  // of client_secret_jwt, private_key_jwt and GrantJWTBearer
	AllowPrivateNetworks bool       // loopback, private and link-local addresses; never metadata services
	Proxy                string     // URL, or outbound.Environment; "": none, whatever the environment says
	TLS                  outbound.TLS
	Concurrency          int               // checks at once, over all replicas; default 4, at most MaxConcurrency
	Rate                 rate.Limit        // checks a second, over all replicas; default 10, at most MaxRate
	Budget               int               // token requests a month, spread over it; 0: no limit
	Lockout              Lockout           // what it bears of refusals
	MinInterval          time.Duration     // between two scheduled checks of one credential; 0: as scheduled
	Passive              bool              // never checked: its feeds alone tell
	RequestScopes        bool              // send the declared scopes as the scope parameter
	Parameters           map[string]string // more members of the token request, such as audience or resource (RFC 8707)
	// SecretParameters are members of the token request whose values are read from where they are kept, at each check: the second
	// secret of a grant that has two.
	SecretParameters map[string]secret.Reference
	Request          Request
	Response         map[string]JQ     // where an answer has the members of ResponseMembers; nil: where RFC 6749 says
	Headers          map[string]string // of APIKey: the headers that have members of HeaderMembers
	Probes           []Probe
	ConsoleURL       string // where a person revokes a credential
	Matchers         []Matcher
	RefusesFor       []string // Preset.RefusesFor
}

// The most that Concurrency and Rate can be.
const (
	MaxConcurrency = 1024
	MaxRate        = 100_000
)

const (
	defaultConcurrency = 4
	defaultRate        = 10
)

// Complete returns p with its preset's values, and then the defaults, where p gives none. Where p has an issuer, the
// preset's token URL is left out. p's own matchers come before those of the preset; call it once, since each call
// adds them again. The only error is a preset that there is not.
func (p Provider) Complete() (Provider, error) {
	preset, err := FindPreset(p.Preset)
	if err != nil {
		return p, err
	}
	p.Preset = preset.Name
	from := preset.Provider
	p.Kind = first(p.Kind, from.Kind, ClientCredentials)
	if p.Key == (Key{}) {
		p.Key = from.Key
	}
	if p.Response == nil {
		p.Response = from.Response
	}
	if p.Headers == nil {
		p.Headers = from.Headers
	}
	if p.Request.Headers == nil {
		p.Request.Headers = from.RequestHeaders
	}
	if p.Issuer == "" {
		p.TokenURL = first(p.TokenURL, from.TokenURL)
	}
	if p.Kind == ClientCredentials {
		if p.GrantType == "" {
			p.GrantType = from.GrantType
		} else if p.GrantType == GrantJWTBearer && p.AuthMethod == "" {
			p.AuthMethod = NoAuth // whatever the preset's own grant has
		}
		if p.Assertion.Claims == nil {
			p.Assertion.Claims = from.Assertion.Claims
		}
		p.Assertion.Audience = first(p.Assertion.Audience, from.Assertion.Audience)
		p.AuthMethod = first(p.AuthMethod, AuthMethod(from.AuthMethod), ClientSecretPost)
	}
	p.Concurrency = first(p.Concurrency, from.Concurrency, defaultConcurrency)
	p.Rate = first(p.Rate, from.Rate.Limit, defaultRate)
	p.RefusesFor = preset.RefusesFor
	p.ConsoleURL = first(p.ConsoleURL, preset.Console)
	p.Lockout = first(p.Lockout, preset.Check.Lockout)
	p.MinInterval = first(p.MinInterval, preset.Check.MinInterval.Duration)
	if p.Probes == nil {
		for _, pr := range from.Probes {
			p.Probes = append(p.Probes, Probe{Scope: pr.Scope, Get: pr.Get, Expect: pr.Expect, JQ: pr.JQ})
		}
	}
	own := slices.Clone(p.Matchers)
	for i := range own {
		own[i].rule = fmt.Sprintf("provider %s, matcher %d", p.Name, i+1)
	}
	p.Matchers = slices.Concat(own, preset.Matchers)
	return p, nil
}

// grantURN begins the names of grants that RFCs registered.
const grantURN = "urn:ietf:params:oauth:grant-type:"

// Way says in a few words how a credential of p is shown: an auth_method, or where an API key is.
func (p Provider) Way() string {
	switch {
	case p.Kind == APIKey:
		return "api_key in " + p.Key.String()
	case p.otherGrant() && p.AuthMethod != Custom:
		grant := "grant " + strings.TrimPrefix(p.grant(), grantURN)
		if p.AuthMethod == NoAuth {
			return grant
		}
		return string(p.AuthMethod) + ", " + grant
	}
	return string(p.AuthMethod)
}

// Endpoint names the token endpoint, as far as p does, or the first probe of API keys: providers with the same have one server, be it
// with a tenant each.
func (p Provider) Endpoint() string {
	at := first(p.TokenURL, p.Issuer)
	if p.Kind == APIKey {
		_, at = p.firstProbe().request()
	}
	return at
}

// Neighbours are the other providers of ps with the server of the one of that name, by name: with its token endpoint or, where one of
// the two has API keys, with its host.
func Neighbours(ps map[string]Provider, name string) []string {
	own := ps[name]
	var names []string
	for other, p := range ps {
		one := own.Endpoint() != "" && p.Endpoint() == own.Endpoint()
		if p.Kind == APIKey || own.Kind == APIKey {
			one = host(own) != "" && host(own) == host(p)
		}
		if other != name && one {
			names = append(names, other)
		}
	}
	slices.Sort(names)
	return names
}

func host(p Provider) string {
	u, err := url.Parse(p.Endpoint())
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Host)
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

// ParseRate reads "10/s", "30/m", "100/h" or "5000/d", a positive number a second, minute, hour or day, into a rate a
// second. Any other text is an error that quotes it.
func ParseRate(s string) (rate.Limit, error) {
	n, unit, _ := strings.Cut(s, "/")
	count, err := strconv.ParseFloat(n, 64)
	per, known := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}[unit]
	if err != nil || !known || !(count > 0) || count > 1e9 {
		return 0, fmt.Errorf("%q is not a rate such as 10/s, 30/m or 100/h", s)
	}
	return rate.Limit(count / per.Seconds()), nil
}

// setup is the same as long as p asks the same endpoint in the same way.
func (p Provider) setup() string {
	asked := []any{p.Issuer, p.TokenURL, p.AuthMethod, p.Assertion, p.Parameters, p.Request, p.RequestScopes, p.Proxy, p.TLS}
	if p.otherGrant() || p.DPoP || len(p.SecretParameters) > 0 {
		asked = append(asked, p.GrantType, p.DPoP, p.SecretParameters)
	}
	if p.Kind == APIKey {
		asked = append(asked, p.Key)
		for _, pr := range p.Probes {
			asked = append(asked, pr.Get+pr.Head)
		}
	}
	text, _ := json.Marshal(asked)
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:6])
}
