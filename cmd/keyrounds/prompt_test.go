package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"github.com/keyrounds/keyrounds/postgres/pgtest"
	"github.com/keyrounds/keyrounds/test/lasting"
)

// screen is a terminal at which a command runs.
type screen struct {
	*testing.T
	tty  *os.File
	cmd  *exec.Cmd
	mu   sync.Mutex
	text bytes.Buffer
	over chan struct{}
}

func at(t *testing.T, args ...string) *screen {
	t.Helper()
	return atIn(t, nil, args...)
}

// atIn is at with more variables of the environment.
func atIn(t *testing.T, env []string, args ...string) *screen {
	t.Helper()
	s := &screen{T: t, cmd: exec.Command("keyrounds", args...), over: make(chan struct{})}
	s.cmd.Env = append(os.Environ(), env...)
	var err error
	if s.tty, err = pty.Start(s.cmd); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(s.over)
		b := make([]byte, 1024)
		for {
			n, err := s.tty.Read(b)
			s.mu.Lock()
			s.text.Write(b[:n])
			s.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() { _, _ = s.cmd.Process.Kill(), s.tty.Close() })
	return s
}

func (s *screen) shows() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// await waits for a text, n times.
func (s *screen) await(text string, n int) {
	s.Helper()
	for deadline := time.Now().Add(time.Minute); strings.Count(s.shows(), text) < n; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.Fatalf("%q was not shown %d times:\n%s", text, n, s.shows())
		}
	}
}

func (s *screen) echoes() bool {
	s.Helper()
	mode, err := unix.IoctlGetTermios(int(s.tty.Fd()), unix.TCGETS)
	if err != nil {
		s.Fatal(err)
	}
	return mode.Lflag&unix.ECHO != 0
}

// silent waits until what is typed is not shown.
func (s *screen) silent() {
	s.Helper()
	for deadline := time.Now().Add(time.Minute); s.echoes(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.Fatalf("what is typed is shown:\n%s", s.shows())
		}
	}
}

func (s *screen) types(text string) {
	s.Helper()
	if _, err := s.tty.WriteString(text); err != nil {
		s.Fatal(err)
	}
}

// ends waits for the end, and returns the exit code.
func (s *screen) ends() int {
	s.Helper()
	ended := make(chan error, 1)
	go func() { ended <- s.cmd.Wait() }()
	select {
	case err := <-ended:
		var code *exec.ExitError
		if err != nil && !errors.As(err, &code) {
			s.Fatal(err)
		}
	case <-time.After(time.Minute):
		s.Fatalf("it does not end:\n%s", s.shows())
	}
	<-s.over // all that it said is read
	if !s.echoes() {
		s.Errorf("the terminal is left without echo:\n%s", s.shows())
	}
	return s.cmd.ProcessState.ExitCode()
}

// Each prompt for something secret shows nothing of it, and ends at Ctrl-C, Ctrl-D and Enter with the echo as it was.
func TestPrompts(t *testing.T) {
	lasting.Test(t, "it starts keyrounds at a terminal")
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "keyrounds.yaml")
	err := os.WriteFile(file, fmt.Appendf(nil, `
data_dir: %s
database: {url: %q}
providers: {idp: {token_url: "http://127.0.0.1:1/token", allow_private_networks: true}}
`, dir, pgtest.EmptyURL(t)), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	add := func(name string) []string {
		return []string{"credentials", "add", name, "--provider", "idp", "--client-id", name, "-c", file, "--no-check"}
	}
	prompts := map[string][]string{
		"Secret of ":     add("a"),
		"Passphrase of ": {"backup", filepath.Join(dir, "b.age"), "-c", file},
	}
	for prompt, args := range prompts {
		for key, want := range map[string]struct {
			code int
			says string
		}{
			"\x03": {exitInterrupted, "interrupted; nothing was changed"},
			"\x04": {exitError, "was given; nothing was changed"},
			"\r":   {exitError, "was given; nothing was changed"},
		} {
			s := at(t, args...)
			s.await(prompt, 1)
			s.silent()
			s.types(key)
			if code := s.ends(); code != want.code || !strings.Contains(s.shows(), want.says) {
				t.Errorf("%s%q: exit code %d\n%s", prompt, key, code, s.shows())
			}
		}
	}

	s := at(t, add("typed")...)
	s.await("Secret of typed", 1)
	s.silent()
	s.types("c4n4ry-typed-s3cret \r")
	if code := s.ends(); code != 0 || strings.Contains(s.shows(), "c4n4ry") || !strings.Contains(s.shows(), "begins or ends with a blank") {
		t.Errorf("a secret that is typed: exit code %d\n%s", code, s.shows())
	}

	for answer, want := range map[string]string{"n\r": "nothing was changed", "\x03": "interrupted"} {
		s := at(t, "credentials", "retire", "typed", "-c", file)
		s.await("[y/N]", 1)
		s.types(answer)
		if code := s.ends(); code == 0 || !strings.Contains(s.shows(), want) {
			t.Errorf("retire, %q: exit code %d\n%s", answer, code, s.shows())
		}
	}
	s = at(t, "credentials", "retire", "typed", "-c", file)
	s.await("removed for good", 1)
	s.types("y\r")
	if code := s.ends(); code != 0 || !strings.Contains(s.shows(), "typed is retired") {
		t.Errorf("retire: exit code %d\n%s", code, s.shows())
	}
}
