package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// What a library says of a file, a program or an address reaches nobody, wherever it stands in an error.
func TestErrorsInOwnWords(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, noFile := os.Open(filepath.Join(dir, "none"))
	noDir := os.Rename(filepath.Join(dir, "none"), filepath.Join(dir, "no", "one"))
	_, isDir := os.ReadFile(dir)
	noProgram := exec.Command("keyrounds-no-such-program").Run()
	_, noAnswer := net.Dial("tcp", "127.0.0.1:1") //nolint:noctx // at once
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, twice := net.Listen("tcp", taken.Addr().String())
	ofLibraries := []string{"open ", "rename ", "read ", "dial ", "listen ", "bind", "exec:", "$PATH", "such file or", "refused"}
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"no file":      {noFile, "none: there is no such file"},
		"no directory": {noDir, "one: there is no such file"},
		"a directory":  {isDir, dir + ": it is a directory"},
		"no program":   {noProgram, "keyrounds-no-such-program: there is no such program"},
		"no answer":    {noAnswer, "127.0.0.1:1: nobody listens there"},
		"taken":        {twice, "another process listens there already"},
	} {
		for _, err := range []error{c.err, fmt.Errorf("in it: %w", c.err), errors.Join(errors.New("x"), fmt.Errorf("in: %w", c.err))} {
			got := inOwnWords(err)
			if !strings.Contains(got, c.want) {
				t.Errorf("%s: %q, want %q", name, got, c.want)
			}
			for _, foreign := range ofLibraries {
				if strings.Contains(got, foreign) {
					t.Errorf("%s: %q says %q", name, got, foreign)
				}
			}
		}
	}
}
