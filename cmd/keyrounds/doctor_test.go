package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/keyrounds/keyrounds/postgres/pgtest"
	"github.com/keyrounds/keyrounds/sim"
)

// clinic is what the doctor is called to: a directory with a configuration.
type clinic struct {
	*testing.T
	dir string
}

// examined returns what the doctor says, by check and subject, and its exit code.
func (c clinic) examined(args ...string) (map[string]remark, int) {
	c.Helper()
	cmd := exec.Command("keyrounds", append([]string{"doctor", "-o", "json", "-c", filepath.Join(c.dir, "keyrounds.yaml")}, args...)...)
	text, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		c.Fatal(err)
	}
	if strings.Contains(string(text), "c4n4ry") {
		c.Errorf("a secret is shown: %s", text)
	}
	var all []remark
	if err := json.Unmarshal(text, &all); err != nil {
		c.Fatalf("%v: %s", err, text)
	}
	found := map[string]remark{}
	for _, r := range all {
		if r.Result != fine && r.Advice == "" {
			c.Errorf("%s %s is %s, and nothing says what to do", r.Check, r.Subject, r.Result)
		}
		found[strings.TrimSpace(r.Check+" "+r.Subject)] = r
	}
	return found, cmd.ProcessState.ExitCode()
}

func (c clinic) write(name, text string) string {
	c.Helper()
	path := filepath.Join(c.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		c.Fatal(err)
	}
	return path
}

func (c clinic) expect(found map[string]remark, wants map[string]string) {
	c.Helper()
	for about, want := range wants {
		r, ok := found[about]
		if got := r.Result + ": " + r.Message; !ok || !regexp.MustCompile("^"+want).MatchString(got) {
			c.Errorf("%s: %q does not begin like %q", about, got, want)
		}
	}
}

// The doctor says of each thing whether it is in order, changes nothing and exchanges no credential.
func TestDoctor(t *testing.T) {
	t.Parallel()
	c := clinic{t, t.TempDir()}
	idp := sim.NewProvider(sim.Client{ID: "good", Name: "good", Secret: goodSecret})
	asked := &syncBuffer{}
	good := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(asked, r.Method, r.URL.Path)
		idp.ServeHTTP(w, r)
	}))
	t.Cleanup(good.Close)
	late := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat))
	}))
	t.Cleanup(late.Close)
	behind := httptest.NewServer(late.Config.Handler)
	t.Cleanup(behind.Close)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	said := &sim.Slack{Token: slackToken, Scopes: "chat:write,channels:history"}
	workspace := func(s *sim.Slack) string {
		server := httptest.NewServer(s)
		t.Cleanup(server.Close)
		return server.URL
	}
	manager := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(manager.Close)
	database := pgtest.EmptyURL(t)
	settings := fmt.Sprintf("data_dir: %q\ndatabase: {url: %q}\nlisten: 127.0.0.1:1\n", c.dir, database)
	c.write("keyrounds.yaml", settings+fmt.Sprintf(`
providers:
  good: {token_url: "%s/token", allow_private_networks: true}
  behind: {token_url: "%s/token", allow_private_networks: true}
  stranger: {token_url: "%s/token", allow_private_networks: true}
  nowhere: {token_url: "https://idp.invalid/token"}
  gone: {token_url: "http://127.0.0.1:1/token", allow_private_networks: true}
  hanging: {token_url: "http://%s/token", allow_private_networks: true}
credentials:
  - {name: good, provider: good, client_id: good, secret: "env:DOCTOR_HAS_NONE"}
slack: {token: "file:%s", channel: "#a", api_url: "%s/"}
receivers:
  - {name: gotify, url: "file:%s"}
  - {name: am, type: alertmanager, url: %q}
`, good.URL, behind.URL, late.URL, silent.Addr(), c.write("slack", slackToken), workspace(said),
		c.write("gotify", "gotify://"+silent.Addr().String()+"/Ac4n4ryc4n4ry1"), manager.URL))

	found, code := c.examined("--timeout", "3s")
	if code != exitFound {
		t.Errorf("exit code %d", code)
	}
	c.expect(found, map[string]string{
		"configuration":     `(ok|warning): .*keyrounds.yaml is valid; providers: 6, credentials: 1`,
		"secrets":           `failed: what cannot be read here: 1, such as credentials.0.secret: .*DOCTOR_HAS_NONE`,
		"disk":              `(ok|warning): .* GiB are free`,
		"database":          `ok: database.url answers`,
		"schema":            `warning: there is none yet`,
		"daemon":            `warning: no daemon answers on 127.0.0.1:1`,
		"provider good":     `ok: 127.0.0.1 answers`,
		"clock good":        `ok: `,
		"clock behind":      `warning: that of 127.0.0.1 differs by 1h0m`,
		"provider stranger": `failed: 127.0.0.1: the server's certificate is from an unknown authority`,
		"provider nowhere":  `failed: idp.invalid: the host name`,
		"provider gone":     `failed: 127.0.0.1: no connection: connection refused`,
		"provider hanging":  `failed: 127.0.0.1: no answer in time`,
		"receiver slack":    `warning: the token is of the workspace sim; the token lacks files:write, channels:read: `,
		"receiver gotify":   `ok: gotify at 127.0.0.1:\d+ takes connections`,
		"receiver am":       `failed: am: `,
	})
	if got := asked.String(); got != "HEAD /\n" {
		t.Errorf("the provider was asked for %s", got)
	}
	if n := len(said.Messages()); n > 0 {
		t.Errorf("messages that were sent: %d", n)
	}

	// What is in order is said so, with exit code 0, and a token without chat:write tells nobody.
	only := func(scopes string) {
		c.write("keyrounds.yaml", settings+fmt.Sprintf("slack: {token: \"file:%s\", channel: \"#a\", api_url: \"%s/\"}\n",
			filepath.Join(c.dir, "slack"), workspace(&sim.Slack{Token: slackToken, Scopes: scopes})))
	}
	only("chat:write, files:write, groups:history, groups:read")
	if out, err := exec.Command("keyrounds", "migrate", "-c", filepath.Join(c.dir, "keyrounds.yaml")).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	found, code = c.examined()
	c.expect(found, map[string]string{
		"schema": "ok: ", "sealing key": "ok: .*opens all that is sealed", "receiver slack": "ok: the token is of the workspace sim",
	})
	if code != 0 {
		t.Errorf("exit code %d: %v", code, found)
	}
	only("files:write")
	found, code = c.examined()
	c.expect(found, map[string]string{"receiver slack": "failed: slack: the token lacks the scope chat:write"})
	if code != exitFound {
		t.Errorf("exit code %d", code)
	}
}

