package deploy_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
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
	Expr        string            `yaml:"expr"`
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
		severity, fixed := a.Labels["severity"]
		if fixed == aboutFindings(a) || fixed && !slices.Contains([]string{"critical", "warning", "info", "none"}, severity) ||
			a.Annotations["summary"] == "" || a.Annotations["description"] == "" {
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

// aboutFindings reports whether an alert is made of findings: it has the severity of these, and no other.
func aboutFindings(a alertRule) bool {
	return strings.Contains(a.Expr, "keyrounds_finding_opened_timestamp_seconds")
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

// The example's routes, in Alertmanager's own words: what keyrounds tells itself pages nobody, and pages where it cannot.
func TestAlertmanagerRoutes(t *testing.T) {
	lasting.Test(t, "it runs amtool for each alert")
	t.Parallel()
	run(t, "amtool", "check-config", "alertmanager.yml")
	route := func(receiver string, labels ...string) {
		run(
			t,
			"amtool",
			append([]string{"config", "routes", "test", "--config.file=alertmanager.yml", "--verify.receivers=" + receiver}, labels...)...)
	}
	for _, a := range alerts(t) {
		severities := []string{a.Labels["severity"]}
		if aboutFindings(a) {
			severities = []string{"critical", "warning"}
		}
		for _, severity := range severities {
			labels := []string{"alertname=" + a.Alert, "severity=" + severity}
			switch {
			case a.Labels["told_by"] != "":
				route("nobody", append(labels, "told_by=keyrounds", "credential=ats-sync")...)
			case severity == "none":
				route("nobody", labels...)
			case severity != "critical":
				route("operations-channel", labels...)
			case a.Alert == "KeyroundsUntold":
				route("security-pager", append(labels, "credential=ats-sync")...)
				route("operations-pager", labels...)
			default:
				route("operations-pager", labels...)
			}
		}
	}
}

// A real Alertmanager: what keyrounds tells itself pages nobody, what it cannot tell pages once, and each page ends, whatever
// begins or ends meanwhile (docs/promises.md#every-page-ends).
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
	end := func(alerts ...map[string]any) {
		for _, a := range alerts {
			a["endsAt"] = time.Now().Add(-time.Second)
		}
		am.post(t, alerts...)
	}
	arrive := firing("alertname=KeyroundsMessagesArrive severity=none")
	revoked := firing("alertname=KeyroundsCredentialRevoked severity=critical credential=ats-sync provider=sr told_by=keyrounds")
	untold := firing("alertname=KeyroundsUntold severity=critical kind=revoked credential=ats-sync provider=sr")
	stopped := firing("alertname=KeyroundsSweepStopped severity=critical")
	suspect := firing("alertname=KeyroundsCredentialSuspectLong severity=warning credential=ats-sync provider=sr")
	am.post(t, arrive, revoked, stopped, suspect)
	am.told(t, "operations-channel KeyroundsCredentialSuspectLong firing", "operations-pager KeyroundsSweepStopped firing")
	end(arrive)
	am.post(t, untold)
	am.told(t, "security-pager KeyroundsUntold firing")
	// What explains them comes and stays, and they end.
	am.post(t, arrive, firing("alertname=KeyroundsDatabaseErrors severity=critical"))
	am.post(t, firing("alertname=KeyroundsProviderIncident severity=critical provider=sr told_by=keyrounds"))
	am.told(t, "operations-pager KeyroundsDatabaseErrors firing")
	end(untold, stopped, suspect, revoked)
	am.told(
		t,
		"operations-channel KeyroundsCredentialSuspectLong resolved",
		"operations-pager KeyroundsSweepStopped resolved",
		"security-pager KeyroundsUntold resolved",
	)
}

// alertmanager is one with the example's routes, at url. What it tells anybody is in said.
type alertmanager struct {
	url  string
	said chan string // receiver, alert and status
}

func startAlertmanager(t *testing.T) alertmanager {
	t.Helper()
	config, err := os.ReadFile("prometheus/alertmanager.yml")
	if err != nil {
		t.Fatal(err)
	}
	said := make(chan string, 100)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var m struct {
			Receiver string
			Alerts   []struct {
				Status string
				Labels map[string]string
			}
		}
		if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
			t.Errorf("what Alertmanager sends: %v", err)
		}
		for _, a := range m.Alerts {
			said <- m.Receiver + " " + a.Labels["alertname"] + " " + a.Status
		}
	}))
	t.Cleanup(server.Close)
	head, names, _ := strings.Cut(string(config), "receivers:\n")
	head = regexp.MustCompile(`group_(wait|interval): \w+`).ReplaceAllString(head, "group_$1: 300ms")
	var b strings.Builder
	b.WriteString(head + "receivers:\n")
	for _, m := range regexp.MustCompile(`(?m)^  - name: (\S+)$`).FindAllStringSubmatch(names, -1) {
		fmt.Fprintf(&b, "  - name: %s\n", m[1])
		if m[1] != "nobody" {
			fmt.Fprintf(&b, "    webhook_configs: [{url: %q}]\n", server.URL)
		}
	}
	return alertmanager{promtest.Alertmanager(t, b.String()), said}
}

// told waits until these were told, in whatever order, and fails on anything else that is.
func (am alertmanager) told(t *testing.T, want ...string) {
	t.Helper()
	for timeout := time.After(30 * time.Second); len(want) > 0; {
		select {
		case got := <-am.said:
			i := slices.Index(want, got)
			if i < 0 {
				t.Fatalf("%q was told, want %q", got, want)
			}
			want = slices.Delete(want, i, i+1)
		case <-timeout:
			t.Fatalf("%q was not told", want)
		}
	}
}

func (am alertmanager) post(t *testing.T, alerts ...map[string]any) {
	t.Helper()
	b, err := json.Marshal(alerts)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Post(am.url+"/api/v2/alerts", "application/json", bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK {
		t.Fatalf("%d %s", resp.StatusCode, text)
	}
}

// The unit is one that systemd takes, and leaves out little that it could keep out.
func TestSystemdUnit(t *testing.T) {
	t.Parallel()
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("no systemd here")
	}
	const unit = "systemd/keyrounds.service"
	if text, err := os.ReadFile(unit); err != nil || !strings.Contains(string(text), "landlock_restrict_self") {
		t.Errorf("it keeps from keyrounds what confines git: systemd 252 counts Landlock not among @system-service, %v", err)
	}
	said, _ := exec.Command(analyze, "verify", unit).CombinedOutput()
	for _, line := range strings.Split(strings.TrimSpace(string(said)), "\n") {
		if line != "" && !strings.Contains(line, "Command /usr/local/bin/keyrounds is not executable") {
			t.Errorf("systemd says: %s", line)
		}
	}
	said, err = exec.Command(analyze, "security", "--offline=true", unit).CombinedOutput()
	level := regexp.MustCompile(`Overall exposure level for keyrounds.service: (\d+\.\d+)`).FindSubmatch(said)
	if err != nil || level == nil {
		t.Skipf("this systemd-analyze does not look at files: %v", err)
	}
	if n, err := strconv.ParseFloat(string(level[1]), 64); err != nil || n > 2 {
		t.Errorf("exposure level %s, %v", level[1], err)
	}
}
