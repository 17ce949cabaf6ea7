//go:build !linux

package access

import (
	"context"
	"errors"
	"net"
)

// Socket is where users of this machine ask: only on Linux.
type Socket struct{ *net.UnixListener }

// ErrSocketTaken says that another daemon listens on a socket.
var ErrSocketTaken = errors.New("another daemon listens on it")

// ListenSocket says that there is none here.
func ListenSocket(string, string) (*Socket, error) {
	return nil, errors.New("the socket is only on Linux; use a token (docs/access.md)")
}

// Peer says nothing of anybody.
func (s *Socket) Peer(ctx context.Context, _ net.Conn) context.Context { return ctx }

// Close does nothing.
func (s *Socket) Close() error { return nil }
