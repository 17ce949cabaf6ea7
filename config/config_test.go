package config_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyrounds/keyrounds/config"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/usage/feed"
)

var update = flag.Bool("update", false, "write the expected messages anew")

// Each file in testdata/bad breaks one rule; beside it stands all that a person is told.
func TestBadFiles(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d files, error %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			_, err = config.Parse("config.yaml", text)
			var problems *config.Errors
			if !errors.As(err, &problems) {
				t.Fatalf("it is accepted, or fails otherwise: %v", err)
			}
			var got string
			for _, p := range problems.Problems {
				got += p.String() + "\n"
			}
			golden := strings.TrimSuffix(file, ".yaml") + ".txt"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Error(diff)
			}
			if strings.Contains(got, "c4n4ry") {
				t.Errorf("the message shows a secret: %s", got)
			}
		})
	}
}

// What is out of range says what was given and what is allowed.
func TestOutOfRange(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/bad/out-of-range.txt")
	if err != nil {
		t.Fatal(err)
	}
	told := regexp.MustCompile(`: "?-?[0-9]\S* is out of range: (from \S+ to \d|\d+ to \d|above \S+, to \d|at most \d|\S+ or more)`)
	var found int
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "config.yaml:") || strings.Contains(line, "is missing") {
			continue
		}
		found++
		if !told.MatchString(line) {
			t.Error(line)
		}
	}
	if found < 14 {
		t.Errorf("only %d", found)
	}
}

// config.example.yaml is valid on any machine, and shows every key that the schema has.
func TestTheExampleShowsEveryKey(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../config.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c, err := config.Parse("config.example.yaml", text)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(c.Feeds, func(f config.Feed) bool { return f.Type == feed.TypePrometheus })
	// A poll that is due, and the lag, are no silence.
	if f := c.Feeds[i]; f.Poll.Every != 15*time.Minute || f.Silence != 31*time.Minute {
		t.Errorf("feed %s is asked every %s, and silent after %s", f.Name, f.Poll.Every, f.Silence)
	}
	var schema struct {
		Defs map[string]struct {
			Properties map[string]any `json:"properties"`
		} `json:"$defs"`
	}
	printed, err := config.Schema()
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(printed, &schema); err != nil {
		t.Fatal(err)
	}
	keys := 0
	for section, def := range schema.Defs {
		for key := range def.Properties {
			keys++
			if !regexp.MustCompile(`(?m)[\s{#]` + key + `:`).Match(text) {
				t.Errorf("the key %s of %s is not shown", key, section)
			}
		}
	}
	if keys < 40 {
		t.Errorf("the schema names only %d keys", keys)
	}
}

func TestTheDesignsExample(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/design.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c, err := config.Parse("design.yaml", text)
	if err != nil {
		t.Fatal(err)
	}
	p := c.Providers["smartrecruiters"]
	if p.Rate != 10 || p.Concurrency != 8 || len(p.Probes) != 1 || p.ConsoleURL == "" {
		t.Errorf("provider %+v", p)
	}
	cred := c.Credentials[0]
	if cred.UnusedAfter != 90*24*time.Hour || cred.MaxAge != 365*24*time.Hour || cred.Created.Format(time.DateOnly) != "2025-03-01" ||
		len(cred.ExpectedNetworks) != 1 {
		t.Errorf("credential %+v", cred)
	}
	if c.Keep != 13 || len(c.Policy.Confirm) != 2 || c.Policy.Incident.Share != 0.5 || c.Slack.Channel != "#credential-alerts" {
		t.Errorf("config %+v", c)
	}
}

