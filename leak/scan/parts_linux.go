package scan

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// The bounds of what a repository may consist of; git itself borrows of those who borrow five times.
const (
	mostParts  = 100
	mostBorrow = 5
)

// parts are the directories that a repository consists of, opened: its own, and those elsewhere that it names (the repository of a
// work tree, objects that it borrows, also of one that borrows), where who names them could read them himself, or is root or us.
//
// Each is looked at and given to git by its descriptor. Whatever is put in the place of its name meanwhile, git reads nothing else,
// where the kernel has Landlock.
type parts struct {
	dirs []*os.File // its own first
	git  []*os.File // those of them, or within the first, that are git's own; may be among dirs
}

func partsOf(dir *os.File) *parts {
	p := &parts{dirs: []*os.File{dir}}
	repository := dir // a bare one
	switch named, err := openAt(dir, ".git", unix.O_DIRECTORY); {
	case err == nil:
		repository = named
		p.git = append(p.git, named)
	case !errors.Is(err, os.ErrNotExist):
		text, by := small(dir, ".git")
		where, _ := strings.CutPrefix(firstLine(text), "gitdir: ")
		if repository = p.add(where, dir, by); repository == nil {
			return p
		}
		text, by = small(repository, "commondir")
		if whole := p.add(firstLine(text), repository, by); whole != nil {
			repository = whole
		}
	default:
		p.git = append(p.git, dir)
	}
	p.objects(repository, "objects", 0)
	return p
}

func (p *parts) close() {
	for _, f := range append(p.git, p.dirs...) {
		_ = f.Close()
	}
}

// add takes in a directory that somebody names, from dir on, and returns it; nil: there is none, or he may not.
func (p *parts) add(named string, dir *os.File, by uint32) *os.File {
	if named == "" || len(p.dirs) >= mostParts {
		return nil
	}
	f, err := openFollowing(dir, named)
	if err != nil {
		return nil
	}
	whose, err := owner(f)
	if err != nil || by != whose && by != 0 && by != uint32(os.Geteuid()) {
		_ = f.Close()
		return nil
	}
	p.dirs, p.git = append(p.dirs, f), append(p.git, f)
	return f
}

// objects takes in where objects are: elsewhere, where the directory is a link, and where it borrows some.
func (p *parts) objects(repository *os.File, name string, depth int) {
	at, err := openAt(repository, name, unix.O_PATH)
	if err != nil {
		return
	}
	defer at.Close()
	if to, err := readLink(at); err == nil {
		by, err := owner(at)
		if err != nil {
			return
		}
		if dir := p.add(to, repository, by); dir != nil {
			p.borrowed(dir, depth)
		}
		return
	}
	dir, err := openAt(repository, name, unix.O_DIRECTORY)
	if err != nil {
		return
	}
	defer dir.Close()
	p.borrowed(dir, depth)
}

// borrowed takes in what a directory of objects borrows.
func (p *parts) borrowed(dir *os.File, depth int) {
	info, err := openAt(dir, "info", unix.O_DIRECTORY)
	if err != nil {
		return
	}
	defer info.Close()
	text, by := small(info, "alternates")
	for line := range strings.Lines(text) {
		if named := p.add(strings.TrimSpace(line), dir, by); named != nil && depth < mostBorrow {
			p.borrowed(named, depth+1)
		}
	}
}

// openAt opens what lies in dir, which is no link.
func openAt(dir *os.File, name string, flags int) (*os.File, error) {
	return openIn(dir, name, flags|unix.O_NOFOLLOW)
}

// openFollowing opens a directory that is named from dir on, by whatever links.
func openFollowing(dir *os.File, name string) (*os.File, error) {
	return openIn(dir, name, unix.O_DIRECTORY)
}

func openIn(dir *os.File, name string, flags int) (*os.File, error) {
	path := name
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir.Name(), name)
	}
	fd, err := unix.Openat(int(dir.Fd()), name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC|flags, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(fd), path), nil
}

// readLink is where a link leads that was opened itself.
func readLink(f *os.File) (string, error) {
	to := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(int(f.Fd()), "", to)
	if err != nil {
		return "", err
	}
	return string(to[:n]), nil
}

func owner(f *os.File) (uint32, error) {
	var st unix.Stat_t
	err := unix.Fstat(int(f.Fd()), &st)
	return st.Uid, err
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return strings.TrimSpace(line)
}

// small is what a small regular file in dir says, and whose it is; "" where it is none.
func small(dir *os.File, name string) (text string, by uint32) {
	f, err := openAt(dir, name, 0)
	if err != nil {
		return "", 0
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil || !st.Mode().IsRegular() {
		return "", 0
	}
	b, err := io.ReadAll(io.LimitReader(f, 64<<10))
	if err != nil {
		return "", 0
	}
	return string(b), st.Sys().(*syscall.Stat_t).Uid
}

// names are what git calls the parts, when it has been given them by lend.
func (p *parts) names() (all []string) {
	for i := range p.dirs {
		all = append(all, fmt.Sprintf("/proc/self/fd/%d", 3+i))
	}
	return all
}

// lend has a program inherit the parts.
func (p *parts) lend(cmd *exec.Cmd) { cmd.ExtraFiles = p.dirs }

// odd names something among git's files that is no file, directory or link: git would wait for a pipe.
func (p *parts) odd() (found string) {
	for _, dir := range p.git {
		root, err := os.OpenRoot(fmt.Sprintf("/proc/self/fd/%d", dir.Fd()))
		if err != nil {
			continue
		}
		_ = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
			if err == nil && d.Type()&^(fs.ModeDir|fs.ModeSymlink) != 0 {
				found = filepath.Join(dir.Name(), name)
				return fs.SkipAll
			}
			return nil
		})
		_ = root.Close()
		if found != "" {
			return found
		}
	}
	return ""
}
