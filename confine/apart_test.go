package confine_test

import (
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/keyrounds/keyrounds/confine"
)

// What reads a stranger's archive can open, make and reach nothing, and everything else goes on as it was.
func TestApart(t *testing.T) {
	t.Parallel()
	abi := confine.Landlock()
	if abi == 0 {
		t.Skip("this kernel has no Landlock")
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	opened, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	deeds := map[string]func() error{
		"read":   func() error { _, err := os.ReadFile(file); return err },
		"list":   func() error { _, err := os.ReadDir(dir); return err },
		"write":  func() error { return os.WriteFile(filepath.Join(dir, "new"), nil, 0o600) },
		"remove": func() error { return os.Remove(file) },
		"link":   func() error { return os.Symlink(file, filepath.Join(dir, "link")) },
	}
	var together sync.WaitGroup
	for range 20 {
		together.Go(func() {
			for what, do := range deeds {
				if err := confine.Apart(do); !os.IsPermission(err) {
					t.Errorf("%s, apart: %v", what, err)
				}
			}
			text := confine.Apart(func() string {
				b := make([]byte, 4)
				_, _ = opened.ReadAt(b, 0)
				return string(b)
			})
			if text != "text" {
				t.Errorf("what was opened before reads %q", text)
			}
		})
	}
	together.Wait()
	for _, what := range []string{"read", "list", "write"} {
		if err := deeds[what](); err != nil {
			t.Errorf("%s, afterwards: %v", what, err)
		}
	}
	if abi >= 4 {
		if _, err := net.Dial("tcp", listener.Addr().String()); err != nil {
			t.Errorf("a connection, afterwards: %v", err)
		}
	}
}

func BenchmarkApart(b *testing.B) {
	for b.Loop() {
		confine.Apart(func() error { return nil })
	}
}
