package config

import (
	"fmt"
	"maps"
	"net/url"
	"path/filepath"
	"slices"
	"time"

	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/leak"
	"github.com/keyrounds/keyrounds/leak/intake"
	"github.com/keyrounds/keyrounds/secret"
)

// Leaks says where registered secrets are looked for, and who reports them.
type Leaks struct {
	Sources      []leak.Source
	Webhooks     []intake.Webhook
	Transmitters []intake.Transmitter
	TryEvery     time.Duration
}

func (b *builder) leaks(c *Config, in *LeaksIn) {
	c.Leaks.TryEvery = 15 * time.Minute
	if in == nil {
		return
	}
	b.duration("leaks.try_every", in.TryEvery, &c.Leaks.TryEvery)
	if c.Leaks.TryEvery < time.Second {
		b.fail("leaks.try_every", "15m is usual", "%s is out of range: 1s or more", c.Leaks.TryEvery)
	}
	names := map[string]bool{}
	for i, s := range in.Sources {
		path := fmt.Sprintf("leaks.sources.%d", i)
		b.leakName(path, s.Name, names)
		c.Leaks.Sources = append(c.Leaks.Sources, b.leakSource(c, path, s))
	}
	names = map[string]bool{} // of those that have a URL
	for i, w := range in.Webhooks {
		path := fmt.Sprintf("leaks.webhooks.%d", i)
		b.leakName(path, w.Name, names)
		c.Leaks.Webhooks = append(c.Leaks.Webhooks, b.webhook(path, w))
	}
	for i, t := range in.Transmitters {
		path := fmt.Sprintf("leaks.transmitters.%d", i)
		b.leakName(path, t.Name, names)
		c.Leaks.Transmitters = append(c.Leaks.Transmitters, b.transmitter(c, path, t))
	}
}

func (b *builder) leakName(path, name string, names map[string]bool) {
	switch {
	case !credential.ValidName(name):
		b.fail(path+".name", "lower-case letters, digits and hyphens", "%q is not a valid name", name)
	case names[name]:
		b.fail(path+".name", "each has a name of its own", "the name %q is given twice", name)
	}
	names[name] = true
}

func (b *builder) leakSource(c *Config, path string, in LeakSourceIn) leak.Source {
	s := leak.Source{
		Name: in.Name, Path: in.Path, Schedule: in.Schedule, History: in.History == nil || *in.History,
		Unreachable: in.Unreachable,
	}
	if !filepath.IsAbs(in.Path) {
		b.fail(path+".path", "from the root: /srv/git/backend.git", "%q is not an absolute path", in.Path)
	}
	if s.Schedule == "" {
		s.Schedule = "30 3 * * *"
	}
	if _, err := credential.ParseSchedule(s.Schedule, c.Zone); err != nil {
		b.fail(path+".schedule", credential.ScheduleHint, "%v", err)
	}
	if s.Unreachable && !s.History {
		b.fail(path+".unreachable", "history: true", "without its history there are no objects")
	}
	return s
}

func (b *builder) webhook(path string, in WebhookIn) intake.Webhook {
	w := intake.Webhook{Name: in.Name, Type: in.Type, API: in.API, Keys: in.Keys, AllowPrivateNetworks: in.AllowPrivateNetworks}
	if !slices.Contains(intake.WebhookTypes(), in.Type) {
		b.fail(path+".type", DidYouMean(in.Type, intake.WebhookTypes()), "unknown type %q of a webhook", in.Type)
		return w
	}
	partner, github := in.Type == intake.GitHubPartner, in.Type == intake.GitHub
	w.Secret = b.leakReference(path+".secret", in.Secret, !partner, "what deliveries are signed with")
	w.Token = b.leakReference(path+".token", in.Token, github,
		"a delivery of GitHub does not hold the secret: it is fetched with this token")
	if partner && w.Keys == "" {
		w.Keys = "https://api.github.com/meta/public_keys/secret_scanning"
	}
	for key, set := range map[string]bool{
		"secret": partner && in.Secret != "", "token": !github && in.Token != "", "api": !github && in.API != "",
		"keys": !partner && in.Keys != "",
	} {
		if set {
			b.fail(path+"."+key, "leave it out", "a webhook of type %s has none", in.Type)
		}
	}
	if in.API != "" && !safeURL(in.API, in.AllowPrivateNetworks) {
		b.fail(path+".api", "https://github.example.com/api/v3", "not a URL with https")
	}
	if partner && !safeURL(w.Keys, in.AllowPrivateNetworks) && !filepath.IsAbs(w.Keys) {
		b.fail(path+".keys", "https://… or /etc/keyrounds/github-keys.json", "neither a URL with https nor an absolute path")
	}
	return w
}

func (b *builder) leakReference(path, text string, wanted bool, what string) secret.Reference {
	if text == "" {
		if wanted {
			b.fail(path, "env:NAME or another reference: "+what, "is missing")
		}
		return secret.Reference{}
	}
	ref, err := secret.ParseReference(text)
	if err != nil || ref.Scheme() == secret.SchemeSealed {
		b.fail(
			path,
			"env:NAME, file:/path, exec:command, systemd:NAME or vault:mount/path#field",
			"not a reference that a webhook can have",
		)
	}
	return ref
}

func (b *builder) transmitter(c *Config, path string, in TransmitterIn) intake.Transmitter {
	if _, ok := c.Providers[in.Provider]; !ok {
		b.fail(path+".provider", DidYouMean(in.Provider, slices.Collect(maps.Keys(c.Providers))), "unknown provider %q", in.Provider)
	}
	for key, text := range map[string]string{"issuer": in.Issuer, "audience": in.Audience} {
		if text == "" {
			b.fail(path+"."+key, "as the transmitter's configuration has it", "is missing")
		}
	}
	if !safeURL(in.JWKSURL, in.AllowPrivateNetworks) {
		b.fail(path+".jwks_url", "https://…", "not a URL with https")
	}
	return intake.Transmitter{
		Name: in.Name, Provider: in.Provider, Issuer: in.Issuer, Audience: in.Audience, JWKSURL: in.JWKSURL,
		AllowPrivateNetworks: in.AllowPrivateNetworks,
	}
}

// safeURL: https, or http to one's own network.
func safeURL(text string, private bool) bool {
	u, err := url.Parse(text)
	return err == nil && u.Host != "" && u.User == nil && (u.Scheme == "https" || private && u.Scheme == "http")
}
