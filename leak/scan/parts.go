package scan

import (
	"io"
	"os"
	"path/filepath"
	"strings"
)

// The bounds of what a repository may consist of; git itself borrows of those who borrow five times.
const (
	mostParts  = 100
	mostBorrow = 5
)

// partsOf returns the directories that a repository consists of: its own, and those elsewhere that it names (the repository of a
// work tree, objects that it borrows, also of one that borrows), where who names them could read them himself, or is root or us.
func partsOf(dir string) []string {
	p := parts{dir}
	gitDir := filepath.Join(dir, ".git")
	if st, err := os.Lstat(gitDir); err == nil && st.Mode().IsRegular() {
		named, _ := strings.CutPrefix(firstLine(gitDir), "gitdir: ")
		if gitDir = p.add(named, dir, gitDir); gitDir == "" {
			return p
		}
		common := filepath.Join(gitDir, "commondir")
		if whole := p.add(firstLine(common), gitDir, common); whole != "" {
			gitDir = whole
		}
	} else if err != nil {
		gitDir = dir // a bare one
	}
	p.objects(filepath.Join(gitDir, "objects"), 0)
	return p
}

type parts []string

// add takes in a directory that the file by names, from dir on, and returns it; "": there is none, or who names it may not.
func (p *parts) add(named, dir, by string) string {
	if named == "" || len(*p) >= mostParts {
		return ""
	}
	if !filepath.IsAbs(named) {
		named = filepath.Join(dir, named)
	}
	if !mayName(by, named) {
		return ""
	}
	*p = append(*p, named)
	return named
}

// objects takes in where objects are: elsewhere, where the directory is a link, and where it borrows some.
func (p *parts) objects(dir string, depth int) {
	if to, err := os.Readlink(dir); err == nil {
		if dir = p.add(to, filepath.Dir(dir), dir); dir == "" {
			return
		}
	}
	borrowed := filepath.Join(dir, "info", "alternates")
	for line := range strings.Lines(small(borrowed)) {
		if named := p.add(strings.TrimSpace(line), dir, borrowed); named != "" && depth < mostBorrow {
			p.objects(named, depth+1)
		}
	}
}

// mayName reports whether who owns the file by may have us read dir.
func mayName(by, dir string) bool {
	owner := func(path string, stat func(string) (os.FileInfo, error)) (uint32, bool) {
		st, err := stat(path)
		if err != nil {
			return 0, false
		}
		return ownerOf(st), true
	}
	who, ok := owner(by, os.Lstat)
	whose, there := owner(dir, os.Stat)
	return ok && there && (who == whose || who == 0 || who == uint32(os.Geteuid()))
}

func firstLine(path string) string {
	line, _, _ := strings.Cut(small(path), "\n")
	return strings.TrimSpace(line)
}

// small is what a small regular file says; "" where it is none.
func small(path string) string {
	f, err := os.OpenFile(path, os.O_RDONLY|asItIs, 0)
	if err != nil {
		return ""
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		return ""
	}
	text, err := io.ReadAll(io.LimitReader(f, 64<<10))
	if err != nil {
		return ""
	}
	return string(text)
}
