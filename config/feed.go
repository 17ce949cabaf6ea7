package config

import (
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/secret"
	"github.com/keyrounds/keyrounds/usage/feed"
)

// httpFeed is the type of a log API that no preset knows.
const httpFeed = "http"

func (b *builder) feeds(c *Config, f File) {
	for i, text := range f.Egress {
		a, err := netip.ParseAddr(text)
		if err != nil {
			b.fail(fmt.Sprintf("egress_addresses.%d", i), "an address such as 203.0.113.7", "%q is not an address", text)
			continue
		}
		c.Egress = append(c.Egress, a.Unmap())
	}
	names := map[string]bool{}
	for i, in := range f.Feeds {
		path := fmt.Sprintf("feeds.%d", i)
		if names[in.Name] {
			b.fail(path+".name", "each feed has a name of its own", "the name %q is given twice", in.Name)
		}
		names[in.Name] = true
		f := b.feed(c, path, in)
		f.Addresses = c.Egress
		c.Feeds = append(c.Feeds, f)
	}
}

func (b *builder) feed(c *Config, path string, in FeedIn) Feed {
	f := Feed{Credential: in.Credential}
	f.Name, f.Provider, f.Type, f.Partial, f.Keep, f.Silence = in.Name, in.Provider, in.Type, in.Partial, in.Keep, feed.DefaultSilence
	if !credential.ValidName(in.Name) {
		b.fail(path+".name", "lower-case letters, digits and hyphens", "%q is not a valid name", in.Name)
	}
	if _, ok := c.Providers[in.Provider]; !ok {
		b.fail(path+".provider", didYouMean(in.Provider, slices.Collect(maps.Keys(c.Providers))), "unknown provider %q", in.Provider)
	}
	b.duration(path+".silence", in.Silence, &f.Silence)
	b.feedToken(c, path, in, &f)
	switch {
	case in.Type == feed.TypeFile:
		b.filePaths(path, in, &f)
	case in.Type == feed.TypePush:
		if f.Token.IsZero() {
			b.fail(path+".token", "env:NAME or another reference; those who push send it as a bearer token", "is missing")
		}
	case in.Type == feed.TypePrometheus:
		b.prometheus(path, in, &f)
	default:
		b.poll(path, in, &f)
	}
	b.format(path, in, &f)
	b.onlyFor(path, in)
	return f
}

func (b *builder) feedToken(c *Config, path string, in FeedIn, f *Feed) {
	if in.Token != "" {
		var err error
		if f.Token, err = secret.ParseReference(in.Token); err != nil || f.Token.Scheme() == secret.SchemeSealed {
			b.fail(path+".token", "env:NAME, file:/path, exec:command or systemd:NAME", "not a reference that a feed can have")
		}
	}
	if in.Credential == "" {
		return
	}
	if in.Token != "" {
		b.fail(path+".credential", "one of the two", "token and credential are both given")
	}
	if in.Type == feed.TypeFile || in.Type == feed.TypePush {
		b.fail(path+".credential", "token, or none", "a %s feed asks no log API", in.Type)
	}
	if !credential.ValidName(in.Credential) {
		b.fail(path+".credential", "the name of a registered credential", "%q is not a credential's name", in.Credential)
	}
}

func (b *builder) filePaths(path string, in FeedIn, f *Feed) {
	if len(in.Paths) == 0 {
		b.fail(path+".paths", "such as [/var/log/nginx/api.json]", "is missing")
	}
	for i, p := range in.Paths {
		if _, err := filepath.Match(p, ""); err != nil || !filepath.IsAbs(p) || filepath.Clean(p) != strings.TrimSuffix(p, "/") {
			b.fail(fmt.Sprintf("%s.paths.%d", path, i), "a file, a directory or a pattern, from the root: /var/log/nginx/*.json", "%q is not an absolute path", p)
			continue
		}
		f.Paths = append(f.Paths, p)
	}
}

// poll reads what a log API is asked with.
func (b *builder) poll(path string, in FeedIn, f *Feed) {
	var spec feed.PollSpec
	if in.Type != httpFeed {
		p, err := feed.FindPreset(in.Type)
		if err != nil || p.Poll == nil {
			b.fail(path+".type", didYouMean(in.Type, feedTypes()), "unknown type %q of a feed", in.Type)
			return
		}
		spec = *p.Poll
		f.Partial = f.Partial || spec.Partial
	} else {
		spec.First.Duration = 7 * 24 * time.Hour
		spec = feed.PollSpec{First: spec.First, URL: in.URL, Items: in.Items, Next: in.Next, Cursor: in.Cursor, Link: in.Link}
		if strings.Contains(in.URL, "{cursor}") && in.Cursor == "" {
			b.fail(path+".cursor", "jq such as .[-1].id", "is missing: the url has {cursor}")
		}
	}
	if in.AuthScheme != "" {
		spec.Auth = in.AuthScheme
	}
	every := feed.DefaultEvery
	for key, at := range map[string]struct {
		text string
		into *time.Duration
	}{"every": {in.Every, &every}, "overlap": {in.Overlap, &spec.Overlap.Duration}, "lag": {in.Lag, &spec.Lag.Duration}, "first": {in.First, &spec.First.Duration}} {
		b.duration(path+"."+key, at.text, at.into)
	}
	base := in.URL
	if in.Type == httpFeed {
		base = ""
	}
	if base == "" {
		base = spec.Base
	}
	if base == "" && in.Type != httpFeed {
		b.fail(path+".url", "the tenant's address, such as https://acme.okta.com", "is missing")
		return
	}
	if u, err := url.Parse(base); in.Type != httpFeed && (err != nil || u.Host == "" || !b.mayAsk(f.Provider, u)) {
		b.fail(path+".url", "https://…", "not a URL with https")
		return
	}
	if u, err := url.Parse(in.URL); in.Type == httpFeed && (err != nil || u.Host == "" || !b.mayAsk(f.Provider, u)) {
		b.fail(path+".url", "https://…, with {since}, {until} or {cursor}", "not a URL with https")
		return
	}
	var err error
	if f.Poll, err = feed.NewPoll(spec, base, every); err != nil {
		b.fail(path, "", "%v", err)
	}
}

