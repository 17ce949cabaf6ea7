//go:build linux

package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/keyrounds/keyrounds/safefile"
)

// place is where a private server is. What is ours lies in the data_dir; the server's user owns one directory in it, and
// in there we do nothing by ourselves: what must be made, moved or removed, programs of that user's do. So it does not
// matter what he puts there, links for example, while we are root.
//
//	data_dir/                      ours
//	    lock                       who runs the server
//	    database-passwords         of its two roles, as libpq's password file
//	    pg_hba.conf                who may connect, and how
//	    postgres.log               what the server says; it comes through a pipe
//	    postgres/                  the server's user's
//	        data/ run/             the cluster, and the socket
type place struct {
	dataDir string // absolute, without links
	socket  string
	user    *syscall.Credential // nil: as ourselves
}

// findPlace makes the data_dir where there is none.
func findPlace(dataDir string) (p place, err error) {
	if dataDir, err = filepath.Abs(dataDir); err != nil {
		return p, err
	}
	if err = safefile.Ours(dataDir); err == nil {
		err = os.MkdirAll(dataDir, 0o711)
	}
	if err == nil {
		err = safefile.Ours(dataDir) // as it is now
	}
	if err == nil {
		p.dataDir, err = filepath.EvalSymlinks(dataDir)
	}
	if err != nil {
		return p, fmt.Errorf("data_dir: %w", err)
	}
	p.socket = socketDir(p.servers())
	p.user, err = unprivileged()
	return p, err
}

func (p place) servers() string   { return filepath.Join(p.dataDir, "postgres") }
func (p place) data() string      { return filepath.Join(p.servers(), "data") }
func (p place) hba() string       { return filepath.Join(p.dataDir, "pg_hba.conf") }
func (p place) passwords() string { return filepath.Join(p.dataDir, "database-passwords") }
func (p place) log() string       { return filepath.Join(p.dataDir, "postgres.log") }

// socketDir is beside the data unless that path is too long for a unix socket.
func socketDir(dir string) string {
	if s := filepath.Join(dir, "run"); len(s) < 80 {
		return s
	}
	sum := sha256.Sum256([]byte(dir))
	return filepath.Join(os.TempDir(), "keyrounds-"+hex.EncodeToString(sum[:6]))
}

// handOver makes the directory of the server's user, and gives it to him: once, by what was opened and not by its name.
func (p place) handOver() error {
	root, err := os.OpenRoot(p.dataDir)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := root.Mkdir("postgres", 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	dir, err := os.OpenFile(p.servers(), os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer dir.Close()
	st, err := dir.Stat()
	if err != nil {
		return err
	}
	uid := uint32(os.Geteuid())
	if p.user != nil {
		uid = p.user.Uid
	}
	switch owner := st.Sys().(*syscall.Stat_t).Uid; {
	case owner == uid:
		return nil
	case p.user == nil || owner != 0:
		return fmt.Errorf(
			"%s belongs to %s, and the private Postgres runs as %s",
			p.servers(),
			safefile.UserName(owner),
			safefile.UserName(uid),
		)
	}
	return dir.Chown(int(p.user.Uid), int(p.user.Gid))
}

// makeSocketDir makes the directory of the socket, as the server's user. Under /tmp it may be somebody else's already.
func (p place) makeSocketDir(ctx context.Context) error {
	if err := p.asUser(ctx, "mkdir", "-p", "-m", "700", p.socket); err != nil {
		return err
	}
	st, err := os.Lstat(p.socket)
	if err != nil {
		return err
	}
	uid := uint32(os.Geteuid())
	if p.user != nil {
		uid = p.user.Uid
	}
	if owner := st.Sys().(*syscall.Stat_t).Uid; owner != uid || !st.IsDir() || st.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf(
			"%s, for the socket of the private Postgres, belongs to %s or is open to others",
			p.socket,
			safefile.UserName(owner),
		)
	}
	return nil
}

// asUser runs one of the system's programs as the server's user.
func (p place) asUser(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	p.dress(cmd)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// dress makes cmd run as the server's user, and keeps our environment, with its secrets, from it, and our terminal: whoever has
// root's as his controlling terminal can type into it (TIOCSTI).
func (p place) dress(cmd *exec.Cmd) {
	cmd.Dir = p.servers()
	cmd.Env = []string{"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C", "TZ=UTC"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.user, Setsid: true}
}

// reachable: an unprivileged server needs to pass through every directory above its own.
func (p place) reachable() error {
	if p.user == nil {
		return nil
	}
	for dir := p.dataDir; dir != "/"; dir = filepath.Dir(dir) {
		st, err := os.Stat(dir)
		if err != nil {
			return err
		}
		if st.Mode().Perm()&0o001 == 0 && st.Sys().(*syscall.Stat_t).Uid != p.user.Uid {
			return &unreachableError{dir}
		}
	}
	return nil
}

type unreachableError struct{ dir string }

func (e *unreachableError) Error() string {
	return fmt.Sprintf("Postgres does not run as root, and its user cannot pass through %s", e.dir)
}

func (e *unreachableError) Hint() string {
	return "put data_dir elsewhere, for example under /var/lib, or chmod o+x " + e.dir
}

// unprivileged returns the user to run as, nil when we are not root.
func unprivileged() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		if u, err := user.Lookup(name); err == nil {
			uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
			gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, errors.Join(err1, err2)
		}
	}
	return nil, errors.New("running as root, and there is no user postgres or nobody for the private Postgres")
}
