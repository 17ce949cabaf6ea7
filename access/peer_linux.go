package access

import (
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// PeerOf returns who is at the other end of a connection: root and self (the daemon's user) are admins, members of the group
// responders, everybody else has no role. group is a gid; below 0: no group.
func PeerOf(conn *net.UnixConn, self, group int) (Peer, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return Peer{}, err
	}
	var cred *unix.Ucred
	var failed error
	err = raw.Control(func(fd uintptr) { cred, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if err != nil {
		return Peer{}, err
	}
	if failed != nil {
		return Peer{}, fmt.Errorf("who is at the other end of the socket: %w", failed)
	}
	return peer(int(cred.Uid), int(cred.Gid), self, group), nil
}
