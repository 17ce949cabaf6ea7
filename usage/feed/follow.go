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
	"time"

	"github.com/keyrounds/keyrounds/safefile"
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
	headSize     = 1024
	chunkSize    = 4 << 20
	scanSize     = 32 << 20
	settled      = 10 * time.Second // since its last change a rotated file is complete
	missedFor    = 48 * time.Hour   // a file that is not found is looked for among compressed ones
	refreshAfter = 24 * time.Hour   // a position is stored again where nothing is new, so that it is kept
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
	Head   []byte // the beginning of the file; its first line, where that is not too long
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
		held   int // bytes in the chunks
	)
	active, err := expand(paths)
	if err != nil {
		errs = append(errs, err)
	}
	s := &scan{known: known, active: active, found: map[string]bool{}, now: now}
	// Under the name that it had a file is looked for first, so that a copy of it is not taken for it.
	slices.SortStableFunc(active, func(a, b string) int { return order(known, b) - order(known, a) })
	for _, name := range append(active, neighbours(active)...) {
		c, err := s.chunk(name)
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

// scan is one look at all files of a feed.
type scan struct {
	known  []FilePosition
	active []string        // names that are followed, the others are their neighbours
	found  map[string]bool // heads of the files that this scan has found
	now    time.Time
}

// chunk returns what is new in one file; nil: nothing.
func (s *scan) chunk(name string) (*Chunk, error) {
	n := s.describe(name)
	if s.skips(n) {
		return nil, nil
	}
	f, err := open(n)
	if f == nil {
		return nil, err
	}
	defer f.Close()
	at, stored, ok := s.start(n, f)
	if !ok {
		return nil, nil
	}
	c := &Chunk{Name: name, Before: at, After: at, Stored: stored}
	c.After.Name, c.After.SeenAt = name, s.now
	s.identifyBy(f.head, c)
	text, err := f.from(at.Offset)
	if err != nil {
		return nil, err
	}
	if text == nil {
		return nil, nil
	}
	c.Full, c.Head = len(text) == chunkSize, f.firstLine()
	c.Text = text[:s.wholeLines(n, f, text)]
	c.After.Offset += int64(len(c.Text))
	if len(c.Text) == 0 && s.now.Sub(at.SeenAt) < refreshAfter {
		return nil, nil
	}
	return c, nil
}

// named is what the name of a file and the time of its last change say.
type named struct {
	name       string
	rotated    bool // it is a neighbour of an active name
	meanwhile  bool // it was rotated since the active name was last read: it may never have been followed
	compressed bool
}

func (s *scan) describe(name string) named {
	base := rotatedFrom(name, s.active)
	n := named{name: name, rotated: base != "", compressed: compressed(name)}
	last := lastRead(base, s.known)
	if n.rotated && rotation.MatchString(strings.TrimPrefix(name, base)) && !last.IsZero() {
		st, err := os.Stat(name)
		n.meanwhile = err == nil && st.ModTime().After(last)
	}
	return n
}

// skips reports whether a file need not be opened: of compressed neighbours only those in gzip are read, and
// those only if they may be what a file became that was followed, or that nobody saw.
func (s *scan) skips(n named) bool {
	return n.rotated && n.compressed && (filepath.Ext(n.name) != ".gz" || !n.meanwhile && !s.missing())
}

// missing reports whether a file that was followed lately has not been found: it may be compressed by now.
func (s *scan) missing() bool {
	return slices.ContainsFunc(s.known, func(f FilePosition) bool {
		return !s.found[string(f.Head)] && s.now.Sub(f.SeenAt) < missedFor
	})
}

// opened is a file, of which the head was read.
type opened struct {
	*os.File
	in      io.Reader // what follows the head; decompressed
	head    []byte
	size    int64
	changed time.Time
	zipped  bool
}

// open opens a file and reads its head; nil without an error: there is nothing to read at this moment.
func open(n named) (*opened, error) {
	file, err := safefile.Open(n.name)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil // it was rotated away just now
	}
	if err != nil {
		return nil, plainPath(err)
	}
	f := &opened{File: file, in: file, zipped: n.compressed}
	ok, err := f.readHead()
	if !ok {
		_ = file.Close()
		return nil, plainPath(err)
	}
	return f, nil
}