// prometheus reads what a Prometheus is asked. It is the operator's own server, so it may be in a private network
// whatever the provider may.
func (b *builder) prometheus(path string, in FeedIn, f *Feed) {
	preset, err := feed.FindPreset(in.Type)
	if err != nil {
		panic(err) // embedded
	}
	spec := *preset.Poll
	if in.AuthScheme != "" {
		spec.Auth = in.AuthScheme
	}
	every := feed.DefaultPromQLEvery
	b.duration(path+".every", in.Every, &every)
	b.duration(path+".lag", in.Lag, &spec.Lag.Duration)
	b.duration(path+".first", in.First, &spec.First.Duration)
	if u, err := url.Parse(in.URL); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.RawQuery != "" {
		b.fail(path+".url", "the server's address, such as http://prometheus:9090", "not a URL")
		return
	}
	if in.Label != "" && in.Query != "" {
		b.fail(path+".label", "a query's only label is the client's id, whatever its name", "goes with metric, not with query")
	}
	if spec, err = (feed.PromQL{Metric: in.Metric, Label: in.Label, Query: in.Query, Coverage: in.Coverage}).Fill(spec); err != nil {
		key, why, _ := strings.Cut(err.Error(), ": ")
		b.fail(path+"."+key, "PromQL, in which {span} stands for the time since it was last asked", "%s", why)
		return
	}
	if f.Poll, err = feed.NewPoll(spec, in.URL, every); err != nil {
		b.fail(path, "", "%v", err)
	}
	if in.Silence == "" {
		f.Silence = f.Poll.Silence()
	}
}

// mayAsk: https, or http where the provider may be in a private network.
func (b *builder) mayAsk(provider string, u *url.URL) bool {
	p, _ := b.tree.root["providers"].(map[string]any)[provider].(map[string]any)
	return u.Scheme == "https" || u.Scheme == "http" && p["allow_private_networks"] == true
}

func feedTypes() []string {
	types := []string{feed.TypeFile, feed.TypePush, httpFeed}
	for _, p := range feed.Presets() {
		if p.Poll != nil {
			types = append(types, p.Name)
		}
	}
	return types
}

func (b *builder) format(path string, in FeedIn, f *Feed) {
	if in.JQ != "" {
		if in.Format != "" {
			b.fail(path+".jq", "one of the two", "format and jq are both given")
		}
		var err error
		if f.Format, err = feed.NewFormat("", in.JQ); err != nil {
			b.fail(path+".jq", "an expression of jq that gives {client_id, at, …}", "%v", err)
		}
		return
	}
	name := in.Format
	if name == "" {
		name = "plain"
		if p, err := feed.FindPreset(in.Type); err == nil && p.Poll != nil {
			name = in.Type
		}
	}
	var err error
	if f.Format, err = feed.NewFormat(name, ""); err != nil {
		var known []string
		for _, p := range feed.Presets() {
			known = append(known, p.Name)
		}
		b.fail(path+".format", didYouMean(name, known), "unknown format %q", name)
	}
}

// onlyFor refuses keys that mean nothing for a feed's type.
func (b *builder) onlyFor(path string, in FeedIn) {
	polled := in.Type != feed.TypeFile && in.Type != feed.TypePush
	for key, wrong := range map[string]bool{
		"paths":    len(in.Paths) > 0 && in.Type != feed.TypeFile,
		"url":      in.URL != "" && !polled,
		"every":    in.Every != "" && !polled,
		"items":    in.Items != "" && in.Type != httpFeed,
		"next":     in.Next != "" && in.Type != httpFeed,
		"cursor":   in.Cursor != "" && in.Type != httpFeed,
		"link":     in.Link && in.Type != httpFeed,
		"overlap":  in.Overlap != "" && (!polled || in.Type == feed.TypePrometheus),
		"lag":      in.Lag != "" && !polled,
		"first":    in.First != "" && !polled,
		"metric":   in.Metric != "" && in.Type != feed.TypePrometheus,
		"label":    in.Label != "" && in.Type != feed.TypePrometheus,
		"query":    in.Query != "" && in.Type != feed.TypePrometheus,
		"coverage": in.Coverage != "" && in.Type != feed.TypePrometheus,
	} {
		if wrong {
			b.fail(path+"."+key, "", "means nothing for a feed of type %s", in.Type)
		}
	}
}
