package credential_test

import (
	"archive/zip"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// zoneNames lists the IANA zones of Go's own copy or, without one, of the system.
func zoneNames(t *testing.T) []string {
	t.Helper()
	var names []string
	if z, err := zip.OpenReader(filepath.Join(goroot(t), "lib", "time", "zoneinfo.zip")); err == nil {
		defer z.Close()
		for _, f := range z.File {
			names = append(names, f.Name)
		}
		return names
	}
	root := os.DirFS("/usr/share/zoneinfo")
	_ = fs.WalkDir(root, ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			names = append(names, path)
		}
		return nil
	})
	return names
}

func goroot(t *testing.T) string {
	out, err := exec.CommandContext(t.Context(), "go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}