// Beside a daemon the doctor uses its database, and says whether it is ready.
func TestDoctorBesideADaemon(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	s.configure("debug: {listen: "+l.Addr().String()+"}", "", 1)
	s.run().awaitReady(http.StatusOK)
	out, code := s.command("doctor")
	for _, want := range []string{"\nok      daemon: it is ready\n", "\nok      schema: ", "\nok      provider idp: "} {
		if code != 0 || !strings.Contains(out, want) {
			t.Errorf("exit code %d, and %q is not said:\n%s", code, want, out)
		}
	}
}

// A configuration that is not valid stops nothing that can be told without it.
func TestDoctorOfABrokenConfiguration(t *testing.T) {
	t.Parallel()
	c := clinic{t, t.TempDir()}
	c.write("keyrounds.yaml", fmt.Sprintf("data_dir: %q\ndatabase: {url: %q}\nprovidrs: {}\n", c.dir, pgtest.EmptyURL(t)))
	found, code := c.examined()
	c.expect(found, map[string]string{
		"configuration": `failed: .*keyrounds.yaml is not valid \(problems: 1\): line 3: unknown key`,
		"database":      "ok: ",
		"rest":          "warning: providers, receivers",
	})
	if code != exitFound {
		t.Errorf("exit code %d", code)
	}
	c.write("keyrounds.yaml", "database: {urrl: x}\n")
	found, code = c.examined()
	c.expect(found, map[string]string{"configuration": "failed: ", "rest": "warning: nothing else was looked at"})
	if _, looked := found["database"]; looked || code != exitFound {
		t.Errorf("exit code %d: %v", code, found)
	}
}

// A private Postgres that was never made is not made by the doctor.
func TestDoctorMakesNothing(t *testing.T) {
	t.Parallel()
	c := clinic{t, t.TempDir()}
	data := filepath.Join(c.dir, "data")
	c.write("keyrounds.yaml", fmt.Sprintf("data_dir: %q\n", data))
	found, code := c.examined()
	c.expect(found, map[string]string{"database": "warning: there is no private Postgres", "receivers": "warning: there is none"})
	if _, err := os.Stat(data); !os.IsNotExist(err) || code != 0 {
		t.Errorf("exit code %d, data_dir: %v", code, err)
	}
}

// The end of a certificate of ours is told before it comes.
func TestUntilEnd(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for days, want := range map[int]string{-1: failed, 3: warning, 60: fine} {
		if got, _, _ := untilEnd(now.AddDate(0, 0, days), now); got != want {
			t.Errorf("%d days before its end: %s", days, got)
		}
	}
}
