// Package deploy_test holds what is deployed beside the daemon to the real programs: Prometheus, promtool,
// amtool, and a live keyrounds.
package deploy_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/keyrounds/keyrounds/test/lasting"
	"github.com/keyrounds/keyrounds/test/promtest"
)

// A real Prometheus scrapes a live demo: every panel's query and every rule answers, none with an unknown
// metric, and no panel is empty.
func TestLive(t *testing.T) {
	lasting.Test(t, "it runs a Prometheus")
	t.Parallel()
	live := watchDemo(t)
	live.awaitStory(t)
	<-live.secretsBack
	t.Run("scrape", live.scrape)
	t.Run("panels", live.panels)
	t.Run("rules", live.rules)
	t.Run("texts", live.texts)
	t.Run("variables", live.variables)
	t.Run("runbooks", live.runbooks)
	if *pictures != "" {
		live.draw(t)
	}
}

// live is a demo that a Prometheus scrapes.
type live struct {
	*promtest.Server
	began   time.Time
	known   map[string]bool // metrics
	binary  string
	config  string
	address string // of its pages
	// secretsBack is closed when the story has given back the secrets that it took away, or is over: until then
	// `config check` rightly fails.
	secretsBack chan struct{}
	seen        map[string]v1.Alert // that fired while the story went on, by their labels
}

func watchDemo(t *testing.T) *live {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "keyrounds")
	if out, err := exec.Command("go", "build", "-o", binary, "../cmd/keyrounds").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	cmd := exec.Command(binary, "demo", "--for", "5m")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	address, config, secretsBack := make(chan string, 1), make(chan string, 1), make(chan struct{})
	go func() { // reads on to the end, so that the demo never waits for us
		back := sync.OnceFunc(func() { close(secretsBack) })
		defer back()
		page, file := regexp.MustCompile(`pages +http://([^/]+)/`), regexp.MustCompile(`--config (\S+)`)
		for s := bufio.NewScanner(out); s.Scan(); {
			if m := page.FindStringSubmatch(s.Text()); m != nil {
				address <- m[1]
			}
			if m := file.FindStringSubmatch(s.Text()); m != nil {
				config <- m[1]
			}
			if strings.Contains(s.Text(), "the secrets are back") {
				back()
			}
		}
	}()
	l := &live{known: knownMetrics(t), binary: binary, secretsBack: secretsBack, seen: map[string]v1.Alert{}}
	select {
	case a := <-address:
		l.began, l.config, l.address = time.Now(), <-config, a
		l.Server = promtest.Start(
			t,
			promtest.ScrapeWith("keyrounds", a, "rule_files: [rules.yml]\n", filepath.Join(filepath.Dir(l.config), "scrape-token")),
			map[string][]byte{"rules.yml": quickRules(t)},
		)
	case <-time.After(time.Minute):
		t.Fatal("the demo does not say where its pages are")
	}
	return l
}

// quickRules are the rules, evaluated so often that a test sees all of them.
func quickRules(t *testing.T) []byte {
	t.Helper()
	b, err := os.ReadFile("prometheus/keyrounds.rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	return regexp.MustCompile(`(?m)^    interval: .*$`).ReplaceAll(b, []byte("    interval: 1s"))
}

// knownMetrics are those that the code registers, and those that the rules record.
func knownMetrics(t *testing.T) map[string]bool {
	t.Helper()
	text, err1 := os.ReadFile("../docs/reference/metrics.md")
	rules, err2 := os.ReadFile("prometheus/keyrounds.rules.yml")
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	known := map[string]bool{
		"ALERTS":                        true,
		"go_goroutines":                 true,
		"process_resident_memory_bytes": true,
		"process_cpu_seconds_total":     true,
	}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| ([a-z]+) ").FindAllStringSubmatch(string(text), -1) {
		known[m[1]] = true
		if m[2] == "histogram" {
			known[m[1]+"_bucket"], known[m[1]+"_sum"], known[m[1]+"_count"] = true, true, true
		}
	}
	for _, m := range regexp.MustCompile(`(?m)^      - record: (.+)$`).FindAllStringSubmatch(string(rules), -1) {
		known[m[1]] = true
	}
	return known
}

