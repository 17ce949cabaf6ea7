package scan

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"compress/bzip2"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"strings"

	"github.com/bodgit/sevenzip"
)

func (s *Scanner) tar(ctx context.Context, at place, in *bufio.Reader, _ *section, left *budget, to sink) error {
	t := tar.NewReader(in)
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return s.text(ctx, at, nil, in, left, to) // what stands behind its end
		}
		if err != nil {
			return err
		}
		member := at.inside(h.Name)
		if err := left.member(); err != nil {
			return err
		}
		s.name(member, h.Name+"\n"+h.Linkname, to)
		if h.Typeflag != tar.TypeReg {
			continue
		}
		if err := s.contents(ctx, member, &rationed{t, left}, nil, left, to); err != nil {
			return err
		}
	}
}

func (s *Scanner) zip(ctx context.Context, at place, in *bufio.Reader, whole *section, left *budget, to sink) error {
	whole, err := inMemory(in, whole)
	var large *largeError
	if errors.As(err, &large) {
		return s.tooLarge(ctx, at, in, large, left, to)
	}
	if err != nil {
		return err
	}
	z, err := zip.NewReader(whole, whole.size)
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		s.skip(at, Broken, "%v", errPacked)
		return s.text(ctx, at, nil, io.NewSectionReader(whole, 0, whole.size), left, to)
	}
	for method, open := range moreOfZip {
		z.RegisterDecompressor(method, open)
	}
	s.name(at, z.Comment, to)
	for _, f := range z.File {
		if err := left.member(); err != nil {
			return err
		}
		member := at.inside(f.Name)
		s.name(member, f.Name+"\n"+f.Comment, to)
		if strings.HasSuffix(f.Name, "/") {
			continue
		}
		if f.Flags&1 != 0 {
			s.skip(member, Encrypted, "it is encrypted")
			continue
		}
		if err := s.member(ctx, member, f.Open, left, to); err != nil {
			return err
		}
	}
	return nil
}

// member searches a member of an archive that opens its members one by one. Its error ends the archive.
func (s *Scanner) member(ctx context.Context, at place, open func() (io.ReadCloser, error), left *budget, to sink) error {
	r, err := open()
	if errors.Is(err, zip.ErrAlgorithm) {
		s.skip(at, NotOpened, "it is packed in a way that is not opened")
		return nil
	}
	if err == nil {
		err = s.contents(ctx, at, &rationed{r, left}, nil, left, to)
		_ = r.Close()
	}
	if errors.Is(err, errDictionary) {
		s.skip(at, TooMuch, "%v", errDictionary)
		return nil
	}
	if err == nil || bounded(err) || ctx.Err() != nil {
		return err
	}
	s.skip(at, Broken, "%v", errPacked)
	return nil
}

// moreOfZip are the ways to pack of APPNOTE §4.4.5 that archive/zip does not know.
var moreOfZip = map[uint16]zip.Decompressor{
	12: func(r io.Reader) io.ReadCloser { return io.NopCloser(bzip2.NewReader(r)) },
	14: func(r io.Reader) io.ReadCloser { return lazily(r, openZipLZMA) },
	93: func(r io.Reader) io.ReadCloser { return lazily(r, openZstd) },
	95: func(r io.Reader) io.ReadCloser { return lazily(r, openXZ) },
}

// openZipLZMA: APPNOTE §5.8.8, two bytes of version, two of the length of the properties, those, and LZMA without a size.
func openZipLZMA(r io.Reader) (io.Reader, error) {
	head := make([]byte, 4+5)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, err
	}
	if binary.LittleEndian.Uint16(head[2:]) != 5 {
		return nil, errPacked
	}
	const unknown = "\xff\xff\xff\xff\xff\xff\xff\xff"
	return openLZMA(io.MultiReader(strings.NewReader(string(head[4:])+unknown), r))
}

// lazily opens at the first reading, as a Decompressor that can say no.
func lazily(r io.Reader, open func(io.Reader) (io.Reader, error)) io.ReadCloser {
	return &lazy{from: r, open: open}
}

type lazy struct {
	from io.Reader
	open func(io.Reader) (io.Reader, error)
	r    io.Reader
}

func (l *lazy) Read(p []byte) (n int, err error) {
	if l.r == nil {
		if l.r, err = l.open(l.from); err != nil {
			return 0, err
		}
	}
	return l.r.Read(p)
}

func (l *lazy) Close() error {
	if c, is := l.r.(io.Closer); is {
		return c.Close()
	}
	return nil
}

func (s *Scanner) sevenZip(ctx context.Context, at place, in *bufio.Reader, whole *section, left *budget, to sink) error {
	whole, err := inMemory(in, whole)
	var large *largeError
	if errors.As(err, &large) {
		return s.tooLarge(ctx, at, in, large, left, to)
	}
	if err != nil {
		return err
	}
	capDictionaries()
	var z *sevenzip.Reader
	if err = check7z(whole); err == nil {
		z, err = sevenzip.NewReader(whole, whole.size)
	}
	var locked *sevenzip.ReadError
	if errors.Is(err, errLocked) || errors.As(err, &locked) && locked.Encrypted {
		s.skip(at, Encrypted, "it is encrypted")
		return nil
	}
	if errors.Is(err, errDictionary) {
		s.skip(at, TooMuch, "%v", errDictionary)
		return s.text(ctx, at, nil, io.NewSectionReader(whole, 0, whole.size), left, to)
	}
	if err != nil {
		return err
	}
	for _, f := range z.File {
		if err := left.member(); err != nil {
			return err
		}
		member := at.inside(f.Name)
		s.name(member, f.Name, to)
		if f.FileInfo().IsDir() {
			continue
		}
		r, err := f.Open()
		if errors.As(err, &locked) && locked.Encrypted {
			s.skip(member, Encrypted, "it is encrypted")
			continue
		}
		if err := s.member(ctx, member, func() (io.ReadCloser, error) { return r, err }, left, to); err != nil {
			return err
		}
	}
	return nil
}