func (f *opened) readHead() (ok bool, err error) {
	st, err := f.Stat()
	if err != nil || !st.Mode().IsRegular() {
		return false, err
	}
	f.size, f.changed = st.Size(), st.ModTime()
	if f.zipped {
		if f.in, err = Decompress(f.File); err != nil {
			return false, nil // being written
		}
	}
	head := make([]byte, headSize)
	n, err := io.ReadFull(f.in, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return false, err
	}
	f.head = head[:n]
	return true, nil
}

// from reads at most a chunk from an offset on; nil without an error: the compressed file is not whole yet.
func (f *opened) from(offset int64) ([]byte, error) {
	in, headLen := f.in, int64(len(f.head))
	switch {
	case !f.zipped:
		if _, err := f.Seek(offset, io.SeekStart); err != nil {
			return nil, plainPath(err)
		}
	case offset < headLen:
		in = io.MultiReader(bytes.NewReader(f.head[offset:]), in)
	default:
		if _, err := io.CopyN(io.Discard, in, offset-headLen); err != nil {
			return nil, nil
		}
	}
	text, err := io.ReadAll(io.LimitReader(in, chunkSize))
	if err != nil {
		return nil, plainPath(err)
	}
	return text, nil
}

// maxFirstLine is how much of a file is read for its first line.
const maxFirstLine = 64 << 10

// firstLine is the beginning of a file with its first line; of a compressed one no more than the head.
func (f *opened) firstLine() []byte {
	if f.zipped || bytes.Contains(f.head, []byte("\n")) || len(f.head) < headSize {
		return f.head
	}
	long := make([]byte, maxFirstLine)
	n, err := f.ReadAt(long, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return f.head
	}
	return long[:n]
}

// start says from where a file is read on, and which offset must still be stored then (-1: none); the first
// rule that fits decides. ok is false where it is not read.
func (s *scan) start(n named, f *opened) (at FilePosition, stored int64, ok bool) {
	at, known := s.find(f.head)
	stored = at.Offset
	switch {
	case known && !f.zipped && f.size < at.Offset: // truncated, and written anew with the same beginning
		at.Offset = 0
		return at, stored, true
	case known:
		return at, stored, true
	case n.rotated && !n.meanwhile: // old, and never followed
		return at, -1, false
	case len(f.head) < headSize && !bytes.Contains(f.head, []byte("\n")): // what would identify it is still written
		return at, -1, false
	}
	return FilePosition{}, -1, true
}

// find finds the file that begins with head among those that are known and that this scan has not found yet.
func (s *scan) find(head []byte) (FilePosition, bool) {
	for _, k := range s.known {
		if k.HeadLen > len(head) || s.found[string(k.Head)] {
			continue
		}
		if sum := sha256.Sum256(head[:k.HeadLen]); bytes.Equal(sum[:], k.Head) {
			s.found[string(k.Head)] = true
			return k, true
		}
	}
	return FilePosition{}, false
}

// identifyBy makes head the identity of a chunk's file where that is longer than the one it has.
func (s *scan) identifyBy(head []byte, c *Chunk) {
	if c.Before.Head != nil && c.Before.HeadLen >= len(head) {
		return
	}
	sum := sha256.Sum256(head)
	c.After.Head, c.After.HeadLen = sum[:], len(head)
	s.found[string(sum[:])] = true
}

// wholeLines says how much of text is taken in now; the first rule that fits decides.
func (s *scan) wholeLines(n named, f *opened, text []byte) int {
	end := bytes.LastIndexByte(text, '\n') + 1
	switch full := len(text) == chunkSize; {
	case full && end == 0: // a line that is longer than a chunk
		return len(text)
	case !full && n.rotated && s.now.Sub(f.changed) > settled: // nobody ends its last line any more
		return len(text)
	}
	return end
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

// lastRead is when a file of that active name was last read; zero: never.
func lastRead(active string, known []FilePosition) (t time.Time) {
	for _, k := range known {
		if active != "" && strings.HasPrefix(k.Name, active) && k.SeenAt.After(t) {
			t = k.SeenAt
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
