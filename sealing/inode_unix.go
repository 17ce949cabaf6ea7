//go:build unix

package sealing

import (
	"os"
	"syscall"
)

// inode tells a file from the one that took its place.
func inode(st os.FileInfo) uint64 { return st.Sys().(*syscall.Stat_t).Ino }
