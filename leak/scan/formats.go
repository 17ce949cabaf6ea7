package scan

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"compress/zlib"
	"context"
	"encoding/binary"
	"io"
	"path"
	"strings"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
	"github.com/therootcompany/xz"
	"github.com/ulikunitz/xz/lzma"
)

// format is a way to pack that is opened.
type format struct {
	open unpacker
	// weak: so little tells it that much else may begin so. What cannot be opened is then none.
	weak bool
}

type unpacker func(s *Scanner, ctx context.Context, at place, in *bufio.Reader, whole *section, left *budget, to sink) error

const headLength = 262

// container says how to open what begins with head; nil: it is none. The name is asked for what nothing else tells.
func container(head []byte, name string, whole *section) *format {
	is := func(magic string) bool { return bytes.HasPrefix(head, []byte(magic)) }
	switch {
	case is("PK\x03\x04"), is("PK\x05\x06"):
		return &format{open: (*Scanner).zip}
	case is("\x1f\x8b\x08"):
		return &format{open: compressed(func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) })}
	case is("BZh") && len(head) > 9 && string(head[4:10]) == "1AY&SY":
		return &format{open: compressed(func(r io.Reader) (io.Reader, error) { return bzip2.NewReader(r), nil })}
	case is("\x28\xb5\x2f\xfd"):
		return &format{open: compressed(openZstd)}
	case is("\xfd7zXZ\x00"):
		return &format{open: compressed(openXZ)}
	case is("7z\xbc\xaf\x27\x1c"):
		return &format{open: (*Scanner).sevenZip}
	case len(head) == headLength && string(head[257:262]) == "ustar":
		return &format{open: (*Scanner).tar}
	case is("!<arch>\n"):
		return &format{open: (*Scanner).ar} // deb is one
	case is("\xed\xab\xee\xdb"):
		return &format{open: (*Scanner).rpm}
	case is("070701"), is("070702"), is("070707"):
		return &format{open: (*Scanner).cpio, weak: true}
	case is("%PDF-"):
		return &format{open: (*Scanner).pdf}
	case is("\x89PNG\r\n\x1a\n"):
		return &format{open: (*Scanner).png}
	case is("# v2 git bundle\n"), is("# v3 git bundle\n"):
		return &format{open: (*Scanner).bundle}
	case is("PACK\x00\x00\x00\x02"), is("PACK\x00\x00\x00\x03"):
		return &format{open: (*Scanner).bundle, weak: true}
	case isZlib(head):
		return &format{open: compressed(func(r io.Reader) (io.Reader, error) { return zlib.NewReader(r) }), weak: true}
	case isLZMA(head):
		return &format{open: compressed(openLZMA), weak: true}
	case strings.HasSuffix(name, ".br"):
		return &format{open: compressed(func(r io.Reader) (io.Reader, error) { return brotli.NewReader(r), nil }), weak: true}
	case is("MZ"), is("\x7fELF"), is("#!"):
		if whole != nil {
			return selfExtracting(whole)
		}
		return &format{open: (*Scanner).program, weak: true} // which has it in memory
	case whole != nil && isISO(whole):
		return &format{open: (*Scanner).iso}
	}
	return nil
}

// nameless is the end of a path where only that tells the format.
func nameless(name []byte) string {
	if bytes.HasSuffix(name, []byte(".br")) {
		return ".br"
	}
	return ""
}

// closed names formats that are not opened, and says why.
func closed(head []byte) (what string, why Reason) {
	for _, f := range []struct {
		magic, what string
		why         Reason
	}{
		{"Rar!\x1a\x07", "a RAR archive", NotOpened},
		{"MSCF\x00\x00\x00\x00", "a cabinet file", NotOpened},
		{"LZIP\x01", "an lzip file", NotOpened},
		{"\x04\x22\x4d\x18", "an LZ4 file", NotOpened},
		{"\xff\x06\x00\x00sNaPpY", "a Snappy file", NotOpened},
		{"\x1f\x9d\x90", "a file of compress", NotOpened},
		{"hsqs", "a SquashFS image", NotOpened},
		{"QFI\xfb", "a QCOW disk image", NotOpened},
		{"KDMV", "a VMDK disk image", NotOpened},
		{"ZOO ", "a ZOO archive", NotOpened},
		{"\x60\xea", "an ARJ archive", NotOpened},
		{"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Office or MSI file", NotOpened},
		{"Salted__", "a file that OpenSSL encrypted", Encrypted},
		{"U2FsdGVkX1", "a file that OpenSSL encrypted", Encrypted},
		{"age-encryption.org/v1", "a file that age encrypted", Encrypted},
		{"-----BEGIN AGE ENCRYPTED FILE-----", "a file that age encrypted", Encrypted},
		{"-----BEGIN PGP MESSAGE-----", "a message that PGP encrypted", Encrypted},
		{"\x00GITCRYPT\x00", "a file that git-crypt encrypted", Encrypted},
		{"$ANSIBLE_VAULT;", "a file that Ansible Vault encrypted", Encrypted},
		{"LUKS\xba\xbe", "a disk that LUKS encrypted", Encrypted},
		{"\x03\xd9\xa2\x9a", "a KeePass database", Encrypted},
	} {
		if bytes.HasPrefix(head, []byte(f.magic)) {
			return f.what, f.why
		}
	}
	return "", ""
}

