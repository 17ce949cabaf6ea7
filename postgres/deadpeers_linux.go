package postgres

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// giveUpOnDeadPeers has a connection end deadPeerAfter its peer vanished.
func giveUpOnDeadPeers(network, _ string, conn syscall.RawConn) (err error) {
	if network == "unix" {
		return nil
	}
	cerr := conn.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(deadPeerAfter.Milliseconds()))
	})
	return errors.Join(cerr, err)
}
