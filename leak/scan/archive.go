package scan

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/text/encoding/unicode"

	"github.com/keyrounds/keyrounds/confine"
)

// DefaultUnpack is how many bytes are unpacked of one file at most, where Options.Unpack does not say.
const DefaultUnpack = 1 << 30

// More bounds of what is unpacked of one file, so that a small one cannot keep the scan for ever.
const (
	maxMembers  = 100_000
	maxDepth    = 8        // archives in each other
	maxInMemory = 64 << 20 // of a zip inside of something else
)

var (
	errBudget = errors.New("it unpacks to more than is searched of one file; its beginning was searched")
	errCount  = fmt.Errorf("only the first %d members of it were searched", maxMembers)
	errPacked = errors.New("it is packed in a way, or broken, so that it could not be searched whole")
)

// budget is what may still be unpacked.
type budget struct {
	bytes   int64
	members int
	depth   int
}

// one searches a file with all that is packed in it, as far as the bounds go. whole is what it reads from, where
// that can be read at any place, and else nil.
func (s *Scanner) one(ctx context.Context, at place, r io.Reader, whole *section, to sink) error {
	in := bufio.NewReaderSize(r, 4096)
	search := func() error { return s.contents(ctx, at, in, whole, &budget{s.Unpack, maxMembers, maxDepth}, to) }
	var err error
	if head, _ := in.Peek(headLength); container(head) != nil {
		err = confine.Apart(search)
	} else {
		err = search()
	}
	if errors.Is(err, errBudget) || errors.Is(err, errCount) {
		s.skip(at, "%v", err)
		return nil
	}
	return err
}

// contents searches what r gives: text, or what it is a container of.
func (s *Scanner) contents(ctx context.Context, at place, r io.Reader, whole *section, left *budget, to sink) error {
	in := bufio.NewReaderSize(r, 4096)
	head, err := in.Peek(headLength)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	unpack := container(head)
	if unpack == nil || left.depth == 0 {
		if unpack != nil {
			s.skip(at, "archives deeper than %d in each other are not opened", maxDepth)
		}
		return s.text(ctx, at, head, in, to)
	}
	left.depth--
	defer func() { left.depth++ }()
	err = unpack(s, ctx, at, in, whole, left, to)
	var src *sourceError
	switch {
	case err == nil, ctx.Err() != nil, errors.As(err, &src):
		return err
	case errors.Is(err, errBudget), errors.Is(err, errCount):
		return err
	}
	s.skip(at, "%v", errPacked)
	if whole != nil {
		return s.text(ctx, at, nil, io.NewSectionReader(whole, 0, whole.size), to)
	}
	return s.text(ctx, at, nil, in, to) // what is left of it
}

// text searches bytes that are no container; UTF-16 with a byte order mark becomes UTF-8 first.
func (s *Scanner) text(ctx context.Context, at place, head []byte, r io.Reader, to sink) error {
	if wide := bytes.HasPrefix(head, []byte{0xff, 0xfe}) || bytes.HasPrefix(head, []byte{0xfe, 0xff}); wide {
		return s.stream(ctx, at, unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewDecoder().Reader(r), true, to)
	}
	return s.stream(ctx, at, r, false, to)
}

const headLength = 262

type unpacker func(s *Scanner, ctx context.Context, at place, in *bufio.Reader, whole *section, left *budget, to sink) error

// container says how to open what begins with head; nil: it is none. The name is not asked.
func container(head []byte) unpacker {
	is := func(magic string) bool { return bytes.HasPrefix(head, []byte(magic)) }
	switch {
	case is("PK\x03\x04"), is("PK\x05\x06"):
		return (*Scanner).zip
	case is("\x1f\x8b\x08"):
		return compressed(func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) })
	case is("BZh") && len(head) > 9 && string(head[4:10]) == "1AY&SY":
		return compressed(func(r io.Reader) (io.Reader, error) { return bzip2.NewReader(r), nil })
	case is("\x28\xb5\x2f\xfd"):
		return compressed(func(r io.Reader) (io.Reader, error) {
			d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxInMemory),
				zstd.WithDecoderMaxWindow(maxInMemory))
			if err != nil {
				return nil, err
			}
			return d.IOReadCloser(), nil
		})
	case len(head) == headLength && string(head[257:262]) == "ustar":
		return (*Scanner).tar
	}
	return nil
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
		return s.contents(ctx, at, &rationed{r, left}, nil, left, to)
	}
}

func (s *Scanner) tar(ctx context.Context, at place, in *bufio.Reader, _ *section, left *budget, to sink) error {
	t := tar.NewReader(in)
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return s.text(ctx, at, nil, in, to) // what stands behind its end
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

// section is a file that can be read at any place.
type section struct {
	io.ReaderAt
	size int64
}

func (s *Scanner) zip(ctx context.Context, at place, in *bufio.Reader, whole *section, left *budget, to sink) error {
	if whole == nil {
		b, err := io.ReadAll(io.LimitReader(in, maxInMemory+1))
		if err != nil {
			return err
		}
		if len(b) > maxInMemory {
			s.skip(at, "a zip of more than %d MiB inside of something else is not opened", maxInMemory>>20)
			return s.text(ctx, at, nil, io.MultiReader(bytes.NewReader(b), in), to)
		}
		whole = &section{bytes.NewReader(b), int64(len(b))}
	}
	z, err := zip.NewReader(whole, whole.size)
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		s.skip(at, "%v", errPacked)
		return s.text(ctx, at, nil, io.NewSectionReader(whole, 0, whole.size), to)
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
			s.skip(member, "it is encrypted")
			continue
		}
		r, err := f.Open()
		if err != nil {
			s.skip(member, "%v", errPacked)
			continue
		}
		err = s.contents(ctx, member, &rationed{r, left}, nil, left, to)
		_ = r.Close()
		switch {
		case errors.Is(err, errBudget), errors.Is(err, errCount), ctx.Err() != nil:
			return err
		case err != nil:
			s.skip(member, "%v", errPacked)
		}
	}
	return nil
}

// name searches what a file is called.
func (s *Scanner) name(at place, text string, to sink) {
	var all []match
	s.matches([]byte(text), 0, len(text), func(m match) {
		m.line = 0
		all = append(all, m)
	})
	for _, m := range s.outermost(all) {
		to(at, m)
	}
}

func (b *budget) member() error {
	if b.members--; b.members < 0 {
		return errCount
	}
	return nil
}

// rationed reads as long as the budget lasts.
type rationed struct {
	r    io.Reader
	left *budget
}

func (r *rationed) Read(p []byte) (int, error) {
	if r.left.bytes <= 0 {
		return 0, errBudget
	}
	n, err := r.r.Read(p[:min(int64(len(p)), r.left.bytes)])
	r.left.bytes -= int64(n)
	return n, err
}

// sourceError is one of reading the file itself, not of what is packed in it.
type sourceError struct{ error }

func (e *sourceError) Unwrap() error { return e.error }

// source marks the errors of a file's own reader.
type source struct{ r io.Reader }

func (s source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = &sourceError{err}
	}
	return n, err
}
