//go:build unix && !linux

package main

import "golang.org/x/sys/unix"

// harden keeps the secrets of this process out of core files. Every command may read secrets. That other processes of the same user
// cannot read its memory is only so on Linux.
func harden() error { return unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}) }