// unknown returns what an expression asks for that nobody shows.
func (l *live) unknown(t *testing.T, expr string) (names []string) {
	t.Helper()
	e, err := parser.NewParser(parser.Options{}).ParseExpr(expr)
	if err != nil {
		t.Errorf("%s: %v", expr, err)
		return nil
	}
	parser.Inspect(e, func(n parser.Node, _ []parser.Node) error {
		if s, ok := n.(*parser.VectorSelector); ok && !l.known[s.Name] {
			names = append(names, s.Name)
		}
		return nil
	})
	return names
}

// A dashboard's JSON, as Grafana reads it.
type board struct {
	Title      string  `json:"title"`
	Panels     []panel `json:"panels"`
	Templating struct {
		List []struct {
			Name  string          `json:"name"`
			Type  string          `json:"type"`
			Query json.RawMessage `json:"query"`
		} `json:"list"`
	} `json:"templating"`
}

type panel struct {
	Type    string `json:"type"`
	Title   string `json:"title"`
	GridPos struct{ X, Y, W, H int }
	Targets []struct {
		Expr         string `json:"expr"`
		Instant      bool   `json:"instant"`
		LegendFormat string `json:"legendFormat"`
	} `json:"targets"`
	FieldConfig struct {
		Defaults struct {
			Unit   string `json:"unit"`
			Custom struct {
				Stacking struct{ Mode string } `json:"stacking"`
			} `json:"custom"`
		} `json:"defaults"`
		Overrides []struct {
			Properties []struct {
				ID    string `json:"id"`
				Value any    `json:"value"`
			} `json:"properties"`
		} `json:"overrides"`
	} `json:"fieldConfig"`
}

func boards(t *testing.T) map[string]board {
	t.Helper()
	all := map[string]board{}
	files, err := filepath.Glob("grafana/dashboards/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal("no dashboards: ", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var b board
		if err := json.Unmarshal(text, &b); err != nil {
			t.Fatal(err)
		}
		all[strings.TrimSuffix(filepath.Base(file), ".json")] = b
	}
	return all
}

// chosen puts values for the variables of a dashboard, as Grafana does.
func chosen(name, expr string) string {
	provider := "smartrecruiters"
	if name == "fleet" {
		provider = ".*"
	}
	return strings.NewReplacer("$provider", provider, "$credential", "ats-sync", "$__rate_interval", "10s", "$__range", "60s").Replace(expr)
}

// A live scrape is clean in promtool's eyes.
func (l *live) scrape(t *testing.T) {
	token, err := os.ReadFile(filepath.Join(filepath.Dir(l.config), "scrape-token"))
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+l.address+"/metrics", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+string(token))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	cmd := exec.Command("promtool", "check", "metrics")
	cmd.Stdin = resp.Body
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v: %s", err, out)
	}
}

// awaitStory returns as soon as the demo's story has come so far that it has what every panel shows and what
// the alerts are about. What is still missing after a long time, the tests that follow name.
func (l *live) awaitStory(t *testing.T) {
	t.Helper()
	all := boards(t)
	told := func() bool {
		l.watch(t)
		for alert := range storyAlerts {
			if !l.fired(t, alert) {
				return false
			}
		}
		for name, b := range all {
			for _, p := range b.Panels {
				if p.Type != "row" && l.samples(t, name, p) == 0 {
					return false
				}
			}
		}
		return true
	}
	for !told() && time.Since(l.began) < 2*time.Minute {
		time.Sleep(500 * time.Millisecond) // between two looks
	}
}

// watch keeps the alerts that fire now: what they say is nowhere when they are over.
func (l *live) watch(t *testing.T) {
	t.Helper()
	now, err := l.API.Alerts(t.Context())
	if err != nil {
		t.Errorf("the alerts that fire: %v", err)
	}
	for _, a := range now.Alerts {
		if a.State == v1.AlertStateFiring {
			l.seen[a.Labels.String()] = a
		}
	}
}

