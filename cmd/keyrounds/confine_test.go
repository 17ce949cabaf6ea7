package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/keyrounds/keyrounds/postgres/pgtest"
	"github.com/keyrounds/keyrounds/test/lasting"
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
	git, repository, own := gitOf(t)
	const him, her = 4001, 4002
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

// gitOf makes repositories, and gives them to others.
func gitOf(t *testing.T) (git func(dir string, args ...string) string, repository func() string, own func(dir string, owner int)) {
	t.Helper()
	git = func(dir string, args ...string) string {
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
	repository = func() string {
		t.Helper()
		dir := pgtest.Dir(t)
		git(dir, "init", "-q")
		t.Cleanup(func() { _ = os.Chown(dir, 0, 0) })
		return dir
	}
	own = func(dir string, owner int) {
		t.Helper()
		if out, err := exec.Command("chown", "-R", "--no-dereference", strconv.Itoa(owner), dir).CombinedOutput(); err != nil {
			t.Fatalf("%v %s", err, out)
		}
	}
	return git, repository, own
}

// Whatever somebody puts in the place of what was looked at, while it is scanned by root, what belongs to another is not read for him.
func TestAScanIsNotLedAstrayMeanwhile(t *testing.T) {
	lasting.Test(t, "it starts keyrounds as a process, many times")
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can make repositories of others")
	}
	s := newSite(t, 1)
	git, repository, own := gitOf(t)
	const him, her = 4001, 4002
	hers := repository()
	if err := os.WriteFile(filepath.Join(hers, "env"), []byte("SECRET="+goodSecret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	git(hers, "add", "env")
	git(hers, "commit", "-qm", "x")
	commit := git(hers, "rev-parse", "HEAD")
	own(hers, her)
	if out, code := s.command("migrate"); code != 0 {
		t.Fatalf("migrate: %d\n%s", code, out)
	}
	for name, attack := range map[string]func(his string) (flip func(i int) error){
		"a link among what it borrows": func(his string) func(int) error {
			link, alternates := filepath.Join(his, "link"), filepath.Join(his, ".git", "objects", "info", "alternates")
			git(his, "init", "-q", "--bare", filepath.Join(his, "other"))
			if err := os.WriteFile(alternates, []byte(link+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			targets := []string{filepath.Join(his, "other", "objects"), filepath.Join(hers, ".git", "objects")}
			return func(i int) error {
				next := fmt.Sprint(link, i%2)
				return errors.Join(os.Symlink(targets[i%2], next), os.Lchown(next, him, him), os.Rename(next, link))
			}
		},
		"its own directory": func(his string) func(int) error {
			link := filepath.Join(his, "elsewhere")
			if err := errors.Join(os.Symlink(filepath.Join(hers, ".git"), link), os.Lchown(link, him, him)); err != nil {
				t.Fatal(err)
			}
			return func(int) error {
				return unix.Renameat2(unix.AT_FDCWD, link, unix.AT_FDCWD, filepath.Join(his, ".git"), unix.RENAME_EXCHANGE)
			}
		},
	} {
		his := repository()
		git(his, "update-ref", "--no-deref", "refs/heads/main", git(his, "commit-tree", "-m", "y", git(his, "write-tree")))
		flip := attack(his)
		if err := os.WriteFile(filepath.Join(his, ".git", "refs", "heads", "main"), []byte(commit+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		own(his, him)
		stop, stopped := make(chan struct{}), make(chan error, 1)
		go func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					stopped <- nil
					return
				default:
				}
				if err := flip(i); err != nil {
					stopped <- err
					return
				}
				time.Sleep(time.Duration(i%7) * time.Millisecond)
			}
		}()
		for range 15 {
			out, _ := s.command("leaks", "scan", "--record=false", his)
			if strings.Contains(out, "c00 ") && strings.Contains(out, "secret") {
				t.Errorf("%s: what belongs to another is read for him:\n%s", name, out)
				break
			}
		}
		close(stop)
		if err := <-stopped; err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
}
