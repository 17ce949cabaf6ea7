package access

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/keyrounds/keyrounds/safefile"
)

// Socket is where users of this machine ask, and are known by the kernel.
type Socket struct {
	*net.UnixListener
	path  string
	group int
	file  os.FileInfo
	lock  *os.File // held while we listen
	once  sync.Once
}

// mostPath is how many bytes the path of a socket may have (sockaddr_un, unix(7)).
const mostPath = 107

// LongPathError says that a path is too long for a socket.
type LongPathError struct{ Path string }

func (e *LongPathError) Error() string {
	return fmt.Sprintf("the path of the socket is too long: %s has %d bytes, and the system takes %d", e.Path, len(e.Path), mostPath)
}

// Hint says what a person does about it.
func (*LongPathError) Hint() string {
	return "name a shorter place: access: {socket: /run/keyrounds/keyrounds.sock}, or off to go without"
}

// ErrSocketTaken says that another daemon listens on a socket.
var ErrSocketTaken = errors.New("another daemon listens on it")

// ListenSocket listens at path, for our user, for root, and for members of a group if one is named. The directory is ours or root's. A file
// that a daemon left there, and on which nobody answers, is replaced; ErrSocketTaken: somebody does. What is no socket
// is left alone.
//
// The socket has its mode before anybody can reach it: it is made in a directory of ours alone, and moved.
func ListenSocket(path, group string) (*Socket, error) {
	dir := filepath.Dir(path)
	tmp := filepath.Join(dir, ".ks"+randomText(6))
	if len(path) > mostPath || len(tmp)+len("/s") > mostPath {
		return nil, &LongPathError{path}
	}
	s := &Socket{path: path, group: -1}
	if group != "" {
		g, err := user.LookupGroup(group)
		if err == nil {
			s.group, err = strconv.Atoi(g.Gid)
		}
		if err != nil {
			return nil, fmt.Errorf("access.socket_group: %w", err)
		}
	}
	if err := safefile.Ours(dir); err != nil {
		return nil, err
	}
	if err := s.takeLock(); err != nil {
		return nil, err
	}
	if err := s.listen(tmp); err != nil {
		_ = s.lock.Close()
		return nil, err
	}
	return s, nil
}

// takeLock keeps two daemons from one socket, also where both start at the same moment.
func (s *Socket) takeLock() error {
	f, err := os.OpenFile(s.path+".lock", os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	s.lock = f
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		return fmt.Errorf("%s: %w", s.path, ErrSocketTaken)
	}
	return nil
}

func (s *Socket) listen(tmp string) error {
	switch there, err := os.Lstat(s.path); {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return err
	case there.Mode().Type() != os.ModeSocket:
		return fmt.Errorf("%s is there and is no socket: it is left alone", s.path)
	default:
		if conn, err := net.Dial("unix", s.path); err == nil {
			_ = conn.Close()
			return fmt.Errorf("%s: %w", s.path, ErrSocketTaken)
		}
	}
	if err := os.Mkdir(tmp, 0o700); err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	at := filepath.Join(tmp, "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: at, Net: "unix"})
	if err != nil {
		return err
	}
	l.SetUnlinkOnClose(false)
	err = os.Chmod(at, 0o660)
	if err == nil && s.group >= 0 {
		if err = os.Chown(at, -1, s.group); err != nil {
			err = fmt.Errorf("access.socket_group: the daemon's user must be a member of it: %w", err)
		}
	}
	if err == nil {
		s.file, err = os.Lstat(at)
	}
	if err == nil {
		err = os.Rename(at, s.path)
	}
	if err != nil {
		_ = l.Close()
		return err
	}
	s.UnixListener = l
	return nil
}

// Peer says in the context of a connection who is at its other end (http.Server.ConnContext). Who cannot be known has no role.
func (s *Socket) Peer(ctx context.Context, conn net.Conn) context.Context {
	p := Peer{Name: "somebody unknown"}
	if u, ok := conn.(*net.UnixConn); ok {
		if known, err := PeerOf(u, os.Geteuid(), s.group); err == nil {
			p = known
		}
	}
	return WithPeer(ctx, p)
}

// Close ends it and takes its file away, unless that is somebody else's by now. It may be called again.
func (s *Socket) Close() (err error) {
	s.once.Do(func() {
		err = s.UnixListener.Close()
		if there, e := os.Lstat(s.path); e == nil && os.SameFile(there, s.file) {
			_ = os.Remove(s.path)
		}
		_ = s.lock.Close()
	})
	return err
}
