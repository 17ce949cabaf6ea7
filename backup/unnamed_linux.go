package backup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// forget has f read from the disk, where the system does that.
func forget(f *os.File) {
	unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED) //nolint:errcheck // as far as it can
}

// unnamed is a file that is not there for others yet.
type unnamed struct {
	*os.File
	dir  string
	name string // that it has nevertheless
}

func create(dir, name string) (*unnamed, error) {
	prefix := "." + name + ".partial-"
	removeStale(dir, prefix)
	fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err == nil {
		return &unnamed{File: os.NewFile(uintptr(fd), filepath.Join(dir, name)), dir: dir}, nil
	}
	if !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.EISDIR) {
		return nil, &os.PathError{Op: "write in", Path: dir, Err: err}
	}
	return createNamed(dir, prefix)
}

func createNamed(dir, prefix string) (*unnamed, error) {
	f, err := os.CreateTemp(dir, prefix)
	if err != nil {
		return nil, err
	}
	_ = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) // the sign that it is not stale
	return &unnamed{File: f, dir: dir, name: f.Name()}, nil
}

// removeStale removes what nobody writes any more.
func removeStale(dir, prefix string) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), prefix) || !e.Type().IsRegular() {
			continue
		}
		path := filepath.Join(dir, e.Name())
		f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
		if err != nil {
			continue
		}
		if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
			_ = os.Remove(path)
		}
		_ = f.Close()
	}
}

// place gives it its name, in place of what has it.
func (u *unnamed) place(path string) error {
	if u.name == "" {
		// A name can be given to it, but not that of another file: that one is taken in a second step.
		name := filepath.Join(u.dir, fmt.Sprintf(".%s.partial-%d", filepath.Base(path), os.Getpid()))
		_ = os.Remove(name)
		unnamed := fmt.Sprintf("/proc/self/fd/%d", u.Fd())
		if err := unix.Linkat(unix.AT_FDCWD, unnamed, unix.AT_FDCWD, name, unix.AT_SYMLINK_FOLLOW); err != nil {
			return &os.LinkError{Op: "link", Old: "the backup", New: path, Err: err}
		}
		u.name = name
	}
	if err := os.Rename(u.name, path); err != nil {
		return err
	}
	u.name = ""
	d, err := os.Open(u.dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (u *unnamed) remove() {
	if u.name != "" {
		_ = os.Remove(u.name)
	}
	_ = u.Close()
}
