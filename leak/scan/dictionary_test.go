package scan

import (
	"encoding/binary"
	"hash/crc32"
	"strings"
	"testing"
)

// stream7z is what packs one text in a 7z archive.
type stream7z struct {
	method, properties, packed string
	size                       uint64 // of the text, as it is said
}

// streams are the headers of one.
func (s stream7z) streams() string {
	number := func(n uint64) string { return "\xff" + string(binary.LittleEndian.AppendUint64(nil, n)) }
	coder := string(rune(0x20|len(s.method))) + s.method + string(rune(len(s.properties))) + s.properties
	return "\x06" + number(0) + "\x01\x09" + number(uint64(len(s.packed))) + "\x00" +
		"\x07\x0b\x01\x00\x01" + coder + "\x0c" + number(s.size) + "\x00\x00"
}

// archive is one file, x; inHeader is one whose list of files is packed in that way.
func (s stream7z) archive(inHeader bool) []byte {
	if inHeader {
		return archive7z(s.packed, "\x17"+s.streams())
	}
	const name = "x\x00\x00\x00"
	return archive7z(s.packed, "\x01\x04"+s.streams()+"\x05\x01\x11\x05\x00"+name+"\x00\x00")
}

func archive7z(packed, header string) []byte {
	start := binary.LittleEndian.AppendUint64(nil, uint64(len(packed)))
	start = binary.LittleEndian.AppendUint64(start, uint64(len(header)))
	start = binary.LittleEndian.AppendUint32(start, crc32.ChecksumIEEE([]byte(header)))
	sum := string(binary.LittleEndian.AppendUint32(nil, crc32.ChecksumIEEE(start)))
	return []byte("7z\xbc\xaf\x27\x1c\x00\x04" + sum + string(start) + packed + header)
}

// A 7z whose header asks for a dictionary of gigabytes is not opened, and that is said. One that cannot need it, since its text is short,
// is opened.
func TestDictionaryOf7z(t *testing.T) {
	t.Parallel()
	const gigabytes = "\x00\x00\x00\xc0"
	line := canary + "\n"
	stored := "\x01\x00" + string(rune(len(line)-1)) + line + "\x00" // a chunk of LZMA2 that is not packed
	for name, c := range map[string]struct {
		stream7z
		inHeader bool
		found    int
		too      int
	}{
		"LZMA":                     {stream7z{"\x03\x01\x01", "\x5d" + gigabytes, strings.Repeat("\x00", 40), 1 << 33}, false, 0, 1},
		"LZMA2":                    {stream7z{"\x21", "\x28", stored, 1 << 33}, false, 0, 1},
		"PPMd":                     {stream7z{"\x03\x04\x01", "\x06" + gigabytes, strings.Repeat("\x00", 40), 40}, false, 0, 1},
		"LZMA of the list":         {stream7z{"\x03\x01\x01", "\x5d" + gigabytes, strings.Repeat("\x00", 40), 1 << 33}, true, 0, 1},
		"LZMA2 of so short a text": {stream7z{"\x21", "\x28", stored, uint64(len(line))}, false, 1, 0},
	} {
		dir := t.TempDir()
		put(t, dir, "a.7z", c.archive(c.inHeader))
		put(t, dir, "b.txt", []byte("something that can be searched\n"))
		f, _ := scan(t, Options{}, dir)
		inside := 0
		for _, h := range f.Hits {
			if strings.HasSuffix(h.Path, "!/x") {
				inside++
			}
		}
		if inside != c.found || f.Reasons()[TooMuch] != c.too || len(f.Skipped) != c.too {
			t.Errorf("%s: found %d of %d, left out: %v", name, inside, c.found, f.Skipped)
		}
	}
}

// A 7z that says that it has billions of files, folders or streams is broken: nobody makes room for them. It ended the process.
func TestCountsOf7z(t *testing.T) {
	t.Parallel()
	const billions, files = "\xff\xf0\xff\xff\xff\x00\x00\x00\x00", "\x01\x05"
	line := canary + "\n"
	list := files + billions + "\x00\x00"
	for name, archive := range map[string][]byte{
		"files":          archive7z("", list),
		"folders":        archive7z("", "\x01\x04\x07\x0b"+billions+"\x00"),
		"packed streams": archive7z("", "\x01\x04\x06\x00"+billions+"\x0a\x01"),
		"streams": archive7z(line,
			"\x01\x04\x06\x00\x01\x09\x20\x00\x07\x0b\x01\x00\x01\x01\x00\x0c\x20\x00\x08\x0d"+billions+"\x00\x00"),
		"files, in a header": archive7z(list, "\x17"+stream7z{method: "\x00", packed: list, size: uint64(len(list))}.streams()),
	} {
		dir := t.TempDir()
		put(t, dir, "a.7z", archive)
		put(t, dir, "b.txt", []byte("something that can be searched\n"))
		f, _ := scan(t, Options{}, dir)
		if f.Reasons()[Broken] != 1 || len(f.Skipped) != 1 {
			t.Errorf("%s: left out: %v", name, f.Skipped)
		}
	}
}
