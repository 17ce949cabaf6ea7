package config_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/keyrounds/keyrounds/config"
	"github.com/keyrounds/keyrounds/usage/feed"
)

// A key that only another type of feeds has is refused with the type's name, unless it says the same as its absence.
func TestKeysOfAnotherTypeOfFeed(t *testing.T) {
	t.Parallel()
	values := map[string]string{
		"paths": "[/var/log/x.json]", "url": "'https://logs.example.com'", "every": "5m", "lag": "1m", "first": "7d", "overlap": "1m",
		"items": ".items", "next": ".next", "cursor": "'.[-1].id'", "link": "true",
		"metric": "requests_total", "label": "client", "query": "q", "coverage": "up",
	}
	absent := map[string]string{"paths": "[]", "link": "false"}
	asked := " url every lag first"
	for kind, k := range map[string]struct{ needs, has string }{
		"file":       {"paths: [/var/log/x.json]", "paths"},
		"push":       {"token: env:T", ""},
		"okta":       {"url: 'https://acme.okta.com'", "overlap" + asked},
		"http":       {"url: 'https://logs.example.com/x'", "overlap items next cursor link" + asked},
		"prometheus": {"url: 'http://prometheus:9090', metric: requests_total", "metric label query coverage" + asked},
	} {
		for key, value := range values {
			if strings.HasPrefix(k.needs, key+":") || strings.Contains(k.needs, ", "+key+":") {
				continue
			}
			parse := func(value string) string {
				_, err := config.Parse("config.yaml", fmt.Appendf(
					nil,
					"providers: {p: {preset: smartrecruiters}}\nfeeds:\n  - {name: a, provider: p, type: %s, %s, %s: %s}\n",
					kind,
					k.needs,
					key,
					value,
				))
				return fmt.Sprint(err)
			}
			own := strings.Contains(" "+k.has+" ", " "+key+" ")
			if text := parse(value); strings.Contains(text, key+": means nothing for a feed of type "+kind) == own {
				t.Errorf("%s of a feed of type %s: %s", key, kind, text)
			}
			if none, ok := absent[key]; ok && strings.Contains(parse(none), "means nothing") {
				t.Errorf("%s: %s of a feed of type %s is refused", key, none, kind)
			}
		}
	}
}

// A feed whose format cannot see every use is partial, whether its file says so or not: its silence proves nothing.
func TestFormatsThatSeeSomeUsesArePartial(t *testing.T) {
	t.Parallel()
	partial := 0
	for _, p := range feed.Presets() {
		c, err := config.Parse("config.yaml", fmt.Appendf(
			nil,
			"providers: {p: {preset: smartrecruiters}}\nfeeds: [{name: a, provider: p, type: push, token: env:T, format: %s}]\n",
			p.Name,
		))
		if err != nil {
			t.Fatal(err)
		}
		if c.Feeds[0].Partial != p.Partial {
			t.Errorf("%s: the feed is partial %v, the format says %v", p.Name, c.Feeds[0].Partial, p.Partial)
		}
		if p.Partial {
			partial++
		}
	}
	if partial == 0 {
		t.Error("no format is partial")
	}
}
