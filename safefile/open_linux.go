package safefile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

const maxLinks = 40 // as the kernel has it

// Open opens a regular file to read it, and does not wait for a pipe. Links on the way are followed where root or we made them,
// or where what is opened belongs to who made them: whoever may write in a directory cannot have another file read in place
// of his own (*LinkError). Other errors are of the type *fs.PathError.
//
// What the shell opened for us, /dev/fd/63 of <(zcat …) or /dev/stdin, is read as it is, also where it is a pipe.
func Open(path string) (*os.File, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if fd, ok := given(abs); ok {
		return reopen(path, fd)
	}
	w := walk{path: path, parts: strings.Split(strings.TrimPrefix(abs, "/"), "/")}
	defer w.close()
	return w.open()
}

// given is the descriptor that a path names.
func given(path string) (fd int, ok bool) {
	if path == "/dev/stdin" {
		return 0, true
	}
	for _, dir := range []string{"/dev/fd/", "/proc/self/fd/"} {
		if number, found := strings.CutPrefix(path, dir); found {
			fd, err := strconv.Atoi(number)
			return fd, err == nil
		}
	}
	return 0, false
}

func reopen(path string, fd int) (*os.File, error) {
	twin, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(twin), path), nil
}

// walk goes along a path, one name at a time, each in the directory that was opened before.
type walk struct {
	path  string
	parts []string // what is left to go
	dir   int
	links []uint32 // who made those that were followed, but root and us
	count int
}

func (w *walk) close() { _ = unix.Close(w.dir) }

func (w *walk) open() (_ *os.File, err error) {
	if w.dir, err = unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err != nil {
		return nil, w.fail(err)
	}
	for {
		name := w.parts[0]
		if w.parts = w.parts[1:]; len(w.parts) == 0 {
			fd, err := openat(w.dir, name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW)
			if err == nil {
				return w.file(fd)
			}
			if !errors.Is(err, unix.ELOOP) {
				return nil, w.fail(err)
			}
		}
		if err := w.step(name); err != nil {
			return nil, err
		}
	}
}

// step goes into a directory, or to where a link leads.
func (w *walk) step(name string) error {
	if name == "" {
		name = "."
	}
	fd, err := openat(w.dir, name, unix.O_PATH|unix.O_NOFOLLOW)
	if err != nil {
		return w.fail(err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		_ = unix.Close(fd)
		return w.fail(err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFLNK {
		w.close()
		w.dir = fd
		return nil
	}
	defer func() { _ = unix.Close(fd) }()
	if w.count++; w.count > maxLinks {
		return w.fail(unix.ELOOP)
	}
	if st.Uid != 0 && st.Uid != uint32(os.Geteuid()) {
		w.links = append(w.links, st.Uid)
	}
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(fd, "", buf)
	if err != nil {
		return w.fail(err)
	}
	target := string(buf[:n])
	w.parts = append(strings.Split(strings.Trim(target, "/"), "/"), w.parts...)
	if !filepath.IsAbs(target) {
		return nil
	}
	w.close()
	if w.dir, err = unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err != nil {
		return w.fail(err)
	}
	return nil
}

func (w *walk) file(fd int) (*os.File, error) {
	f := os.NewFile(uintptr(fd), w.path)
	st, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	for _, uid := range w.links {
		if owner := st.Sys().(*syscall.Stat_t).Uid; owner != uid {
			_ = f.Close()
			return nil, &LinkError{w.path, uid}
		}
	}
	return f, nil
}

func (w *walk) fail(err error) error { return &fs.PathError{Op: "open", Path: w.path, Err: err} }

func openat(dir int, name string, flags int) (fd int, err error) {
	for {
		fd, err = unix.Openat(dir, name, flags|unix.O_CLOEXEC, 0)
		if !errors.Is(err, unix.EINTR) {
			return fd, err
		}
	}
}