// What fired says whose it is, in whole sentences, and is as severe as the finding that it is about.
func (l *live) texts(t *testing.T) {
	seen := map[string]bool{}
	for _, a := range l.seen {
		name, text := string(a.Labels["alertname"]), string(a.Annotations["summary"]+". "+a.Annotations["description"])
		seen[name] = true
		for _, label := range []model.LabelName{"credential", "provider"} {
			if v := string(a.Labels[label]); !strings.Contains(text, v) {
				t.Errorf("%s does not name %s %s: %s", name, label, v, text)
			}
		}
		if regexp.MustCompile(`<no value>|<error|%!|  | \.|\{\{`).MatchString(text) {
			t.Errorf("%s: %q", name, text)
		}
		if a.Labels["told_by"] == "" {
			continue
		}
		expr := fmt.Sprintf(`max_over_time(keyrounds_finding_opened_timestamp_seconds{credential=%q, provider=%q, severity=%q}[5m])`,
			a.Labels["credential"], a.Labels["provider"], a.Labels["severity"])
		if data, err := l.ask(t, expr, true); err != nil || len(data) == 0 {
			t.Errorf("%s is %s, and no finding is: %v", name, a.Labels["severity"], err)
		}
	}
	for alert := range storyAlerts {
		if !seen[alert] {
			t.Errorf("nobody saw what %s says", alert)
		}
	}
}

// What the story does to ats-sync and to the canary, and that its messages arrive from the start.
var storyAlerts = map[string]bool{"KeyroundsCredentialRevoked": true, "KeyroundsCredentialMisused": true, "KeyroundsMessagesArrive": true}

func (l *live) fired(t *testing.T, alert string) bool {
	t.Helper()
	data, err := l.ask(t, `max_over_time(ALERTS{alertname="`+alert+`", alertstate="firing"}[2m])`, true)
	if err != nil {
		t.Errorf("%s: %v", alert, err)
	}
	return len(data) > 0
}

// samples counts what a panel shows.
func (l *live) samples(t *testing.T, dashboard string, p panel) (n int) {
	t.Helper()
	for _, q := range p.Targets {
		expr := chosen(dashboard, q.Expr)
		data, err := l.ask(t, expr, q.Instant)
		if err != nil {
			t.Errorf("%s, %q: %s: %v", dashboard, p.Title, expr, err)
		}
		n += len(data)
	}
	return n
}

// shows reports whether a panel shows something. A scrape that a busy machine did not answer in time leaves a hole that
// the next one ends.
func (l *live) shows(t *testing.T, dashboard string, p panel) bool {
	t.Helper()
	for range 20 {
		if l.samples(t, dashboard, p) > 0 {
			return true
		}
		time.Sleep(500 * time.Millisecond) // between two looks
	}
	return false
}

func (l *live) panels(t *testing.T) {
	queries := 0
	for name, b := range boards(t) {
		for _, p := range b.Panels {
			if p.Type == "row" {
				continue
			}
			for _, q := range p.Targets {
				queries++
				if unknown := l.unknown(t, chosen(name, q.Expr)); unknown != nil {
					t.Errorf("%s, %q: nobody shows %v", b.Title, p.Title, unknown)
				}
			}
			if !l.shows(t, name, p) {
				t.Errorf("%s, %q is empty: %s", b.Title, p.Title, chosen(name, p.Targets[0].Expr))
			}
		}
	}
	if queries < 70 {
		t.Errorf("only %d queries", queries)
	}
}

// series is what a query gives: for an instant one, with one point each.
type series struct {
	labels model.Metric
	points []model.SamplePair
}

// ask leaves out what is no number.
func (l *live) ask(t *testing.T, expr string, instant bool) (all []series, err error) {
	t.Helper()
	var (
		v        model.Value
		warnings v1.Warnings
		now      = time.Now()
	)
	if instant {
		v, warnings, _, err = l.API.Query(t.Context(), expr, now)
	} else {
		v, warnings, _, err = l.API.QueryRange(
			t.Context(),
			expr,
			v1.Range{Start: l.began.Add(3 * time.Second), End: now, Step: 500 * time.Millisecond},
		)
	}
	if err == nil && len(warnings) > 0 {
		err = fmt.Errorf("warnings: %v", warnings)
	}
	switch v := v.(type) {
	case model.Vector:
		for _, s := range v {
			all = append(all, series{s.Metric, []model.SamplePair{{Timestamp: s.Timestamp, Value: s.Value}}})
		}
	case model.Matrix:
		for _, s := range v {
			all = append(all, series{s.Metric, s.Values})
		}
	}
	kept := all[:0]
	for _, s := range all {
		points := s.points[:0]
		for _, p := range s.points {
			if !math.IsNaN(float64(p.Value)) {
				points = append(points, p)
			}
		}
		if s.points = points; len(points) > 0 {
			kept = append(kept, s)
		}
	}
	return kept, err
}

