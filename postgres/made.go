//go:build linux

package postgres

import (
	"os"
	"path/filepath"
)

// Made reports whether there is a private server's database in a data_dir. It makes nothing.
func Made(dataDir string) bool {
	dir, err := filepath.EvalSymlinks(dataDir)
	if err != nil {
		return false
	}
	_, err = os.Stat(filepath.Join(place{dataDir: dir}.data(), "PG_VERSION"))
	return err == nil
}
