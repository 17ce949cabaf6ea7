//go:build unix

package main

import "golang.org/x/sys/unix"

// diskFree is how many bytes an unprivileged user may still write where dir is.
func diskFree(dir string) (uint64, error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return 0, err
	}
	return uint64(fs.Bavail) * uint64(fs.Bsize), nil //nolint:unconvert // their types differ by system
}
