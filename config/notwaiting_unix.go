//go:build unix

package config

import "syscall"

// notWaiting opens a pipe without waiting for who writes to it.
const notWaiting = syscall.O_NONBLOCK
