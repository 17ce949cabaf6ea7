package main

import (
	"errors"
	"fmt"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keyrounds/keyrounds/postgres/pgtest"
	"github.com/keyrounds/keyrounds/sim"
	"github.com/keyrounds/keyrounds/test/lasting"
)

// seat is a directory in which init runs, beside a provider.
type seat struct {
	*testing.T
	dir, file, idp string
	flags          []string
}

func newDesk(t *testing.T) seat {
	t.Helper()
	idp := httptest.NewServer(sim.NewProvider(sim.Client{ID: "good", Name: "good", Secret: goodSecret}))
	t.Cleanup(idp.Close)
	d := seat{T: t, dir: pgtest.Dir(t), idp: idp.URL + "/identity/oauth/token"}
	d.file = filepath.Join(d.dir, "keyrounds.yaml")
	d.flags = []string{
		"init", "-c", d.file, "--allow-private-networks", "--data-dir", filepath.Join(d.dir, "data"), "--database-url", pgtest.EmptyURL(t),
	}
	return d
}

func (d seat) nothingLeft() {
	d.Helper()
	left, err := os.ReadDir(d.dir)
	if err != nil {
		d.Fatal(err)
	}
	for _, f := range left {
		d.Errorf("%s is left", f.Name())
	}
}

// init asks for what a first configuration needs, tries it, and writes it for its owner alone.
func TestInitAsks(t *testing.T) {
	lasting.Test(t, "it starts keyrounds at a terminal")
	t.Parallel()
	d := newDesk(t)
	s := at(t, d.flags...)
	s.await("Which kind, or the URL of the token endpoint", 1)
	s.types("smartrecruiter\r")
	s.await(`did you mean "smartrecruiters"`, 1)
	s.types(d.idp + "\r")
	s.await("What to call the credential", 1)
	s.types("Good One\r")
	s.await("is not a valid name", 1)
	s.types("good\r")
	s.await("Client id", 1)
	s.types("\r")
	s.await("a client id is needed", 1)
	s.types("good\r")
	s.await("Owner", 1)
	s.types("team-a\r")
	s.await("Secret of good", 1)
	s.silent()
	s.types(goodSecret + "\r")
	s.await("Slack channel", 1)
	s.types("#alerts\r")
	s.await("Where Slack's bot token is", 1)
	s.silent()
	s.types(slackToken + "\r")
	s.await("only where it is can be written", 1)
	s.await("Where Slack's bot token is", 2)
	s.silent()
	s.types("env:SLACK_BOT_TOKEN\r")
	if code := s.ends(); code != 0 {
		t.Fatalf("exit code %d\n%s", code, s.shows())
	}
	for _, want := range []string{"good", "ok", "token issued", "is written, for you alone", "keyrounds doctor -c "} {
		if !strings.Contains(s.shows(), want) {
			t.Errorf("%q is not shown:\n%s", want, s.shows())
		}
	}
	if strings.Contains(s.shows(), "c4n4ry") {
		t.Errorf("a secret is shown:\n%s", s.shows())
	}
	text, err := os.ReadFile(d.file)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"owner: team-a", "token: env:SLACK_BOT_TOKEN", "secret: 'sealed:'"} {
		if !strings.Contains(strings.ReplaceAll(string(text), `"`, "'"), want) {
			t.Errorf("%q is not in the file:\n%s", want, text)
		}
	}
	if st, err := os.Stat(d.file); err != nil || st.Mode().Perm() != 0o600 || strings.Contains(string(text), "c4n4ry") {
		t.Errorf("mode %v, error %v:\n%s", st.Mode(), err, text)
	}
	s = at(t, "check", "-c", d.file) // with the secret that was sealed
	if code := s.ends(); code != 0 {
		t.Errorf("check: exit code %d\n%s", code, s.shows())
	}
	s = at(t, d.flags...)
	if code := s.ends(); code != exitError || !strings.Contains(s.shows(), "exists already") {
		t.Errorf("a second time: exit code %d\n%s", code, s.shows())
	}
}

