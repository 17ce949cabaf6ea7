package config

import (
	"fmt"
	"maps"
	"regexp"
	"slices"

	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/credential"
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
		Name: name, Preset: in.Preset, TokenURL: in.TokenURL, AuthMethod: checker.AuthMethod(in.AuthMethod),
		AllowPrivateNetworks: in.AllowPrivateNetworks, Concurrency: in.Concurrency, Budget: in.Budget, RequestScopes: in.RequestScopes,
		Parameters: in.Parameters, RevocationURL: in.RevocationURL,
	}
	if in.Rate != "" {
		var err error
		if p.Rate, err = checker.ParseRate(in.Rate); err != nil {
			b.fail(path+".rate", "", "%v", err)
		}
	}
	if in.Assertion != nil {
		p.Assertion = checker.Assertion(*in.Assertion)
	}
	if in.TLS != nil {
		p.TLS = checker.TLS{CAFile: in.TLS.CAFile, CertFile: in.TLS.CertFile, KeyFile: in.TLS.KeyFile}
		if err := p.TLS.Load(); err != nil {
			b.fail(path+".tls", "files in PEM that this user can read", "%v", err)
		}
	}
	if in.Probes != nil {
		p.Probes = []checker.Probe{}
	}
	for _, pr := range in.Probes {
		p.Probes = append(p.Probes, checker.Probe{Scope: pr.Scope, Get: pr.Get, Expect: pr.Expect})
	}
	for i, m := range in.Matchers {
		matcher := checker.Matcher{Status: m.Status, Error: m.Error, Code: m.Code, Outcome: checker.Outcome(m.Outcome), Reason: checker.Reason(m.Reason)}
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
		b.fail(path+".preset", didYouMean(in.Preset, names), "unknown preset %q", in.Preset)
		return p
	}
	for _, pr := range complete.Validate() {
		b.fail(path+"."+pr.Field, pr.Hint, "%s", pr.Message)
	}
	return complete
}

var never = regexp.MustCompile(`$^`)
