package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/keyrounds/keyrounds/postgres/pgtest"
	"github.com/keyrounds/keyrounds/test/lasting"

	"golang.org/x/sys/unix"
)

// A program that reads what strangers wrote reads what it is given, writes nothing, and gets no new privileges.
func TestConfinedPrograms(t *testing.T) {
	lasting.Test(t, "it starts keyrounds as a process")
	t.Parallel()
	if abi, _, _ := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, 1); int(abi) < 1 {
		t.Skip("this kernel has no Landlock")
	}
	given, other := pgtest.Dir(t), pgtest.Dir(t)
	for _, dir := range []string{given, other} {
		if err := os.WriteFile(filepath.Join(dir, "file"), []byte("text\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	run := func(script string) (string, error) {
		out, err := exec.Command("keyrounds", confined, "-r", given, "--", "sh", "-c", script).CombinedOutput()
		return string(out), err
	}
	for script, ok := range map[string]bool{
		"cat " + given + "/file":                       true,
		"grep -q 'NoNewPrivs:.*1' /proc/self/status":   false, // not even that
		"cat " + other + "/file":                       false,
		"cat /etc/passwd":                              false,
		"ls " + other:                                  false,
		"echo x > " + given + "/file":                  false,
		"echo x > " + given + "/new":                   false,
		"echo x > /tmp/keyrounds-confined":             false,
		"rm " + given + "/file":                        false,
		"ln -s /etc/passwd " + given + "/link":         false,
		"echo x > /dev/null":                           true,
		"git --version":                                true,
		"exec 3<>/dev/tcp/127.0.0.1/1 || exit 1":       false,
		"cat " + given + "/../../etc/passwd":           false,
		"cd " + given + " && cat file && cat ./file":   true,
		"head -c 1 /dev/urandom | wc -c | grep -q '1'": true,
	} {
		if out, err := run(script); (err == nil) != ok {
			t.Errorf("%s: %v %s", script, err, out)
		}
	}
	if text, err := os.ReadFile(filepath.Join(given, "file")); err != nil || string(text) != "text\n" {
		t.Errorf("the file holds %q, %v", text, err)
	}
}

// What a repository borrows of another's is read only where its owner could read it himself.
func TestAScanStaysInItsRepository(t *testing.T) {
	lasting.Test(t, "it starts keyrounds as a process")
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can make repositories of others")
	}
	s := newSite(t, 1)
	git := func(dir string, args ...string) string {
		t.Helper()
		cmd := exec.Command(
			"git",
			append([]string{"-C", dir, "-c", "safe.directory=*", "-c", "user.name=a", "-c", "user.email=a@example.com"}, args...)...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	const him, her = 4001, 4002
	repository := func() string {
		t.Helper()
		dir := pgtest.Dir(t)
		git(dir, "init", "-q")
		t.Cleanup(func() { _ = os.Chown(dir, 0, 0) })
		return dir
	}
	own := func(dir string, owner int) {
		t.Helper()
		if out, err := exec.Command("chown", "-R", "--no-dereference", strconv.Itoa(owner), dir).CombinedOutput(); err != nil {
			t.Fatalf("%v %s", err, out)
		}
	}
	hers := repository()
	if err := os.WriteFile(filepath.Join(hers, "env"), []byte("SECRET="+goodSecret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	git(hers, "add", "env")
	git(hers, "commit", "-qm", "x")
	commit := git(hers, "rev-parse", "HEAD")
	borrower := func(owner int) string {
		t.Helper()
		dir := repository()
		alternates := filepath.Join(dir, ".git", "objects", "info", "alternates")
		if err := os.WriteFile(alternates, []byte(hers+"/.git/objects\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		git(dir, "update-ref", "refs/heads/main", commit)
		own(dir, owner)
		return dir
	}
	own(hers, her)
	if out, code := s.command("migrate"); code != 0 {
		t.Fatalf("migrate: %d\n%s", code, out)
	}
	out, _ := s.command("leaks", "scan", "--record=false", borrower(her))
	if !strings.Contains(out, "c00") {
		t.Errorf("what is borrowed of her own is not found:\n%s", out)
	}
	out, _ = s.command("leaks", "scan", "--record=false", borrower(him))
	if strings.Contains(out, "c00 ") && strings.Contains(out, "secret") {
		t.Errorf("what belongs to another is read for him:\n%s", out)
	}
}