// Who is interrupted at any question, or says nothing more, finds nothing behind.
func TestInitLeavesNothing(t *testing.T) {
	lasting.Test(t, "it starts keyrounds at a terminal")
	t.Parallel()
	d := newDesk(t)
	questions := []string{
		"Which kind, or the URL", "URL of the token endpoint", "What to call the credential", "Client id", "Owner", "Secret of good",
		"Slack channel", "Where Slack's bot token is",
	}
	answers := []string{"generic", d.idp, "good", "good", "team-a", goodSecret, "#alerts"}
	for n := range questions {
		for key, code := range map[string]int{"\x03": exitInterrupted, "\x04": exitError} {
			s := at(t, d.flags...)
			for i, q := range questions[:n+1] {
				s.await(q, 1)
				if hidden := strings.HasPrefix(q, "Secret") || strings.HasPrefix(q, "Where Slack"); hidden {
					s.silent()
				}
				if i < n {
					s.types(answers[i] + "\r")
				}
			}
			s.types(key)
			if got := s.ends(); got != code || strings.Contains(s.shows(), "c4n4ry") {
				t.Errorf("%q at %q: exit code %d\n%s", key, questions[n], got, s.shows())
			}
			d.nothingLeft()
		}
	}
}

// So does who is interrupted while the provider does not answer, or while the database for the secret is made.
func TestInitIsInterruptedAtWork(t *testing.T) {
	lasting.Test(t, "it makes a private Postgres")
	t.Parallel()
	d := newDesk(t)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	for url, moment := range map[string]string{
		"http://" + silent.Addr().String() + "/token": "waiting for provider … ",
		d.idp: "token issued",
	} {
		s := at(t, "init", "-c", d.file, "--allow-private-networks", "--data-dir", filepath.Join(d.dir, "a", "data"),
			"--token-url", url, "--name", "good", "--client-id", "good", "--owner", "a", "--slack-channel", "")
		s.await("Secret of good", 1)
		s.silent()
		s.types(goodSecret + "\r")
		s.await(moment, 1)
		s.types("\x03")
		if code := s.ends(); code != exitInterrupted || !strings.Contains(s.shows(), "nothing was changed") {
			t.Errorf("at %q: exit code %d\n%s", moment, code, s.shows())
		}
		d.nothingLeft()
	}
}

// A database that belongs to another file is left as it is: its credentials would be retired.
func TestInitLeavesOtherDatabasesAlone(t *testing.T) {
	t.Parallel()
	dir, url := t.TempDir(), pgtest.EmptyURL(t)
	other := filepath.Join(dir, "other.yaml")
	err := os.WriteFile(other, fmt.Appendf(nil, `
data_dir: %s
database: {url: %q}
providers: {idp: {token_url: "http://127.0.0.1:1/token", allow_private_networks: true}}
credentials: [{name: theirs, provider: idp, client_id: a, secret: "env:HOME"}]
`, dir, url), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if out, code := runKeyrounds(t, dir, "", "check", "-c", other); code != exitFound {
		t.Fatalf("exit code %d: %s", code, out)
	}
	out, code := runKeyrounds(t, dir, goodSecret, "init", "--token-url", "https://idp.invalid/token", "--name", "mine", "--client-id", "b",
		"--no-check", "--data-dir", dir, "--database-url", url)
	if code != exitError || !strings.Contains(out, `credentials of another configuration file already, such as "theirs"`) {
		t.Errorf("exit code %d: %s", code, out)
	}
	if _, err := os.Stat(filepath.Join(dir, "keyrounds.yaml")); !os.IsNotExist(err) {
		t.Errorf("the file: %v", err)
	}
	if out, _ := runKeyrounds(t, dir, "", "credentials", "list", "-c", other); !strings.Contains(out, "theirs") {
		t.Errorf("it was retired: %s", out)
	}
}

// runKeyrounds runs a command without a terminal.
func runKeyrounds(t *testing.T, dir, stdin string, args ...string) (output string, code int) {
	t.Helper()
	cmd := exec.Command("keyrounds", args...)
	cmd.Dir, cmd.Stdin = dir, strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}
