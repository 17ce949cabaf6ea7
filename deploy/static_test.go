package deploy_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/keyrounds/keyrounds/test/lasting"
	"github.com/keyrounds/keyrounds/test/promtest"
)

// run runs a program of Prometheus' in deploy/prometheus.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = "prometheus"
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%s %s: %v: %s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// Every alert is quiet, fires and is over (docs/promises.md#every-alert-fires-and-is-over).
func TestRules(t *testing.T) {
	lasting.Test(t, "promtool runs for long")
	t.Parallel()
	run(t, "promtool", "check", "rules", "keyrounds.rules.yml")
	run(t, "promtool", "test", "rules", "keyrounds.rules.test.yml", "keyrounds.rules.days.test.yml")
}

type ruleFile struct {
	Groups []struct {
		Rules []alertRule `yaml:"rules"`
	} `yaml:"groups"`
}

type alertRule struct {
	Alert       string            `yaml:"alert"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

func alerts(t *testing.T) []alertRule {
	t.Helper()
	var f ruleFile
	read(t, "prometheus/keyrounds.rules.yml", &f)
	var all []alertRule
	for _, g := range f.Groups {
		for _, r := range g.Rules {
			if r.Alert != "" {
				all = append(all, r)
			}
		}
	}
	return all
}

func read(t *testing.T, path string, into any) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err == nil {
		err = yaml.Unmarshal(b, into)
	}
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// Each alert says what is wrong and what to do, and has a test of its beginning and its end.
func TestAlertsAreComplete(t *testing.T) {
	t.Parallel()
	type test struct {
		Name  string `yaml:"name"`
		Exprs []struct {
			Expr    string `yaml:"expr"`
			Samples []any  `yaml:"exp_samples"`
		} `yaml:"promql_expr_test"`
	}
	phases := map[string]string{}
	for _, file := range []string{"keyrounds.rules.test.yml", "keyrounds.rules.days.test.yml"} {
		var f struct {
			Tests []test `yaml:"tests"`
		}
		read(t, filepath.Join("prometheus", file), &f)
		for _, x := range f.Tests {
			for _, e := range x.Exprs {
				if strings.Contains(e.Expr, `"`+x.Name+`"`) {
					phases[x.Name] += map[bool]string{true: "fires ", false: "quiet "}[len(e.Samples) > 0]
				}
			}
		}
	}
	pages, err := filepath.Glob("../docs/runbooks/Keyrounds*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range alerts(t) {
		want := "quiet fires quiet "
		if a.Labels["severity"] == "none" {
			want = "fires quiet fires "
		}
		if phases[a.Alert] != want {
			t.Errorf("%s is tested %q", a.Alert, phases[a.Alert])
		}
		if !slices.Contains([]string{"critical", "warning", "info", "none"}, a.Labels["severity"]) || a.Annotations["summary"] == "" ||
			a.Annotations["description"] == "" {
			t.Errorf("%s has no severity, summary or description: %+v", a.Alert, a)
		}
		if a.Annotations["runbook_url"] != "https://github.com/keyrounds/keyrounds/blob/main/docs/runbooks/"+a.Alert+".md" {
			t.Errorf("%s leads to %s", a.Alert, a.Annotations["runbook_url"])
		}
		page := "../docs/runbooks/" + a.Alert + ".md"
		i := slices.Index(pages, page)
		if i < 0 {
			t.Errorf("%s has no runbook", a.Alert)
			continue
		}
		pages = slices.Delete(pages, i, i+1)
		text, err := os.ReadFile(page)
		for _, part := range []string{"# " + a.Alert, "## What it means", "## How to confirm it", "## What to do"} {
			if err != nil || !bytes.Contains(text, []byte(part+"\n")) {
				t.Errorf("%s says nothing under %q: %v", page, part, err)
			}
		}
	}
	if len(pages) > 0 {
		t.Errorf("runbooks of no alert: %v", pages)
	}
}

// prometheus.yml is what a newer Prometheus reads as well; Debian's does not know
// always_scrape_classic_histograms.
func TestPrometheusConfig(t *testing.T) {
	t.Parallel()
	b, err1 := os.ReadFile("prometheus/prometheus.yml")
	rules, err2 := os.ReadFile("prometheus/keyrounds.rules.yml")
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	dir := t.TempDir()
	text := strings.ReplaceAll(string(b), "/etc/prometheus/", dir+"/")
	var kept []string
	for l := range strings.Lines(text) {
		if !strings.Contains(l, "always_scrape_classic_histograms:") {
			kept = append(kept, l)
		}
	}
	for name, b := range map[string][]byte{
		"prometheus.yml":      []byte(strings.Join(kept, "")),
		"keyrounds.rules.yml": rules,
		"scrape-password":     []byte("x"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out := run(t, "promtool", "check", "config", filepath.Join(dir, "prometheus.yml")); !strings.Contains(out, "rules found") {
		t.Errorf("it names no rules: %s", out)
	}
}

// The example's routes, in Alertmanager's own words.
func TestAlertmanagerRoutes(t *testing.T) {
	lasting.Test(t, "it runs amtool for each alert")
	t.Parallel()
	run(t, "amtool", "check-config", "alertmanager.yml")
	for _, a := range alerts(t) {
		want := "operations-channel"
		switch credential := strings.HasPrefix(a.Alert, "KeyroundsCredential"); {
		case a.Labels["severity"] == "none":
			want = "nobody"
		case a.Labels["severity"] == "critical" && credential:
			want = "security-pager"
		case a.Labels["severity"] == "critical":
			want = "operations-pager"
		}
		run(
			t,
			"amtool",
			"config",
			"routes",
			"test",
			"--config.file=alertmanager.yml",
			"--verify.receivers="+want,
			"alertname="+a.Alert,
			"severity="+a.Labels["severity"],
		)
	}
}

// A real Alertmanager: what keyrounds tells itself does not page as long as its messages arrive, and does when
// they stop.
func TestNoDoublePages(t *testing.T) {
	t.Parallel()
	am := startAlertmanager(t)
	firing := func(labels string) map[string]any {
		l := map[string]string{}
		for _, kv := range strings.Fields(labels) {
			k, v, _ := strings.Cut(kv, "=")
			l[k] = v
		}
		return map[string]any{"labels": l, "endsAt": time.Now().Add(time.Hour)}
	}
	arrive := firing("alertname=KeyroundsMessagesArrive severity=none")
	revoked := firing("alertname=KeyroundsCredentialRevoked severity=critical credential=ats-sync provider=sr")
	down := firing("alertname=KeyroundsNoLeader severity=critical")
	am.post(t, arrive, revoked, down)
	am.await(
		t,
		map[string]string{"KeyroundsMessagesArrive": "active", "KeyroundsCredentialRevoked": "suppressed", "KeyroundsNoLeader": "active"},
	)
	arrive["endsAt"] = time.Now().Add(-time.Second)
	am.post(t, arrive)
	am.await(t, map[string]string{"KeyroundsCredentialRevoked": "active", "KeyroundsNoLeader": "active"})
}

type alertmanager string

func startAlertmanager(t *testing.T) alertmanager {
	t.Helper()
	config, err := os.ReadFile("prometheus/alertmanager.yml")
	if err != nil {
		t.Fatal(err)
	}
	// Nobody is to be told: the receivers keep their names only.
	head, _, _ := strings.Cut(string(config), "receivers:\n")
	return alertmanager(
		promtest.Alertmanager(
			t,
			head+"receivers: [{name: nobody}, {name: operations-channel}, {name: operations-pager}, {name: security-pager}]\n",
		),
	)
}

func (am alertmanager) post(t *testing.T, alerts ...map[string]any) {
	t.Helper()
	b, err := json.Marshal(alerts)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Post(string(am)+"/api/v2/alerts", "application/json", bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK {
		t.Fatalf("%d %s", resp.StatusCode, text)
	}
}

// await waits for the alerts to have these states, and no others to be there.
func (am alertmanager) await(t *testing.T, want map[string]string) {
	t.Helper()
	var got map[string]string
	for deadline := time.Now().Add(30 * time.Second); fmt.Sprint(got) != fmt.Sprint(want); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("alerts %v, want %v", got, want)
		}
		resp, err := http.Get(string(am) + "/api/v2/alerts")
		if err != nil {
			t.Fatal(err)
		}
		var all []struct {
			Labels map[string]string
			Status struct{ State string }
		}
		err = json.NewDecoder(resp.Body).Decode(&all)
		_ = resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		got = map[string]string{}
		for _, a := range all {
			got[a.Labels["alertname"]] = a.Status.State
		}
	}
}
