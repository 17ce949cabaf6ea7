package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

func (s *server) ownDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	st, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	uid := uint32(os.Geteuid())
	if s.user != nil {
		uid = s.user.Uid
	}
	owner := st.Sys().(*syscall.Stat_t).Uid
	if !st.IsDir() || owner != uid && owner != uint32(os.Geteuid()) {
		return fmt.Errorf("%s belongs to another user", dir)
	}
	if s.user != nil {
		if err := os.Chown(dir, int(s.user.Uid), int(s.user.Gid)); err != nil {
			return err
		}
	}
	return os.Chmod(dir, 0o700)
}

// reachable: an unprivileged server needs to pass through every directory above its own.
func (s *server) reachable() error {
	if s.user == nil {
		return nil
	}
	for dir := filepath.Dir(s.dir); dir != "/"; dir = filepath.Dir(dir) {
		st, err := os.Stat(dir)
		if err != nil {
			return err
		}
		if st.Mode().Perm()&0o001 == 0 && st.Sys().(*syscall.Stat_t).Uid != s.user.Uid {
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

// initdb makes the cluster in a directory of another name first, so that one that was cut short
// is never taken for whole.
func (s *server) initdb(ctx context.Context) error {
	if _, err := os.Stat(s.data()); err == nil {
		return nil
	}
	half := s.data() + ".new"
	if err := os.RemoveAll(half); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, "initdb"), "-D", half, "-U", superuser, "-A", "trust",
		"--no-locale", "-E", "UTF8", "--data-checksums", "--no-instructions")
	s.asUser(cmd)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, lastLine(string(out)))
	}
	return os.Rename(half, s.data())
}