// isZlib: RFC 1950 §2.2, with deflate and a window of 32 KiB and no dictionary, as every library writes it.
func isZlib(head []byte) bool {
	return len(head) > 8 && head[0] == 0x78 && binary.BigEndian.Uint16(head)%31 == 0 && head[1]&0x20 == 0 && head[2]&6 != 6
}

// isLZMA: the .lzma format has no magic number; its usual properties, a size of its dictionary that is some power of two, and a size
// that is unknown or below 256 GiB.
func isLZMA(head []byte) bool {
	if len(head) < 14 || head[0] != 0x5d {
		return false
	}
	dictionary, size := binary.LittleEndian.Uint32(head[1:]), binary.LittleEndian.Uint64(head[5:])
	return dictionary >= 1<<12 && dictionary&(dictionary-1) == 0 && (size == 1<<64-1 || size < 1<<38)
}

func openZstd(r io.Reader) (io.Reader, error) {
	d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxInMemory),
		zstd.WithDecoderMaxWindow(maxInMemory))
	if err != nil {
		return nil, err
	}
	return d.IOReadCloser(), nil
}

func openXZ(r io.Reader) (io.Reader, error) { return xz.NewReader(r, maxInMemory) }

func openLZMA(r io.Reader) (io.Reader, error) {
	return lzma.ReaderConfig{DictCap: maxInMemory}.NewReader(r)
}

func compressed(open func(io.Reader) (io.Reader, error)) unpacker {
	return func(s *Scanner, ctx context.Context, at place, in *bufio.Reader, _ *section, left *budget, to sink) error {
		r, err := open(in)
		if err != nil {
			return err
		}
		if c, ok := r.(io.Closer); ok {
			defer c.Close()
		}
		name := strings.TrimSuffix(at.path, path.Ext(at.path)) // of what is packed
		return s.called(ctx, at, name, &rationed{r, left}, nil, left, to)
	}
}

// program searches a program or script, and an archive that it may have behind it.
func (s *Scanner) program(ctx context.Context, at place, in *bufio.Reader, whole *section, left *budget, to sink) error {
	if f := selfExtracting(whole); f != nil {
		return f.open(s, ctx, at, in, whole, left, to)
	}
	return s.text(ctx, at, nil, in, left, to)
}

// selfExtracting says how to open a program that has an archive behind it; nil: it has none.
func selfExtracting(whole *section) *format {
	const mostProgram = 4 << 20 // in front of the archive
	tail := make([]byte, min(whole.size, 66_000))
	if n, _ := whole.ReadAt(tail, whole.size-int64(len(tail))); bytes.Contains(tail[:n], []byte("PK\x05\x06")) {
		return &format{open: (*Scanner).zip, weak: true}
	}
	head := make([]byte, min(whole.size, mostProgram))
	n, _ := whole.ReadAt(head, 0)
	for _, magic := range []string{"7z\xbc\xaf\x27\x1c\x00", "\x1f\x8b\x08\x00", "\xfd7zXZ\x00", "BZh91AY&SY"} {
		at := bytes.Index(head[:n], []byte(magic))
		if at < 0 {
			continue
		}
		return &format{weak: true, open: func(
			s *Scanner, ctx context.Context, in place, _ *bufio.Reader, _ *section, left *budget, to sink,
		) error {
			if err := s.text(ctx, in, nil, io.NewSectionReader(whole, 0, int64(at)), left, to); err != nil {
				return err
			}
			rest := &section{io.NewSectionReader(whole, int64(at), whole.size-int64(at)), whole.size - int64(at)}
			return s.contents(ctx, in, io.NewSectionReader(rest, 0, rest.size), rest, left, to)
		}}
	}
	return nil
}
