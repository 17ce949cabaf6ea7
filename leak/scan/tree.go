package scan

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sync/errgroup"
)

// Tree searches a file or a directory with all that is in it, the names of files as well, and, with Options.History,
// the histories of the git repositories in it, root among them.
//
// Symbolic links below root are not followed, and what is no regular file is not opened. What cannot be
// read is in Found.Skipped. Errors are a root that cannot be read, the end of ctx, a history that git cannot list, and
// *NoGitError or *OldGitError where there is a history and no git that may read it.
func (s *Scanner) Tree(ctx context.Context, root string) error {
	real, err := filepath.EvalSymlinks(root)
	if err != nil {
		return fmt.Errorf("%s: %w", s.Mask(root), plainError(err))
	}
	st, err := os.Stat(real)
	if err != nil {
		return fmt.Errorf("%s: %w", s.Mask(root), plainError(err))
	}
	t := tree{Scanner: s, named: root, root: real}
	if !st.IsDir() {
		return t.file(ctx, real, "")
	}
	if t.dir, err = os.OpenRoot(real); err != nil {
		return fmt.Errorf("%s: %w", s.Mask(root), plainError(err))
	}
	defer t.dir.Close()
	repositories, err := t.walk(ctx)
	if err != nil || !s.History {
		return err
	}
	for _, r := range repositories {
		rel, _ := filepath.Rel(t.root, r)
		dir, err := t.dir.OpenFile(rel, os.O_RDONLY|asItIs, 0)
		if err != nil {
			s.skip(place{t.nameOf(r), ""}, "its history cannot be read: %v", plainError(err))
			continue
		}
		if err := s.history(ctx, dir, t.nameOf(r), t.nameOf(r) == t.named); err != nil {
			return err
		}
	}
	return nil
}

func (s *Scanner) workers() int {
	if s.Workers > 0 {
		return s.Workers
	}
	return runtime.GOMAXPROCS(0)
}

type tree struct {
	*Scanner
	named string // as the caller names it
	root  string
	dir   *os.Root // of root, where that is a directory: what is opened in it is in it, whatever is exchanged meanwhile
}

// walk searches the files, and returns the repositories among them.
func (t tree) walk(ctx context.Context) (repositories []string, err error) {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(t.workers())
	err = filepath.WalkDir(t.root, func(name string, d fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		rel, _ := filepath.Rel(t.root, name)
		if rel == "." {
			rel = ""
		}
		at := place{t.named, filepath.ToSlash(rel)}
		switch {
		case err != nil && rel == "":
			return fmt.Errorf("%s: %w", t.Mask(t.named), plainError(err))
		case err != nil:
			t.skip(at, "it cannot be read: %v", plainError(err))
			return nil
		}
		t.name(at, d.Name(), t.keep)
		switch {
		case d.IsDir() && rel != "" && isKernels(name):
			t.skip(at, "it is the kernel's, and not on a disk")
			return fs.SkipDir
		case d.IsDir() && isGitDir(name):
			repositories = append(repositories, name)
		case d.IsDir() && d.Name() == "objects" && isGitDir(filepath.Dir(name)):
			return fs.SkipDir // packed; the history has them
		case d.Name() == ".git" && d.Type()&fs.ModeSymlink != 0:
			t.fail(t.nameOf(name), ".git is a link, and links are not followed: scan the repository that it leads to")
		case d.Name() == ".git" && d.Type().IsRegular() && rel == ".git":
			repositories = append(repositories, t.root) // a work tree of a repository elsewhere
		case d.Type().IsRegular():
			group.Go(func() error { return t.file(ctx, name, at.path) })
		}
		return nil
	})
	return repositories, errors.Join(err, group.Wait())
}

// nameOf names a repository as the caller would.
func (t tree) nameOf(dir string) string {
	if filepath.Base(dir) == ".git" {
		dir = filepath.Dir(dir)
	}
	rel, err := filepath.Rel(t.root, dir)
	if err != nil || rel == "." {
		return t.named
	}
	return filepath.Join(t.named, rel)
}

// isGitDir reports whether git would take a directory for a repository.
func isGitDir(dir string) bool {
	for _, name := range []string{"objects", "refs"} {
		if st, err := os.Stat(filepath.Join(dir, name)); err != nil || !st.IsDir() {
			return false
		}
	}
	_, err := os.Lstat(filepath.Join(dir, "HEAD"))
	return err == nil
}

// file searches a regular file. A pipe that took its place is not waited for.
func (t tree) file(ctx context.Context, name, rel string) error {
	at := place{t.named, rel}
	open, path := os.OpenFile, name
	if t.dir != nil {
		open, path = t.dir.OpenFile, filepath.FromSlash(rel)
	}
	f, err := open(path, os.O_RDONLY|asItIs, 0)
	if err != nil {
		return t.unreadable(at, err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return t.unreadable(at, err)
	}
	if !st.Mode().IsRegular() {
		return t.unreadable(at, fmt.Errorf("not a regular file (%s)", st.Mode().Type()))
	}
	err = t.one(ctx, at, source{f}, &section{f, st.Size()}, func(in place, m match) {
		if t.terms[m.term].Home != name {
			t.keep(in, m)
		}
	})
	if err == nil || ctx.Err() != nil {
		return ctx.Err()
	}
	return t.unreadable(at, err)
}

// unreadable is an error of the file that was named, and of others a note.
func (t tree) unreadable(at place, err error) error {
	if at.path == "" {
		return fmt.Errorf("%s: %w", t.Mask(at.source), plainError(err))
	}
	t.skip(at, "it cannot be read: %v", plainError(err))
	return nil
}

// plainError is err without the path in front.
func plainError(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}