// A file that configures nothing is valid; one that says nothing (testdata/bad/empty.yaml) may be cut short.
func TestNothingConfigured(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"{}\n", "credentials:\n"} {
		c, err := config.Parse("c", []byte(text))
		if err != nil || c.Listen != "127.0.0.1:8181" {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// A webhook's address in place of a reference is a secret that an error must not show.
func TestNoWebhookInAnError(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`slack: {webhook_url: https://hooks.slack.example/services/T0/B0/c4n4ry}`,
		`slack: {webhook_url: "https://chat.example/api/c4n4ryc4n4ryc4n4ry"}`,
		"heartbeat:\n  url: https://hc.example/c4n4ry00-b8a1-11f0-9b52-3d6f2d9a2f10\n",
		`receivers: [{name: a, url: "https://hooks.chat.example/c4n4ry"}]`,
		`receivers: [{name: a, type: teams, url: "https://logic.example/workflows/x?sp=run&sig=c4n4ry"}]`,
		`receivers: [{name: a, type: pagerduty, routing_key: c4n4ry}, {name: b, type: opsgenie, api_key: c4n4ry}]`,
		`receivers: [{name: a, type: mail, url: "smtp://u:c4n4ry@host", password: c4n4ry}]`,
	} {
		_, err := config.Parse("c", []byte(text+"\nnope: 1\n"))
		if err == nil || strings.Contains(fmt.Sprintf("%+v", err), "c4n4ry") {
			t.Errorf("%s: %+v", text, err)
		}
	}
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	c, err := config.Parse("c", []byte(`
providers: {p: {token_url: "https://a.example/t", budget: 100, min_interval: 2m}}
credentials:
  - {name: a, provider: p, client_id: x, secret: "env:A", schedule: "@every 1m"}
  - {name: b, provider: p, client_id: x, secret: "env:B"}
`))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, w := range c.Warnings {
		all = append(all, w.Message)
	}
	for _, want := range []string{
		"the same client as", "each one is a token request", "more than the budget", "is checked every 2m at most, not every 1m",
	} {
		if !strings.Contains(strings.Join(all, "\n"), want) {
			t.Errorf("no warning %q in %q", want, all)
		}
	}
}

// Schedules that cannot be kept are warned of, with what limits them and what would do.
func TestWarningsOfCapacity(t *testing.T) {
	t.Parallel()
	for _, k := range []struct{ name, provider, message, hint string }{
		{"enough", "concurrency: 4, rate: 1000/s", "", ""},
		{
			"concurrency", "concurrency: 1, rate: 1000/s",
			"the schedules add up to 10.0 checks a second, and 5.0 are possible if a check takes as long as is assumed: " +
				"concurrency 1 at 200 ms a check allows 5.0 a second, rate allows 1000.0 a second",
			"concurrency 3, if the provider bears that; or schedules 2.0 times as long",
		},
		{
			"rate", "concurrency: 4, rate: 2/s",
			"the schedules add up to 10.0 checks a second, and 2.0 are possible if a check takes as long as is assumed: " +
				"concurrency 4 at 200 ms a check allows 20.0 a second, rate allows 2.0 a second",
			"rate 11/s, if the provider bears that; or schedules 5.0 times as long",
		},
		{"slowed down", "concurrency: 1, rate: 2/s, min_interval: 5s", "", ""},
	} {
		text := fmt.Sprintf("providers: {p: {token_url: \"https://a.example/t\", %s}}\ncredentials:\n", k.provider)
		for i := range 10 {
			text += fmt.Sprintf("  - {name: c%[1]d, provider: p, client_id: x%[1]d, secret: \"env:A\", schedule: \"@every 1s\"}\n", i)
		}
		c, err := config.Parse("c", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		var message, hint string
		for _, w := range c.Warnings {
			if strings.Contains(w.Message, "add up to") {
				message, hint = strings.TrimPrefix(w.Message, `provider "p": `), w.Hint
			}
		}
		if message != k.message || hint != k.hint {
			t.Errorf("%s: %q (%q), want %q (%q)", k.name, message, hint, k.message, k.hint)
		}
	}
}

// What a check costs at known kinds of provider is said before it is spent.
func TestWarningsOfKnownEffects(t *testing.T) {
	t.Parallel()
	for preset, want := range map[string]string{
		"auth0":   "1217 token requests a month; every token counts",
		"cognito": "730 token requests a month, which cost about $1.64",
		"zoho":    "a new one pushes out the oldest",
	} {
		text := fmt.Sprintf(`
providers: {p: {preset: %s, token_url: "https://a.example/t"}}
credentials: [`, preset)
		n := 1
		if preset == "auth0" {
			n = 10 // one alone stays within the quota
		}
		for i := range n {
			text += fmt.Sprintf(`{name: a%[1]d, provider: p, client_id: x%[1]d, secret: "env:A"},`, i)
		}
		c, err := config.Parse("c", []byte(text+"]"))
		if err != nil {
			t.Fatal(err)
		}
		if len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0].Message, want) {
			t.Errorf("%s: %q, want %q", preset, c.Warnings, want)
		}
	}
}

