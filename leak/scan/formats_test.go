package scan

import (
	"archive/zip"
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/cavaliergopher/cpio"
	"github.com/kdomanski/iso9660"
	"github.com/ulikunitz/xz"
	"github.com/ulikunitz/xz/lzma"

	"github.com/keyrounds/keyrounds/test/lasting"
)

// written is what a writer of a format makes of content.
func written(t testing.TB, content []byte, open func(io.Writer) (io.WriteCloser, error)) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := open(&b)
	if err != nil {
		t.Fatal(err)
	}
	_, err1 := w.Write(content)
	if err2 := w.Close(); err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	return b.Bytes()
}

func zlibbed(t testing.TB, content []byte) []byte {
	return written(t, content, func(w io.Writer) (io.WriteCloser, error) { return zlib.NewWriter(w), nil })
}

func xzed(t testing.TB, content []byte) []byte {
	return written(t, content, func(w io.Writer) (io.WriteCloser, error) { return xz.NewWriter(w) })
}

// arMember is a member of an ar archive.
func arMember(name string, content []byte) string {
	pad := strings.Repeat("\n", len(content)%2)
	return fmt.Sprintf("%-16s%-12d%-6d%-6d%-8s%-10d`\n", name, 0, 0, 0, "100644", len(content)) + string(content) + pad
}

func deb(t testing.TB, files map[string][]byte) []byte {
	return []byte("!<arch>\n" + arMember("debian-binary", []byte("2.0\n")) + arMember("data.tar.xz", xzed(t, tarred(t, files))))
}

func rpm(t testing.TB, name string, content []byte) []byte {
	header := func(store string) string {
		h := "\x8e\xad\xe8\x01\x00\x00\x00\x00" + string(binary.BigEndian.AppendUint32(nil, 0))
		return h + string(binary.BigEndian.AppendUint32(nil, uint32(len(store)))) + store
	}
	payload := written(t, content, func(w io.Writer) (io.WriteCloser, error) {
		c := cpio.NewWriter(w)
		return c, c.WriteHeader(&cpio.Header{Name: "./" + name, Mode: cpio.TypeReg | 0o600, Size: int64(len(content))})
	})
	return append([]byte("\xed\xab\xee\xdb"+strings.Repeat("\x00", 92)+header("signature")+"\x00\x00\x00\x00\x00\x00\x00"+header("texts")),
		xzed(t, payload)...)
}

func pdf(t testing.TB, content []byte) []byte {
	packed := zlibbed(t, append([]byte("BT (some text) Tj "), content...))
	return []byte(fmt.Sprintf("%%PDF-1.7\n1 0 obj\n<< /Length %d /Filter /FlateDecode >>\nstream\n", len(packed)) +
		string(packed) + "\nendstream\nendobj\n%%EOF\n")
}

func png(t testing.TB, content []byte) []byte {
	chunk := func(kind string, data []byte) string {
		body := kind + string(data)
		return string(binary.BigEndian.AppendUint32(nil, uint32(len(data)))) + body +
			string(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(body))))
	}
	return []byte("\x89PNG\r\n\x1a\n" + chunk("IHDR", make([]byte, 13)) +
		chunk("zTXt", append([]byte("Comment\x00\x00"), zlibbed(t, content)...)) + chunk("IEND", nil))
}

func iso(t testing.TB, name string, content []byte) []byte {
	w, err := iso9660.NewWriter()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = w.Cleanup() }()
	var b bytes.Buffer
	if err := w.AddFile(bytes.NewReader(content), name); err != nil {
		t.Fatal(err)
	}
	if err := w.WriteTo(&b, "volume"); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// zipLZMA packs a file with method 14, which archive/zip can be taught.
func zipLZMA(t testing.TB, name string, content []byte) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	z.RegisterCompressor(14, func(w io.Writer) (io.WriteCloser, error) { return &lzmaOfZip{to: w}, nil })
	w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: 14})
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.Write(content)
	if err2 := z.Close(); err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	return b.Bytes()
}

type lzmaOfZip struct {
	to io.Writer
	bytes.Buffer
}

