package feed

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Rules of following files:
//
//  1. A file is what it begins with: its first bytes (up to headSize) are its identity, not its name or
//     its inode. So a file that was renamed is read on, one that was truncated and written anew is
//     a new one, and a name that stands for another file now begins at the start.
//  2. How far it was read is stored in the transaction of its events, and compared there with
//     where the reading began: neither a crash nor another process brings a line twice or loses one.
//  3. Only whole lines are read. The last line of a file that was rotated away counts without its end.
//  4. A file that was rotated away is found among its neighbours (NAME.* and NAME-*), also as .gz, and
//     read to its end. Of neighbours that were never followed those are read that were rotated since the
//     name was last read, as their number or date and their time say: several in a row may have been.

const (
	headSize  = 1024
	chunkSize = 4 << 20
	scanSize  = 32 << 20
	settled   = 10 * time.Second // since its last change a rotated file is complete
)

// FilePosition is how far a file of a feed was read.
type FilePosition struct {
	Head    []byte // SHA-256 of its first HeadLen bytes; nil: the file is new
	HeadLen int
	Name    string // under which it was last seen
	Offset  int64  // in bytes
	SeenAt  time.Time
}

// Chunk is whole lines of a followed file that were not taken in yet.
type Chunk struct {
	Name   string
	Full   bool // there is more
	Text   []byte
	Before FilePosition
	After  FilePosition // to store with the events of Text, instead of Before
	Stored int64        // the offset that must still be stored of the file; -1: none
}

// Chunks looks at the files of paths (files, directories or patterns) and returns what is new, at most one
// chunk a file and about 32 MiB in all. known are the positions of all files that were followed: those with
// the longest heads first, of these the last seen first. A file that cannot be read is an error; the chunks of
// the others are returned all the same.
func Chunks(paths []string, known []FilePosition, now time.Time) ([]Chunk, error) {
	var (
		chunks []Chunk
		errs   []error
		busy   = map[string]bool{} // heads that this scan has found
		held   int                 // bytes in the chunks
	)
	active, err := expand(paths)
	if err != nil {
		errs = append(errs, err)
	}
	// Under the name that it had a file is looked for first, so that a copy of it is not taken for it.
	slices.SortStableFunc(active, func(a, b string) int { return order(known, b) - order(known, a) })
	for _, name := range append(active, neighbours(active)...) {
		c, err := look(name, known, busy, rotatedFrom(name, active), lastRead(name, active, known), now)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if c == nil {
			continue
		}
		if chunks, held = append(chunks, *c), held+len(c.Text); held >= scanSize { // the rest has its turn next
			chunks[len(chunks)-1].Full = true
			break
		}
	}
	return chunks, errors.Join(errs...)
}

// rotatedFrom returns the active name that a neighbour was rotated from, "" of an active one.
func rotatedFrom(name string, active []string) string {
	if slices.Contains(active, name) {
		return ""
	}
	best := ""
	for _, a := range active {
		if strings.HasPrefix(name, a) && len(a) > len(best) {
			best = a
		}
	}
	return best
}

// lastRead is when the file of that active name was last read; zero: never.
func lastRead(name string, active []string, known []FilePosition) (t time.Time) {
	base := rotatedFrom(name, active)
	for _, k := range known {
		if base != "" && strings.HasPrefix(k.Name, base) {
			if k.SeenAt.After(t) {
				t = k.SeenAt
			}
		}
	}
	return t
}

// rotation is how logrotate and its like end a name: with a number or a date.
var rotation = regexp.MustCompile(`^[.-](?:[0-9]{1,4}|[0-9]{4}-?[0-9]{2}-?[0-9]{2}(?:[T_.-]?[0-9]{1,6}(?:[:.-][0-9]+)*)?)(?:\.gz)?$`)

func order(known []FilePosition, name string) int {
	if slices.ContainsFunc(known, func(f FilePosition) bool { return f.Name == name }) {
		return 1
	}
	return 0
}

// expand lists the files of paths: those of a directory, those that a pattern fits, or the path itself.
// Compressed ones are left to `usage import`.
func expand(paths []string) ([]string, error) {
	var (
		all  []string
		errs []error
	)
	for _, p := range paths {
		names, err := filepath.Glob(p)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p, err)
		}
		if len(names) == 0 && !strings.ContainsAny(p, `*?[`) {
			errs = append(errs, fmt.Errorf("%s: %w", p, os.ErrNotExist))
		}
		for _, n := range names {
			if st, err := os.Stat(n); err == nil && st.IsDir() {
				entries, err := os.ReadDir(n)
				if err != nil {
					errs = append(errs, plainPath(err))
				}
				for _, e := range entries {
					all = append(all, filepath.Join(n, e.Name()))
				}
				continue
			}
			all = append(all, n)
		}
	}
	all = slices.DeleteFunc(all, func(n string) bool {
		st, err := os.Stat(n)
		return compressed(n) || err == nil && !st.Mode().IsRegular() || strings.HasPrefix(filepath.Base(n), ".")
	})
	slices.Sort(all)
	return slices.Compact(all), errors.Join(errs...)
}

