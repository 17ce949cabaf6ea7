//go:build linux

package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// dirLock is held by the process whose private server runs in a data_dir: a daemon, or a command
// while it lasts. The kernel lets go of it with the process, however that ends.
type dirLock struct{ f *os.File }

// holder is who has a lock: a role ("daemon" or "command") and a process id.
type holder struct {
	role string
	pid  int
}

var errLocked = errors.New("locked")

func lockDir(dir, role string) (*dirLock, holder, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, holder{}, err
	}
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		f.Close()
		return nil, holder{}, cmp.Or(err, fmt.Errorf("%s is no file", f.Name()))
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		b, _ := io.ReadAll(io.LimitReader(f, 100))
		f.Close()
		var h holder
		role, pid, _ := strings.Cut(strings.TrimSpace(string(b)), " ")
		h.role = role
		h.pid, _ = strconv.Atoi(pid)
		return nil, h, errLocked
	}
	if err := f.Truncate(0); err != nil {
		f.Close()
		return nil, holder{}, err
	}
	_, err = f.WriteAt(fmt.Appendf(nil, "%s %d\n", role, os.Getpid()), 0)
	return &dirLock{f}, holder{}, err
}

func (l *dirLock) release() { l.f.Close() }

// waitFor calls try every 50 ms until it says done, fails, or ctx ends.
func waitFor(ctx context.Context, try func() (done bool, err error)) error {
	t := time.NewTicker(50 * time.Millisecond)
	defer t.Stop()
	for {
		done, err := try()
		if done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
		}
	}
}
