package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"filippo.io/age"
	"golang.org/x/sys/unix"

	"github.com/keyrounds/keyrounds/safefile"
)

// Save writes a backup to a file of mode 0600, reads back all of it from the disk, and only then gives it its name; a file that
// has the name already is replaced. Until then it has no name, so that nothing is left where it fails or is killed; on a file
// system that cannot do that it has one that begins with a dot, and the next Save into that directory removes it.
func Save(ctx context.Context, path string, o Options) (c Contents, err error) {
	dir, name := filepath.Split(path)
	if dir == "" {
		dir = "."
	}
	if st, err := os.Lstat(path); err == nil && !st.Mode().IsRegular() {
		return c, &notAFileError{path}
	}
	if err := safefile.Ours(dir); err != nil {
		return c, err
	}
	f, err := create(dir, name)
	if err != nil {
		return c, err
	}
	defer f.remove()
	c, key, err := write(ctx, f.File, o)
	defer clear(key)
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = readBack(f.File, c, o.Lock, key)
	}
	if err != nil {
		return c, err
	}
	return c, f.place(path)
}

type notAFileError struct{ path string }

func (e *notAFileError) Error() string { return e.path + " is there, and is not a file" }
func (e *notAFileError) Hint() string  { return "name another file; - is standard output" }

// readBack opens what was written with the passphrase, or else with the file's own key, and compares.
func readBack(f *os.File, c Contents, l Lock, key []byte) error {
	unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED) //nolint:errcheck // from the disk, where the system does that
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	opens := Key(l.passphrase)
	if opens == nil {
		opens = Key{age.NewInjectedFileKeyIdentity(key)}
	}
	is, err := Check(f, opens, nil)
	if err == nil && (!maps.Equal(is.Sums, c.Sums) || is.Size != c.Size) {
		err = errors.New("it is another one")
	}
	if err != nil {
		return &unreadableError{err}
	}
	return nil
}

type unreadableError struct{ err error }

func (e *unreadableError) Error() string {
	return fmt.Sprintf("what was written cannot be read back, and was thrown away: %v", e.err)
}

func (*unreadableError) Hint() string    { return "the disk, or the memory, of this machine is broken" }
func (e *unreadableError) Unwrap() error { return e.err }

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
