package config

import (
	"cmp"
	"context"
	"errors"
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
		b.fail(path+".provider", DidYouMean(in.Provider, slices.Collect(maps.Keys(c.Providers))), "unknown provider %q", in.Provider)
	}
	b.duration(path+".silence", in.Silence, &f.Silence)
	f.Learns = in.Silence == "" && !f.Polled()
	b.watching(path+".watching", in.Watching, &f)
	b.feedToken(path, in.FeedKeys, &f)
	if in.own == nil {
		b.fail(path+".type", DidYouMean(in.Type, feedTypes()), "unknown type %q of a feed", in.Type)
	} else {
		in.own.build(b, path, in.FeedKeys, &f)
	}
	b.format(path, in.FeedKeys, &f)
	for _, key := range in.misfit {
		b.fail(path+"."+key, "", "means nothing for a feed of type %s", in.Type)
	}
	return f
}

func (b *builder) feedToken(path string, in FeedKeys, f *Feed) {
	if in.Token != "" {
		var err error
		if f.Token, err = secret.ParseReference(in.Token); err != nil || f.Token.Scheme() == secret.SchemeSealed {
			b.fail(
				path+".token",
				"env:NAME, file:/path, exec:command, systemd:NAME or vault:mount/path#field",
				"not a reference that a feed can have",
			)
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

func (in *FileFeedIn) build(b *builder, path string, _ FeedKeys, f *Feed) {
	if len(in.Paths) == 0 {
		b.fail(path+".paths", "such as [/var/log/nginx/api.json]", "is missing")
	}
	for i, p := range in.Paths {
		if _, err := filepath.Match(p, ""); err != nil || !filepath.IsAbs(p) || filepath.Clean(p) != strings.TrimSuffix(p, "/") {
			at := fmt.Sprintf("%s.paths.%d", path, i)
			b.fail(at, "a file, a directory or a pattern, from the root: /var/log/nginx/*.json", "%q is not an absolute path", p)
			continue
		}
		f.Paths = append(f.Paths, p)
	}
}

func (*PushFeedIn) build(b *builder, path string, _ FeedKeys, f *Feed) {
	if f.Token.IsZero() {
		b.fail(path+".token", "env:NAME or another reference; those who push send it as a bearer token", "is missing")
	}
}

// times reads how often and from when on a log API is asked into every and spec.
func (in AskedIn) times(b *builder, path string, every *time.Duration, spec *feed.PollSpec) {
	b.duration(path+".every", in.Every, every)
	b.duration(path+".lag", in.Lag, &spec.Lag.Duration)
	b.duration(path+".first", in.First, &spec.First.Duration)
}

func (in *LogAPIFeedIn) build(b *builder, path string, keys FeedKeys, f *Feed) {
	preset, err := feed.FindPreset(keys.Type)
	if err != nil {
		panic(err) // newFeedType found it
	}
	spec, every := *preset.Poll, feed.DefaultEvery
	f.Partial = f.Partial || spec.Partial
	spec.Auth = cmp.Or(keys.AuthScheme, spec.Auth)
	in.times(b, path, &every, &spec)
	b.duration(path+".overlap", in.Overlap, &spec.Overlap.Duration)
	base := cmp.Or(in.URL, spec.Base)
	if base == "" {
		b.fail(path+".url", "the tenant's address, such as https://acme.okta.com", "is missing")
		return
	}
	if u, err := url.Parse(base); err != nil || u.Host == "" || !b.mayAsk(f.Provider, u) {
		b.fail(path+".url", "https://…", "not a URL with https")
		return
	}
	if f.Poll, err = feed.NewPoll(spec, base, every); err != nil {
		b.fail(path, "", "%v", err)
	}
}

// The first poll of a log API that no preset knows goes so far back.
const httpFirst = 7 * 24 * time.Hour

func (in *HTTPFeedIn) build(b *builder, path string, keys FeedKeys, f *Feed) {
	spec := feed.PollSpec{
		URL: in.URL, Items: in.Items, Next: in.Next, Cursor: in.Cursor, More: in.More, Link: in.Link, Auth: keys.AuthScheme,
	}
	spec.First.Duration = httpFirst
	if strings.Contains(in.URL, "{cursor}") && in.Cursor == "" {
		b.fail(path+".cursor", "jq such as .[-1].id", "is missing: the url has {cursor}")
	}
	every := feed.DefaultEvery
	in.times(b, path, &every, &spec)
	b.duration(path+".overlap", in.Overlap, &spec.Overlap.Duration)
	u, err := url.Parse(in.URL)
	if err != nil || u.Host == "" || !b.mayAsk(f.Provider, u) {
		b.fail(path+".url", "https://…, with {since}, {until} or {cursor}", "not a URL with https")
		return
	}
	if f.Poll, err = feed.NewPoll(spec, "", every); err != nil {
		b.fail(path, "", "%v", err)
	}
}

// A Prometheus is the operator's own server, so it may be in a private network whatever the provider may.
func (in *PrometheusFeedIn) build(b *builder, path string, keys FeedKeys, f *Feed) {
	preset, err := feed.FindPreset(keys.Type)
	if err != nil {
		panic(err) // embedded
	}
	spec, every := *preset.Poll, feed.DefaultPromQLEvery
	spec.Auth = cmp.Or(keys.AuthScheme, spec.Auth)
	in.times(b, path, &every, &spec)
	if u, err := url.Parse(in.URL); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.RawQuery != "" {
		b.fail(path+".url", "the server's address, such as http://prometheus:9090", "not a URL")
		return
	}
	if in.Label != "" && in.Query != "" {
		b.fail(path+".label", "a query's only label is the client's id, whatever its name", "goes with metric, not with query")
	}
	asked := feed.PromQL{Metric: in.Metric, Label: in.Label, Query: in.Query, Coverage: in.Coverage}
	if spec, err = asked.Fill(spec); err != nil {
		key, why, _ := strings.Cut(err.Error(), ": ")
		b.fail(path+"."+key, "PromQL, in which {span} stands for the time since it was last asked", "%s", why)
		return
	}
	if f.Poll, err = feed.NewPoll(spec, in.URL, every); err != nil {
		b.fail(path, "", "%v", err)
	}
	if keys.Silence == "" {
		f.Silence = f.Poll.Silence()
	}
}

func (b *builder) watching(path string, in *WatchingIn, f *Feed) {
	if in == nil {
		return
	}
	for key, share := range map[string]float64{"most_bad": in.MostBad, "least_named": in.LeastNamed, "loss_factor": in.LossFactor} {
		if share < 0 || share > 1 {
			b.fail(path+"."+key, "such as 0.05, for 5 %", "%v is out of range: from 0 to 1", share)
		}
	}
	if in.LeastNamedRecords < 0 {
		b.fail(path+".least_named_records", "", "%d is out of range: 0 or more", in.LeastNamedRecords)
	}
	f.Watching = feed.Watching(*in)
}

// mayAsk: https, or http where the provider may be in a private network.
func (b *builder) mayAsk(provider string, u *url.URL) bool {
	providers, _ := b.tree.root["providers"].(map[string]any)
	p, _ := providers[provider].(map[string]any)
	return u.Scheme == "https" || u.Scheme == "http" && p["allow_private_networks"] == true
}

func feedTypes() []string {
	types := []string{feed.TypeFile, feed.TypePush, feed.TypeHTTP}
	for _, p := range feed.Presets() {
		if p.Poll != nil {
			types = append(types, p.Name)
		}
	}
	return types
}

func (b *builder) format(path string, in FeedKeys, f *Feed) {
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
	if feed.IsFormatFile(name) {
		b.formatFile(path+".format", name, f)
		return
	}
	var err error
	if f.Format, err = feed.NewFormat(name, ""); err != nil {
		var known []string
		for _, p := range feed.Presets() {
			known = append(known, p.Name)
		}
		b.fail(path+".format", DidYouMean(name, known), "unknown format %q", name)
	}
	f.Partial = f.Partial || f.Format.Partial
}

// formatFile reads a format of the operator's own. Its path begins where the configuration is.
func (b *builder) formatFile(path, name string, f *Feed) {
	if !filepath.IsAbs(name) {
		name = filepath.Join(filepath.Dir(b.file), name)
	}
	var err error
	f.Format, err = feed.ReadFormat(context.Background(), name)
	if err != nil {
		hint := "a preset (keyrounds usage formats), or a file that ends in .yaml or .jq"
		if hinted := (interface{ Hint() string })(nil); errors.As(err, &hinted) && hinted.Hint() != "" {
			hint = hinted.Hint()
		}
		b.fail(path, hint, "%s", strings.TrimPrefix(err.Error(), "format: "))
	}
	f.Partial = f.Partial || f.Format.Partial
}