func (l *live) rules(t *testing.T) {
	result, err := l.API.Rules(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	recorded, alerts := 0, map[string]string{}
	for _, g := range result.Groups {
		for _, r := range g.Rules {
			name, expr, health, last := "", "", v1.RuleHealth(""), ""
			switch r := r.(type) {
			case v1.AlertingRule:
				name, expr, health, last = r.Name, r.Query, r.Health, r.LastError
				alerts[name] = r.State
			case v1.RecordingRule:
				name, expr, health, last = r.Name, r.Query, r.Health, r.LastError
				recorded++
				if data, err := l.ask(t, name, true); err != nil || len(data) == 0 {
					t.Errorf("%s records nothing: %v", name, err)
				}
			}
			if health != v1.RuleHealthGood || last != "" {
				t.Errorf("%s is %s: %s", name, health, last)
			}
			if unknown := l.unknown(t, expr); unknown != nil {
				t.Errorf("%s: nobody shows %v", name, unknown)
			}
		}
	}
	if recorded < 21 || len(alerts) < 28 {
		t.Errorf("%d recording rules, %d alerts", recorded, len(alerts))
	}
	// What the story is about has fired, and nothing of keyrounds itself.
	for alert := range storyAlerts {
		if !l.fired(t, alert) {
			t.Errorf("%s has not fired", alert)
		}
	}
	for _, alert := range []string{
		"KeyroundsDown", "KeyroundsSweepStopped", "KeyroundsNoLeader", "KeyroundsRoundLag", "KeyroundsDatabaseErrors",
		"KeyroundsPartitionsMissing", "KeyroundsNotificationsFailing", "KeyroundsReloadFailed", "KeyroundsUntold",
	} {
		if alerts[alert] == "" || l.fired(t, alert) {
			t.Errorf("%s has fired, or there is none", alert)
		}
	}
}

// The variables have values.
func (l *live) variables(t *testing.T) {
	values := regexp.MustCompile(`^label_values\((.+), ([a-z_]+)\)$`)
	seen := 0
	for name, b := range boards(t) {
		for _, v := range b.Templating.List {
			if v.Type != "query" {
				continue
			}
			var query string
			if err := json.Unmarshal(v.Query, &query); err != nil {
				t.Errorf("%s, $%s: %v", b.Title, v.Name, err)
			}
			m := values.FindStringSubmatch(query)
			if m == nil {
				t.Errorf("%s, $%s: %s", b.Title, v.Name, query)
				continue
			}
			found, _, _, err := l.API.LabelValues(t.Context(), m[2], []string{chosen(name, m[1])}, l.began, time.Now())
			if err != nil || len(found) == 0 {
				t.Errorf("%s, $%s has no values: %v", b.Title, v.Name, err)
			}
			seen++
		}
	}
	if seen < 4 {
		t.Errorf("%d variables", seen)
	}
}

// Every command by which a runbook confirms something can be run as it stands, and so can every query.
func (l *live) runbooks(t *testing.T) {
	pages, err := filepath.Glob("../docs/runbooks/Keyrounds*.md")
	if err != nil || len(pages) == 0 {
		t.Fatal(err)
	}
	commands, blocks := regexp.MustCompile(`(?m)^\$ keyrounds (.+)$`), regexp.MustCompile("(?s)```promql\n(.+?)\n```")
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(filepath.Base(page), ".md")
		ran := 0
		for _, m := range commands.FindAllStringSubmatch(string(text), -1) {
			cmd := exec.Command(l.binary, append(strings.Fields(m[1]), "--config", l.config)...)
			out, err := cmd.CombinedOutput()
			var failed *exec.ExitError
			if errors.As(err, &failed) && failed.ExitCode() == 1 { // it found something
				err = nil
			}
			if err != nil || len(out) == 0 {
				t.Errorf("%s: keyrounds %s: %v: %s", name, m[1], err, out)
			}
			ran++
		}
		for _, m := range blocks.FindAllStringSubmatch(string(text), -1) {
			if unknown := l.unknown(t, m[1]); unknown != nil {
				t.Errorf("%s: nobody shows %v", name, unknown)
			}
			if _, err := l.ask(t, m[1], true); err != nil {
				t.Errorf("%s: %s: %v", name, m[1], err)
			}
			ran++
		}
		if ran < 2 {
			t.Errorf("%s confirms nothing", name)
		}
	}
}