func TestAliasesAreBounded(t *testing.T) {
	t.Parallel()
	bomb := "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
	for i := range 8 {
		n, p := string(rune('b'+i)), string(rune('a'+i))
		bomb += n + ": &" + n + " [" + strings.Repeat("*"+p+",", 10) + "]\n"
	}
	_, err := config.Parse("c", []byte(bomb))
	if err == nil || !strings.Contains(err.Error(), "stand for too much") {
		t.Errorf("%v", err)
	}
	_, err = config.Parse("c", []byte(`defaults: &d {schedule: '@daily'}
verdict: {}
providers:
  p: &p {token_url: 'https://a.example/t'}
  q: *p
  r: {<<: *p, rate: 1/s}
`))
	if err != nil {
		t.Errorf("ordinary aliases: %v", err)
	}
}

// What is nested very deeply is refused before it is parsed, which took a time that grew by the square.
func TestDeepNestingIsRefused(t *testing.T) {
	t.Parallel()
	const n = 300_000
	for name, text := range map[string]string{
		"lists":        "a: " + strings.Repeat("[", n) + strings.Repeat("]", n),
		"lists, open":  "a: " + strings.Repeat("[", n),
		"maps":         "a: " + strings.Repeat("{a: ", n) + strings.Repeat("}", n),
		"block lists":  "a:\n  " + strings.Repeat("- ", n) + "x",
		"complex keys": "a:\n  " + strings.Repeat("? ", n) + "x",
	} {
		if _, err := config.Parse("c", []byte(text)); err == nil || !strings.Contains(err.Error(), "nested too deeply") {
			t.Errorf("%s: %.200v", name, err)
		}
	}
}

func TestManyCredentials(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("providers: {p: {token_url: 'https://a.example/t', rate: 1000/s}}\ncredentials:\n")
	for i := range 5000 {
		fmt.Fprintf(&b, "  - {name: c%d, provider: p, client_id: id%d, secret: 'env:S%d'}\n", i, i, i)
	}
	c, err := config.Parse("c", []byte(b.String()))
	if err != nil || len(c.Credentials) != 5000 {
		t.Fatal(err)
	}
}

func FuzzParse(f *testing.F) {
	files, _ := filepath.Glob("testdata/bad/*.yaml")
	for _, file := range files {
		text, _ := os.ReadFile(file)
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := config.Parse("c", text)
		if (c == nil) == (err == nil) {
			t.Errorf("config %v, error %v", c, err)
		}
	})
}

// A number needs no quotes where a word may stand as well.
func TestLockoutIsAWordOrANumber(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{"4": "4", `"4"`: "4", "none": "none", "unknown": "unknown", `""`: "unknown"} {
		c, err := config.Parse("config.yaml", []byte("providers:\n  sr: {preset: smartrecruiters, lockout: "+given+"}\n"))
		if err != nil {
			t.Errorf("%s: %v", given, err)
		} else if got := c.Providers["sr"].Lockout.String(); got != want {
			t.Errorf("%s is read as %s", given, got)
		}
	}
}

// The form of the example, a pager and a channel of Slack, tells both; without Slack config check says that nobody is told there.
func TestAChannelBesideAPager(t *testing.T) {
	t.Parallel()
	text := "receivers: [{name: pager, url: env:PAGER_URL}]\n" +
		"notifications: {escalate_after: 30m, escalate_to: {receivers: [pager], channel: \"#on-call\", mention: \"<!here>\"}}\n"
	c, err := config.Parse("config.yaml", []byte(text+"slack: {token: env:SLACK, channel: \"#alerts\"}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(c.Notify.Escalated(finding.Finding{}, 0, c.ReceiverNames())),
		"[{slack {#on-call <!here>}} {pager {#on-call <!here>}}]"; got != want {
		t.Errorf("%s are told, want %s", got, want)
	}
	c, err = config.Parse("config.yaml", []byte(text))
	if err != nil || !strings.Contains(fmt.Sprint(c.Warnings), "no receiver has channels") {
		t.Errorf("without Slack: warnings %v, error %v", c.Warnings, err)
	}
}
