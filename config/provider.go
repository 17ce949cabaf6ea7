package config

import (
	"fmt"
	"maps"
	"regexp"
	"slices"

	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/outbound"
	"github.com/keyrounds/keyrounds/secret"
)

func (b *builder) providers(c *Config, in map[string]ProviderIn) {
	c.Providers = map[string]checker.Provider{}
	for _, name := range slices.Sorted(maps.Keys(in)) {
		path := "providers." + name
		if !credential.ValidName(name) {
			b.fail(path, "lower-case letters, digits and hyphens", "%q is not a valid name", name)
		}
		c.Providers[name] = b.provider(path, name, in[name])
	}
}

func (b *builder) provider(path, name string, in ProviderIn) checker.Provider {
	p := checker.Provider{
		Name: name, Kind: checker.Kind(in.Kind), Preset: in.Preset, TokenURL: in.TokenURL, AuthMethod: checker.AuthMethod(in.AuthMethod),
		AllowPrivateNetworks: in.AllowPrivateNetworks, Concurrency: in.Concurrency, Budget: in.Budget, RequestScopes: in.RequestScopes,
		Parameters: in.Parameters, RevocationURL: in.RevocationURL, Issuer: in.Issuer, IntrospectionURL: in.IntrospectionURL,
		Proxy: in.Proxy, Passive: in.Passive, Headers: in.ResponseHeaders, GrantType: in.GrantType, DPoP: in.DPoP,
	}
	if k := in.APIKey; k != nil {
		p.Key = checker.Key{Header: k.Header, Scheme: k.Scheme, Query: k.Query, Basic: checker.BasicHalf(k.Basic)}
	}
	if in.Rate != "" {
		var err error
		if p.Rate, err = checker.ParseRate(in.Rate); err != nil {
			b.fail(path+".rate", "", "%v", err)
		}
	}
	b.duration(path+".min_interval", in.MinInterval, &p.MinInterval)
	if in.Lockout != "" {
		var err error
		if p.Lockout, err = checker.ParseLockout(string(in.Lockout)); err != nil {
			b.fail(path+".lockout", "none, unknown, or how many refusals an hour the provider bears", "%v", err)
		}
	}
	if in.Request != nil {
		p.Request = checker.Request(*in.Request)
	}
	for _, name := range slices.Sorted(maps.Keys(in.Response)) {
		if p.Response == nil {
			p.Response = map[string]checker.JQ{}
		}
		p.Response[name] = b.jq(path+".response."+name, in.Response[name])
	}
	for _, name := range slices.Sorted(maps.Keys(in.SecretParameters)) {
		if p.SecretParameters == nil {
			p.SecretParameters = map[string]secret.Reference{}
		}
		p.SecretParameters[name] = b.reference(path+".secret_parameters."+name, in.SecretParameters[name])
	}
	if in.Assertion != nil {
		a := in.Assertion
		p.Assertion = checker.Assertion{
			Algorithm: a.Algorithm, Audience: a.Audience, KeyID: a.KeyID, Issuer: a.Issuer, Subject: a.Subject, Claims: a.Claims,
		}
		b.duration(path+".assertion.lifetime", a.Lifetime, &p.Assertion.Lifetime)
	}
	if in.TLS != nil {
		p.TLS = outbound.TLS{CAFile: in.TLS.CAFile, CertFile: in.TLS.CertFile, KeyFile: in.TLS.KeyFile}
		if err := p.TLS.Load(); err != nil {
			b.fail(path+".tls", "files in PEM that this user can read", "%v", err)
		}
	}
	if in.Probes != nil {
		p.Probes = []checker.Probe{}
	}
	for i, pr := range in.Probes {
		probe := checker.Probe{Scope: pr.Scope, Get: pr.Get, Head: pr.Head, Expect: pr.Expect}
		if pr.JQ != "" {
			probe.JQ = b.jq(fmt.Sprintf("%s.probes.%d.jq", path, i), pr.JQ)
		}
		p.Probes = append(p.Probes, probe)
	}
	for i, m := range in.Matchers {
		matcher := checker.Matcher{
			Status:  m.Status,
			Error:   m.Error,
			Code:    m.Code,
			Outcome: checker.Outcome(m.Outcome),
			Reason:  checker.Reason(m.Reason),
		}
		if m.Description != "" {
			if err := matcher.Description.UnmarshalText([]byte(m.Description)); err != nil {
				b.fail(fmt.Sprintf("%s.matchers.%d.description", path, i), "a regular expression of RE2", "%v", err)
				matcher.Description.Regexp = never // so that nothing more is said of it
			}
		}
		p.Matchers = append(p.Matchers, matcher)
	}
	complete, err := p.Complete()
	if err != nil {
		var names []string
		for _, pre := range checker.Presets() {
			names = append(names, pre.Name)
		}
		b.fail(path+".preset", DidYouMean(in.Preset, names), "unknown preset %q", in.Preset)
		return p
	}
	for _, pr := range complete.Validate() {
		b.fail(path+"."+pr.Field, pr.Hint, "%s", pr.Message)
	}
	return complete
}

func (b *builder) jq(path, text string) checker.JQ {
	q, err := checker.ParseJQ(text)
	if err != nil {
		b.fail(path, "an expression of jq", "%v", err)
	}
	return q
}

var never = regexp.MustCompile(`$^`)
