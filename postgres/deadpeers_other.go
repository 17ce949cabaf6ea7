//go:build !linux

package postgres

import "syscall"

// giveUpOnDeadPeers leaves it to the system how long it waits for a peer that vanished: keep-alives tell.
func giveUpOnDeadPeers(string, string, syscall.RawConn) error { return nil }
