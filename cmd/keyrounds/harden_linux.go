package main

import (
	"errors"

	"golang.org/x/sys/unix"
)

// harden keeps the secrets of this process out of core files and from other processes of the same
// user. Every command may read secrets.
func harden() error {
	return errors.Join(
		unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0),
		unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}),
	)
}
