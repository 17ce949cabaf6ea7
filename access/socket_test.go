package access_test

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keyrounds/keyrounds/access"
)

// shortDir is a directory whose name leaves room for a socket.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ks")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func answers(path string) bool {
	conn, err := net.Dial("unix", path)
	if err == nil {
		_ = conn.Close()
	}
	return err == nil
}

// A socket that a killed daemon left is replaced, one that somebody answers on is not, and what is no socket is left alone.
func TestSocketFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(shortDir(t), "k.sock")
	s, err := access.ListenSocket(path, "")
	if err != nil {
		t.Fatal(err)
	}
	if st, err := os.Lstat(path); err != nil || st.Mode() != os.ModeSocket|0o660 {
		t.Errorf("%v %v", st, err)
	}
	if _, err := access.ListenSocket(path, ""); !errors.Is(err, access.ErrSocketTaken) || !answers(path) {
		t.Errorf("a second daemon: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it is left behind: %v", err)
	}

	left, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := access.ListenSocket(path, ""); !errors.Is(err, access.ErrSocketTaken) { // by who takes no lock
		t.Errorf("somebody else's: %v", err)
	}
	left.SetUnlinkOnClose(false)
	_ = left.Close()
	s, err = access.ListenSocket(path, "")
	if err != nil || !answers(path) {
		t.Fatalf("one that was left: %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	_ = s.Close()
	_ = s.Close()
	if _, err := access.ListenSocket(path, ""); err == nil || !strings.Contains(err.Error(), "left alone") {
		t.Errorf("a file: %v", err)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "mine" {
		t.Errorf("the file: %q %v", b, err)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 2 { // it and the lock
		t.Errorf("%v %v", entries, err)
	}

	var long *access.LongPathError
	if _, err := access.ListenSocket("/"+strings.Repeat("d", 100)+"/k.sock", ""); !errors.As(err, &long) || long.Hint() == "" {
		t.Errorf("a long path: %v", err)
	}
	if _, err := access.ListenSocket(filepath.Join(shortDir(t), "k"), "no-such-group"); err == nil ||
		!strings.Contains(err.Error(), "access.socket_group") {
		t.Errorf("a group that is not there: %v", err)
	}
}
