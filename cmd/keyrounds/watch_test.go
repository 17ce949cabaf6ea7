package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/postgres/pgtest"
	"github.com/keyrounds/keyrounds/test/lasting"
)

// watched is a directory with a configuration and a database, without credentials.
func watched(t *testing.T) (dir string, add func(name string)) {
	t.Helper()
	dir = t.TempDir()
	err := os.WriteFile(filepath.Join(dir, "keyrounds.yaml"), fmt.Appendf(nil, `
data_dir: %s
database: {url: %q}
providers: {idp: {token_url: "http://127.0.0.1:1/token", allow_private_networks: true}}
`, dir, pgtest.EmptyURL(t)), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	add = func(name string) {
		t.Helper()
		out, code := runKeyrounds(t, dir, goodSecret, "credentials", "add", name, "--provider", "idp", "--client-id", name, "--no-check")
		if code != 0 {
			t.Fatal(out)
		}
	}
	add("first")
	return dir, add
}

// On a terminal what is watched is drawn over what was there, on the other screen; Ctrl-C ends it as fine, and the terminal is as it was.
func TestWatchOnATerminal(t *testing.T) {
	lasting.Test(t, "it starts keyrounds at a terminal")
	t.Parallel()
	dir, add := watched(t)
	for i, args := range [][]string{{"status"}, {"credentials", "list"}, {"findings", "list"}} {
		s := at(t, append(args, "-w", "--interval", "100ms", "-c", filepath.Join(dir, "keyrounds.yaml"))...)
		s.await("every 100ms; Ctrl-C ends", 3)
		if i == 1 {
			add("second")
			s.await("second", 1)
		}
		s.types("\x03")
		if code := s.ends(); code != 0 {
			t.Errorf("%v: exit code %d\n%s", args, code, s.shows())
		}
		text := s.shows()
		if strings.Count(text, otherScreen) != 1 || !strings.HasSuffix(strings.TrimSpace(text), strings.TrimSpace(ownScreen)) ||
			strings.Contains(text, "\x1b[2J") {
			t.Errorf("%v: the screen is not as it was, or flickers: %q", args, text)
		}
	}
}

// Elsewhere all comes once, and then the lines that are new or changed.
func TestWatchElsewhere(t *testing.T) {
	lasting.Test(t, "it runs until it is told to end")
	t.Parallel()
	dir, add := watched(t)
	cmd := exec.Command("keyrounds", "credentials", "list", "-w", "--interval", "100ms", "-o", "csv", "--columns", "name,status")
	out := &syncBuffer{}
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	await := func(want string) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); out.String() != want; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%q instead of %q", out.String(), want)
			}
		}
	}
	await("name,status\nfirst,pending\n")
	add("second")
	await("name,status\nfirst,pending\nsecond,pending\n")
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil || out.String() != "name,status\nfirst,pending\nsecond,pending\n" {
		t.Errorf("%v: %s", err, out)
	}
	text, code := runKeyrounds(t, dir, "", "status", "-w", "-o", "json")
	if code != exitError || !strings.Contains(text, "--watch is not for -o json") {
		t.Errorf("%d: %s", code, text)
	}
}

// A look that fails is told, and the next one is made all the same; a line whose blanks alone differ is not printed again.
func TestWatchGoesOn(t *testing.T) {
	t.Parallel()
	looks := []func(io.Writer) error{
		func(w io.Writer) error { _, err := io.WriteString(w, "A  B\n1  2\n"); return err },
		func(io.Writer) error { return errors.New("away") },
		func(w io.Writer) error {
			_, err := io.WriteString(w, "A    B\n1    2\n333  4\n")
			return errors.Join(err, errFound)
		},
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	cmd, out, errs := &cobra.Command{}, &syncBuffer{}, &syncBuffer{}
	cmd.SetOut(out)
	cmd.SetErr(errs)
	cmd.SetContext(ctx)
	n := 0
	err := (&watch{on: true, every: time.Millisecond}).show(cmd, func(w io.Writer) error {
		if n == len(looks) {
			stop()
			return nil
		}
		n++
		return looks[n-1](w)
	})
	if err != nil || out.String() != "A  B\n1  2\n333  4\n" || errs.String() != "away\n" {
		t.Errorf("%v: %q, %q", err, out, errs)
	}
}
