package safefile_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/keyrounds/keyrounds/safefile"
)

// A link is followed where whoever made it could read the file himself.
func TestOpenFollowsOnlyLinksOfThoseWhoMayRead(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can make links of others")
	}
	const him, her = 4001, 4002
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	file := func(name string, uid int) {
		t.Helper()
		must(
			errors.Join(
				os.MkdirAll(filepath.Dir(at(name)), 0o755),
				os.WriteFile(at(name), []byte(name), 0o600),
				os.Chown(at(name), uid, uid),
			),
		)
	}
	link := func(to, name string, uid int) {
		t.Helper()
		must(errors.Join(os.MkdirAll(filepath.Dir(at(name)), 0o755), os.Symlink(to, at(name)), os.Lchown(at(name), uid, uid)))
	}
	file("roots", 0)
	file("logs/his", him)
	file("logs/deep/hers", her)
	link(at("roots"), "logs/by-root", 0)
	link("../roots", "logs/relative-by-root", 0)
	link(at("roots"), "logs/by-him", him)
	link("../roots", "logs/relative-by-him", him)
	link(at("logs/his"), "logs/his-own", him)
	link(at("logs/his"), "logs/of-another", her)
	link("by-him", "logs/root-to-him", 0)
	link("by-root", "logs/him-to-root", him)
	link(dir, "logs/out", him)
	link("deep", "logs/dir-by-her", her)
	link("deep", "logs/dir-by-him", him)
	link("loop", "logs/loop", 0)
	must(syscall.Mkfifo(at("logs/pipe"), 0o600))

	for name, want := range map[string]string{
		"roots": "roots", "logs/his": "logs/his", "logs/by-root": "roots", "logs/relative-by-root": "roots", "logs/his-own": "logs/his",
		"logs/deep/../his": "logs/his", "logs/dir-by-her/hers": "logs/deep/hers", "logs//his": "logs/his",
		"logs/by-him": "", "logs/relative-by-him": "", "logs/of-another": "", "logs/root-to-him": "", "logs/him-to-root": "",
		"logs/out/roots": "", "logs/dir-by-him/hers": "",
	} {
		f, err := safefile.Open(at(name))
		var refused *safefile.LinkError
		if want == "" {
			if !errors.As(err, &refused) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		text, err := io.ReadAll(f)
		if err != nil || string(text) != want {
			t.Errorf("%s: %q, %v", name, text, err)
		}
		_ = f.Close()
	}
	for name, want := range map[string]error{
		"logs/none": fs.ErrNotExist, "logs/none/his": fs.ErrNotExist, "roots/his": syscall.ENOTDIR, "logs/loop": syscall.ELOOP,
	} {
		if _, err := safefile.Open(at(name)); !errors.Is(err, want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if f, err := safefile.Open(at("logs/pipe")); err != nil { // nobody writes to it, and it is not waited for
		t.Error(err)
	} else {
		_ = f.Close()
	}
}

// What the shell opened is read by its number: usage import <(zcat access.log.gz).
func TestOpenReadsWhatTheShellOpened(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := w.WriteString("through a pipe"); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	f, err := safefile.Open(fmt.Sprintf("/dev/fd/%d", r.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if text, err := io.ReadAll(f); err != nil || string(text) != "through a pipe" {
		t.Errorf("read %q, %v", text, err)
	}
	var pe *fs.PathError
	if _, err := safefile.Open("/dev/fd/987654"); !errors.As(err, &pe) {
		t.Errorf("a number that nothing has: %v", err)
	}
}
