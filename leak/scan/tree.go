package scan

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

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
	defer s.covered(root, s.tallied())
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
			s.fail(t.nameOf(r), Unreadable, "its history cannot be read: %v", plainError(err))
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
	var elsewhere []string
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
		at := place{source: t.named, path: filepath.ToSlash(rel)}
		switch {
		case err != nil && rel == "":
			return fmt.Errorf("%s: %w", t.Mask(t.named), plainError(err))
		case err != nil:
			t.skip(at, Unreadable, "it cannot be read: %v", plainError(err))
			return nil
		}
		t.name(at, d.Name(), t.keep)
		switch {
		case d.IsDir() && rel != "" && isKernels(name):
			t.skip(at, KernelsOwn, "it is the kernel's, and not on a disk")
			return fs.SkipDir
		case d.IsDir() && isGitDir(name):
			repositories = append(repositories, name)
		case d.IsDir() && d.Name() == "objects" && isGitDir(filepath.Dir(name)):
			return fs.SkipDir // packed; the history has them
		case d.Name() == ".git" && d.Type()&fs.ModeSymlink != 0:
			t.fail(t.nameOf(name), Linked, ".git is a link, and links are not followed: scan the repository that it leads to")
		case d.Name() == ".git" && d.Type().IsRegular():
			elsewhere = append(elsewhere, filepath.Dir(name)) // a work tree of a repository that may be elsewhere
		case d.Type().IsRegular():
			group.Go(func() error { return t.file(ctx, name, at.path) })
		}
		return nil
	})
	return append(repositories, unlisted(elsewhere, repositories)...), errors.Join(err, group.Wait())
}

// unlisted are those of some work trees whose repositories are not among those that are searched anyway.
func unlisted(trees, repositories []string) (all []string) {
	seen := map[string]bool{}
	for _, r := range repositories {
		seen[r] = true
	}
	for _, dir := range trees {
		of := repositoryOf(dir)
		if of == "" || !seen[of] { // git says of what cannot be read why
			all = append(all, dir)
		}
		seen[of] = true
	}
	return all
}

// repositoryOf is the repository that the file .git of a work tree leads to; "": none.
func repositoryOf(tree string) string {
	where, is := strings.CutPrefix(firstOf(filepath.Join(tree, ".git")), "gitdir: ")
	if !is {
		return ""
	}
	if !filepath.IsAbs(where) {
		where = filepath.Join(tree, where)
	}
	if common := firstOf(filepath.Join(where, "commondir")); common != "" {
		if !filepath.IsAbs(common) {
			common = filepath.Join(where, common)
		}
		where = common
	}
	real, err := filepath.EvalSymlinks(where)
	if err != nil {
		return ""
	}
	return real
}

// firstOf is the first line of a small file, which is no link and no pipe; "": there is none.
func firstOf(name string) string {
	f, err := os.OpenFile(name, os.O_RDONLY|asItIs, 0)
	if err != nil {
		return ""
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		return ""
	}
	b, _ := io.ReadAll(io.LimitReader(f, 64<<10))
	line, _, _ := strings.Cut(string(b), "\n")
	return strings.TrimSpace(line)
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
	at := place{t.named, rel, t.dir == nil}
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
	t.skip(at, Unreadable, "it cannot be read: %v", plainError(err))
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
