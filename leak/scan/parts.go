package scan

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// partsOf returns the directories that a repository consists of: its own, and those elsewhere that it names (the repository of a
// work tree, objects that it borrows), where who names them could read them himself, or is root or us.
func partsOf(dir string) []string {
	parts := []string{dir}
	add := func(named, by string) {
		if named != "" && !filepath.IsAbs(named) {
			named = filepath.Join(filepath.Dir(by), named)
		}
		if named != "" && mayName(by, named) {
			parts = append(parts, named)
		}
	}
	gitDir := filepath.Join(dir, ".git")
	if st, err := os.Lstat(gitDir); err == nil && st.Mode().IsRegular() {
		named, _ := strings.CutPrefix(firstLine(gitDir), "gitdir: ")
		add(named, gitDir)
		if gitDir = dir; len(parts) > 1 {
			gitDir = parts[1]
			common := filepath.Join(gitDir, "commondir")
			if named = firstLine(common); named != "" {
				add(filepath.Clean(filepath.Join(gitDir, named)), common)
			}
		}
	} else if err != nil {
		gitDir = dir // a bare one
	}
	for _, part := range append([]string{gitDir}, parts[1:]...) {
		borrowed := filepath.Join(part, "objects", "info", "alternates")
		for line := range strings.Lines(small(borrowed)) {
			if line = strings.TrimSpace(line); line != "" && !filepath.IsAbs(line) {
				line = filepath.Join(part, "objects", line)
			}
			add(line, borrowed)
		}
	}
	return parts
}

// mayName reports whether who owns the file by may have us read dir.
func mayName(by, dir string) bool {
	owner := func(path string, stat func(string) (os.FileInfo, error)) (uint32, bool) {
		st, err := stat(path)
		if err != nil {
			return 0, false
		}
		return st.Sys().(*syscall.Stat_t).Uid, true
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
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0)
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