func compressed(name string) bool {
	return slices.Contains([]string{".gz", ".zst", ".bz2", ".xz"}, filepath.Ext(name))
}

// neighbours are what rotated files of these names may be called.
func neighbours(active []string) []string {
	var all []string
	for _, n := range active {
		quoted := strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(n)
		for _, pattern := range []string{quoted + ".*", quoted + "-*"} {
			found, _ := filepath.Glob(pattern)
			all = append(all, found...)
		}
	}
	slices.Sort(all)
	return slices.DeleteFunc(slices.Compact(all), func(n string) bool { return slices.Contains(active, n) })
}

func plainPath(err error) error {
	var pe *os.PathError
	if errors.As(err, &pe) {
		return fmt.Errorf("%s: %w", pe.Path, pe.Err)
	}
	return err
}

// look returns what is new in one file; nil: nothing.
func look(name string, known []FilePosition, busy map[string]bool, base string, last, now time.Time) (*Chunk, error) {
	rotated := base != ""
	meanwhile := false // it may be one that was never followed, since it came and went too soon
	if rotated && rotation.MatchString(strings.TrimPrefix(name, base)) && !last.IsZero() {
		st, err := os.Stat(name)
		meanwhile = err == nil && st.ModTime().After(last)
	}
	if rotated && compressed(name) && (filepath.Ext(name) != ".gz" || !meanwhile && !missing(known, busy, now)) {
		return nil, nil
	}
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil // it was rotated away just now
	}
	if err != nil {
		return nil, plainPath(err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil || !st.Mode().IsRegular() {
		return nil, plainPath(err)
	}
	var in io.Reader = f
	zip := compressed(name)
	if zip {
		if in, err = Decompress(f); err != nil {
			return nil, nil // being written
		}
	}
	head := make([]byte, headSize)
	n, err := io.ReadFull(in, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, plainPath(err)
	}
	head = head[:n]
	at, found := identify(head, known, busy)
	stored := int64(-1)
	switch {
	case !found && rotated && !meanwhile, !found && !bytes.Contains(head, []byte("\n")) && len(head) < headSize:
		return nil, nil
	case found && !zip && st.Size() < at.Offset: // truncated, and written anew with the same beginning
		stored, at.Offset = at.Offset, 0
	case found:
		stored = at.Offset
	}
	if found {
		busy[string(at.Head)] = true
	}
	c := &Chunk{Name: name, Before: at, After: at, Stored: stored}
	c.After.Name, c.After.SeenAt = name, now
	if at.Head == nil || at.HeadLen < len(head) {
		sum := sha256.Sum256(head)
		c.After.Head, c.After.HeadLen = sum[:], len(head)
		busy[string(sum[:])] = true
	}
	if zip {
		_, err = io.CopyN(io.Discard, in, at.Offset-int64(len(head)))
		if at.Offset < int64(len(head)) {
			in, err = io.MultiReader(bytes.NewReader(head[at.Offset:]), in), nil
		}
		if err != nil {
			return nil, nil
		}
	} else if _, err := f.Seek(at.Offset, io.SeekStart); err != nil {
		return nil, plainPath(err)
	}
	text, err := io.ReadAll(io.LimitReader(in, chunkSize))
	if err != nil {
		return nil, plainPath(err)
	}
	c.Full = len(text) == chunkSize
	end := bytes.LastIndexByte(text, '\n') + 1
	if end == 0 && c.Full || rotated && !c.Full && now.Sub(st.ModTime()) > settled {
		end = len(text)
	}
	c.Text = text[:end]
	c.After.Offset += int64(end)
	if end == 0 && now.Sub(at.SeenAt) < 24*time.Hour {
		return nil, nil
	}
	return c, nil
}

// missing reports whether a file that was followed lately has not been found: it may be compressed by now.
func missing(known []FilePosition, busy map[string]bool, now time.Time) bool {
	return slices.ContainsFunc(known, func(f FilePosition) bool { return !busy[string(f.Head)] && now.Sub(f.SeenAt) < 48*time.Hour })
}

// identify finds the file that begins with head among those that are known.
func identify(head []byte, known []FilePosition, busy map[string]bool) (FilePosition, bool) {
	for _, k := range known {
		if k.HeadLen > len(head) || busy[string(k.Head)] {
			continue
		}
		if sum := sha256.Sum256(head[:k.HeadLen]); bytes.Equal(sum[:], k.Head) {
			return k, true
		}
	}
	return FilePosition{}, false
}
