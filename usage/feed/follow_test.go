package feed

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// What a scan reads of one file, by what the file is, what is known, and when it last changed.
func TestChunkOfAFile(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	const lines = "first line\nsecond line\n"
	long := strings.Repeat("a line of a long file\n", 100) // longer than a head
	endless := strings.Repeat("x", chunkSize+7)
	position := func(name, head string, offset int, seen time.Time) FilePosition {
		sum := sha256.Sum256([]byte(head))
		return FilePosition{Head: sum[:], HeadLen: len(head), Name: name, Offset: int64(offset), SeenAt: seen}
	}
	type file struct {
		name, text string
		changed    time.Time // zero: a minute before now
	}
	for name, k := range map[string]struct {
		file   file
		known  []FilePosition // with names in the test's directory
		found  bool           // the known ones were found under other names
		want   string         // the text; "-": no chunk
		stored int64
		full   bool
		err    string
	}{
		"a new file": {file: file{name: "log", text: lines}, want: lines, stored: -1},
		"a new file whose last line is half written": {
			file: file{name: "log", text: lines + "thi"}, want: lines, stored: -1,
		},
		"a new file whose first line is half written": {file: file{name: "log", text: "fir"}, want: "-"},
		"a file that grew": {
			file: file{name: "log", text: lines + "third\n"}, known: []FilePosition{position("log", lines, len(lines), ago(time.Minute))},
			want: "third\n", stored: int64(len(lines)),
		},
		"a file that did not grow": {
			file: file{name: "log", text: lines}, known: []FilePosition{position("log", lines, len(lines), ago(time.Hour))}, want: "-",
		},
		"a file that did not grow for days: its position is kept": {
			file: file{name: "log", text: lines}, known: []FilePosition{position("log", lines, len(lines), ago(25*time.Hour))},
			want: "", stored: int64(len(lines)),
		},
		"a file that was written anew with the same beginning": {
			file: file{name: "log", text: lines}, known: []FilePosition{position("log", lines[:11], 500, ago(time.Minute))},
			want: lines, stored: 500,
		},
		"a file that was written anew": {
			file: file{name: "log", text: lines}, known: []FilePosition{position("log", "another line\n", 13, ago(time.Minute))},
			want: lines, stored: -1,
		},
		"a line that is longer than a chunk": {
			file: file{name: "log", text: endless}, want: endless[:chunkSize], stored: -1, full: true,
		},
		"more lines than a chunk holds": {
			file: file{name: "log", text: "a\n" + endless}, want: "a\n", stored: -1, full: true,
		},
		"a rotated file goes on": {
			file: file{name: "log.1", text: lines + "third\n"}, known: []FilePosition{position("log", lines, len(lines), ago(time.Minute))},
			want: "third\n", stored: int64(len(lines)),
		},
		"a rotated file that may be written to still": {
			file:  file{name: "log.1", text: lines + "thi", changed: ago(settled)},
			known: []FilePosition{position("log", lines, 11, ago(time.Minute))}, want: "second line\n", stored: 11,
		},
		"a rotated file that is complete": {
			file:  file{name: "log.1", text: lines + "thi", changed: ago(settled + time.Second)},
			known: []FilePosition{position("log", lines, 11, ago(time.Minute))}, want: "second line\nthi", stored: 11,
		},
		"a rotated file that was never followed": {file: file{name: "log.1", text: lines}, want: "-"},
		"a rotated file that came and went since the name was read": {
			file:  file{name: "log.1", text: lines, changed: ago(time.Minute)},
			known: []FilePosition{position("log", "another line\n", 13, ago(time.Hour))}, want: lines, stored: -1,
		},
		"a rotated file that went before the name was read": {
			file:  file{name: "log.1", text: lines, changed: ago(time.Hour)},
			known: []FilePosition{position("log", "another line\n", 13, ago(time.Minute))}, want: "-",
		},
		"a neighbour that no rotation names so": {
			file:  file{name: "log.bak", text: lines, changed: ago(time.Minute)},
			known: []FilePosition{position("log", "another line\n", 13, ago(time.Hour))}, want: "-",
		},
		"a copy of a file that was found": {
			file:  file{name: "log.bak", text: lines},
			known: []FilePosition{position("log", lines, 11, ago(time.Minute))}, found: true, want: "-",
		},
		"compressed, and nothing is missing": {
			file:  file{name: "log.1.gz", text: zipped(t, lines)},
			known: []FilePosition{position("log", lines, 11, ago(time.Second))}, found: true, want: "-",
		},
		"compressed, and what it was is missed for long": {
			file:  file{name: "log.1.gz", text: zipped(t, lines), changed: ago(9 * missedFor)},
			known: []FilePosition{position("log", lines, 11, ago(missedFor))},
			want:  "-",
		},
		"compressed, and read to a place in its head": {
			file: file{name: "log.1.gz", text: zipped(t, lines)}, known: []FilePosition{position("log", lines, 11, ago(time.Minute))},
			want: "second line\n", stored: 11,
		},
		"compressed, and read to a place after its head": {
			file:  file{name: "log.1.gz", text: zipped(t, long)},
			known: []FilePosition{position("log", long[:headSize], 22*99, ago(time.Minute))},
			want:  "a line of a long file\n", stored: 22 * 99,
		},
		"compressed, and shorter than it was read": {
			file:  file{name: "log.1.gz", text: zipped(t, long)},
			known: []FilePosition{position("log", long[:headSize], 22*101, ago(time.Minute))},
			want:  "-",
		},
		"compressed, and came and went since the name was read": {
			file:  file{name: "log.1.gz", text: zipped(t, lines), changed: ago(time.Minute)},
			known: []FilePosition{position("log", "another line\n", 13, ago(time.Hour))}, found: true, want: lines, stored: -1,
		},
		"compressed by what is not read": {
			file: file{name: "log.1.zst", text: lines}, known: []FilePosition{position("log", lines, 11, ago(time.Minute))}, want: "-",
		},
		"its compression has just begun": {
			file: file{name: "log.1.gz", text: "\x1f\x8b"}, known: []FilePosition{position("log", lines, 11, ago(time.Minute))}, want: "-",
		},
		"its compression is broken": {
			file:  file{name: "log.1.gz", text: zipped(t, lines)[:10] + "nonsense"},
			known: []FilePosition{position("log", lines, 11, ago(time.Minute))}, err: "flate: corrupt input",
		},
		"a directory":        {file: file{name: "log.1/"}, want: "-"},
		"a file that left":   {file: file{name: ""}, want: "-"},
		"a file in no place": {file: file{name: "log", text: lines}, err: "not a directory"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := filepath.Join(dir, k.file.name)
			if k.file.name == "" {
				path = filepath.Join(dir, "left")
			}
			if err := write(path, k.file.name, k.file.text, k.file.changed, ago(time.Minute)); err != nil {
				t.Fatal(err)
			}
			if k.err == "not a directory" {
				path = filepath.Join(path, "log")
			}
			s := &scan{active: []string{filepath.Join(dir, "log")}, found: map[string]bool{}, now: now}
			for _, p := range k.known {
				p.Name = filepath.Join(dir, p.Name)
				s.known, s.found[string(p.Head)] = append(s.known, p), k.found
			}
			c, err := s.chunk(path)
			switch {
			case k.err != "":
				if err == nil || !strings.Contains(err.Error(), k.err) {
					t.Errorf("error %v, want %q", err, k.err)
				}
				return
			case err != nil:
				t.Fatal(err)
			case k.want == "-":
				if c != nil {
					t.Errorf("%d bytes are read of it", len(c.Text))
				}
				return
			case c == nil:
				t.Fatal("it is not read")
			}
			if string(c.Text) != k.want || c.Stored != k.stored || c.Full != k.full {
				t.Errorf("%q, stored %d, full %t; want %q, %d, %t", cut(string(c.Text)), c.Stored, c.Full, cut(k.want), k.stored, k.full)
			}
			from := max(0, k.stored)
			if k.stored > int64(len(k.file.text)) && !strings.HasSuffix(path, ".gz") { // it begins anew
				from = 0
			}
			if c.After.Offset != from+int64(len(k.want)) || c.After.Name != path || !c.After.SeenAt.Equal(now) || c.After.Head == nil {
				t.Errorf("it is read to %+v", c.After)
			}
			if c.Before.Head != nil && c.After.HeadLen > c.Before.HeadLen == bytes.Equal(c.Before.Head, c.After.Head) {
				t.Errorf("it was told by %d bytes, and is by %d", c.Before.HeadLen, c.After.HeadLen)
			}
		})
	}
}

// write makes a file, or a directory of a name that ends in a slash, or nothing of no name.
func write(path, name, text string, changed, otherwise time.Time) error {
	switch {
	case name == "":
		return nil
	case strings.HasSuffix(name, "/"):
		return os.Mkdir(path, 0o700)
	}
	if changed.IsZero() {
		changed = otherwise
	}
	return errors.Join(os.WriteFile(path, []byte(text), 0o600), os.Chtimes(path, changed, changed))
}

func zipped(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write([]byte(text))
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func cut(s string) string { return s[:min(len(s), 60)] }