func (l *lzmaOfZip) Close() error {
	var packed bytes.Buffer
	w, err := lzma.WriterConfig{EOSMarker: true}.NewWriter(&packed)
	if err != nil {
		return err
	}
	_, _ = w.Write(l.Bytes())
	_ = w.Close()
	b := packed.Bytes() // properties, size, and the rest
	_, err = l.to.Write(append(append([]byte("\x09\x14\x05\x00"), b[:5]...), b[13:]...))
	return err
}

// sevenZipped is a 7z archive with d.txt, which says "first" and then `canary`; made by 7z.
func sevenZipped(t testing.TB) []byte { return made(t, "canary.7z.base64") }

// zipBzip2 is a zip with x.env, which says the same, packed with method 12; made by Python's zipfile, as no package here packs bzip2.
func zipBzip2(t testing.TB) []byte { return made(t, "canary-bzip2.zip.base64") }

func made(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	b, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(string(text), "\n", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Every container that is opened gives up what is in it, also inside of another; and nothing of that is called left out.
func TestContainers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	line := []byte("first\n" + canary + "\n")
	all := map[string][]byte{
		"a.xz":     xzed(t, line),
		"b.lzma":   written(t, line, func(w io.Writer) (io.WriteCloser, error) { return lzma.NewWriter(w) }),
		"c.zlib":   zlibbed(t, line),
		"d.br":     written(t, line, func(w io.Writer) (io.WriteCloser, error) { return brotli.NewWriter(w), nil }),
		"e.deb":    deb(t, map[string][]byte{"etc/x.env": line}),
		"f.rpm":    rpm(t, "etc/x.env", line),
		"g.pdf":    pdf(t, line),
		"h.png":    png(t, line),
		"i.iso":    iso(t, "x.env", gz(t, line)),
		"j.zip":    zipLZMA(t, "x.env", line),
		"j2.zip":   zipBzip2(t),
		"k.7z":     sevenZipped(t),
		"l.exe":    append([]byte("MZ"+strings.Repeat("\x90\x00", 5000)), sevenZipped(t)...),
		"m.exe":    append([]byte("MZ"+strings.Repeat("\x90\x00", 5000)), zipped(t, map[string][]byte{"x.env": line})...),
		"n.run":    append([]byte("#!/bin/sh\ntail -n +3 $0 | tar xz\nexit\n"), gz(t, tarred(t, map[string][]byte{"x.env": line}))...),
		"o.tar.xz": xzed(t, tarred(t, map[string][]byte{"p.deb": deb(t, map[string][]byte{"x": line})})),
	}
	for name, content := range all {
		put(t, dir, name, content)
	}
	f, _ := scan(t, Options{}, dir)
	for name := range all {
		if !slices.ContainsFunc(f.Hits, func(h Hit) bool { return strings.HasPrefix(h.Path, name) && h.Line >= 1 }) {
			t.Errorf("%s is not opened", name)
		}
	}
	if len(f.Skipped) > 0 {
		t.Errorf("left out: %v", f.Skipped)
	}
	// What only looks like one is searched as it is, and called broken where that is sure.
	odd := t.TempDir()
	for name, content := range all {
		put(t, odd, name, append(slices.Clone(content[:min(len(content), 24)]), "\n"+canary...))
	}
	f, got := scan(t, Options{}, odd)
	if len(got) < len(all) {
		t.Errorf("of what only looks like a container: found %d of %d: %q", len(got), len(all), got)
	}
}

// A git bundle's objects are searched, also those that are stored as differences.
func TestBundle(t *testing.T) {
	lasting.Test(t, "it runs git many times")
	t.Parallel()
	r := newRepository(t)
	long := strings.Repeat("a line that stays as it is, and is long enough\n", 200)
	for i := range 5 {
		r.commit("file", []byte(fmt.Sprintf("%s%d\n", long, i)))
	}
	r.commit("file", []byte(long[:4000]+"\n"+canary+"\n"+long[4000:]))
	r.commit("file", []byte(long))
	dir := t.TempDir()
	r.git("bundle", "create", "-q", filepath.Join(dir, "a.bundle"), "--all")
	r.git("bundle", "create", "-q", filepath.Join(dir, "thin.bundle"), "main~3..main")
	f, _ := scan(t, Options{}, dir)
	for _, name := range []string{"a.bundle", "thin.bundle"} {
		if !slices.ContainsFunc(f.Hits, func(h Hit) bool { return strings.HasPrefix(h.Path, name+"!/") }) {
			t.Errorf("nothing was found in %s: %v", name, f.Skipped)
		}
	}
}

// Formats that are not opened, and what is encrypted, are told by their reasons.
func TestClosedFormats(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put(t, dir, "a.rar", []byte("Rar!\x1a\x07\x01\x00............"))
	put(t, dir, "b.age", []byte("age-encryption.org/v1\n-> X25519 "))
	f, _ := scan(t, Options{}, dir)
	if got := f.Reasons(); got[NotOpened] != 1 || got[Encrypted] != 1 {
		t.Errorf("left out: %v", f.Skipped)
	}
	if err := f.Partial(); err != nil {
		t.Errorf("of files that nobody named: %v", err)
	}
	f, _ = scan(t, Options{}, filepath.Join(dir, "b.age"))
	if err := f.Partial(); err == nil {
		t.Error("a file that was named and is encrypted was searched")
	}
}

// Small containers that unpack to very much end within their bounds.
func TestBombsOfEveryKind(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	zeros := make([]byte, 32<<20)
	put(t, dir, "a.xz", xzed(t, zeros))
	put(t, dir, "b.br", written(t, zeros, func(w io.Writer) (io.WriteCloser, error) { return brotli.NewWriter(w), nil }))
	put(t, dir, "c.pdf", pdf(t, zeros))
	put(t, dir, "d.png", png(t, zeros))
	put(t, dir, "e.zip", zipLZMA(t, "x", zeros))
	f, _ := scan(t, Options{Unpack: 4 << 20}, dir)
	if got := f.Reasons()[TooMuch]; got != 5 || f.Bytes > 5*5<<20 {
		t.Errorf("%d bytes were read; left out: %v", f.Bytes, f.Skipped)
	}
}

// The repositories of the shared cases: what is not there, or cannot be read, is called what it is.
func TestIncompleteHistories(t *testing.T) {
	lasting.Test(t, "it runs git many times")
	t.Parallel()
	r := newRepository(t)
	r.commit("a", []byte("a\n"))
	r.commit("s.env", []byte("S="+canary+"\n"))
	r.commit("s.env", nil)
	r.git("config", "uploadpack.allowfilter", "true")
	dir := t.TempDir()
	r.git("clone", "-q", "--depth", "1", "file://"+r.dir, filepath.Join(dir, "shallow"))
	r.git("clone", "-q", "--filter=blob:none", "--no-checkout", "file://"+r.dir, filepath.Join(dir, "partial"))
	r.git("worktree", "add", "-q", filepath.Join(dir, "nested", "wt"), "-b", "wt")
	for name, want := range map[string]Reason{"shallow": Shallow, "partial": PartialClone} {
		f, got := scan(t, Options{History: true}, filepath.Join(dir, name))
		if f.Partial() == nil || f.Reasons()[want] != 1 || len(f.Failed) != 1 {
			t.Errorf("%s: found %q, not searched: %v", name, got, f.Failed)
		}
	}
	if f, got := scan(t, Options{History: true}, filepath.Join(dir, "nested")); len(got) != 1 || f.Partial() != nil {
		t.Errorf("a worktree one folder below: found %q, not searched: %v", got, f.Failed)
	}
	if f, got := scan(t, Options{History: true}, r.dir, filepath.Join(dir, "nested")); len(f.Sources) != 2 || f.Sources[1].Histories != 1 {
		t.Errorf("found %q, searched %+v", got, f.Sources)
	}
	unknown := newRepository(t)
	unknown.commit("a", []byte("a\n"))
	unknown.git("config", "core.repositoryformatversion", "1")
	unknown.git("config", "extensions.fooBar", "true")
	f, _ := scan(t, Options{History: true}, unknown.dir)
	if err := f.Partial(); err == nil || !err.Down() {
		t.Errorf("a repository that git cannot open: %v", f.Skipped)
	}
	f, _ = scan(t, Options{History: true}, filepath.Dir(unknown.dir))
	if err := f.Partial(); err == nil || err.Down() {
		t.Errorf("one below what was named: %v", f.Skipped)
	}
}
