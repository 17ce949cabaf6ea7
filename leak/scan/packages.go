package scan

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/cavaliergopher/cpio"
	"github.com/kdomanski/iso9660"
)

// ar reads the archives that deb packages and libraries are: of each member a header of 60 bytes in text, then the content.
func (s *Scanner) ar(ctx context.Context, at place, in *bufio.Reader, _ *section, left *budget, to sink) error {
	if _, err := in.Discard(len("!<arch>\n")); err != nil {
		return err
	}
	for {
		head := make([]byte, 60)
		if _, err := io.ReadFull(in, head); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return errPacked
		}
		size, err := strconv.ParseInt(strings.TrimSpace(string(head[48:58])), 10, 64)
		if err != nil || size < 0 || string(head[58:]) != "`\n" {
			return errPacked
		}
		if err := left.member(); err != nil {
			return err
		}
		name := strings.TrimRight(string(head[:16]), " /")
		member := at.inside(name)
		s.name(member, name, to)
		content := &io.LimitedReader{R: in, N: size}
		if err := s.contents(ctx, member, &rationed{content, left}, nil, left, to); err != nil {
			return err
		}
		if _, err := io.CopyN(io.Discard, in, content.N+size%2); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
	}
}

// rpm skips the lead and the two headers of a package (rpm.org, file format), and searches the headers and what is packed behind.
func (s *Scanner) rpm(ctx context.Context, at place, in *bufio.Reader, _ *section, left *budget, to sink) error {
	const lead, mostHeader = 96, 64 << 20
	if _, err := in.Discard(lead); err != nil {
		return err
	}
	var headers bytes.Buffer
	for i := range 2 {
		head := make([]byte, 16)
		if _, err := io.ReadFull(in, head); err != nil || !bytes.HasPrefix(head, []byte("\x8e\xad\xe8")) {
			return errPacked
		}
		size := 16*int64(binary.BigEndian.Uint32(head[8:])) + int64(binary.BigEndian.Uint32(head[12:]))
		if i == 0 {
			size = (size + 7) &^ 7
		}
		if size > mostHeader {
			return errPacked
		}
		if _, err := io.CopyN(&headers, &rationed{in, left}, size); err != nil {
			return err
		}
	}
	if err := s.text(ctx, at, nil, &headers, left, to); err != nil {
		return err
	}
	return s.contents(ctx, at.inside("payload"), &rationed{in, left}, nil, left, to)
}

func (s *Scanner) cpio(ctx context.Context, at place, in *bufio.Reader, _ *section, left *budget, to sink) error {
	c := cpio.NewReader(in)
	for {
		h, err := c.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := left.member(); err != nil {
			return err
		}
		member := at.inside(strings.TrimPrefix(h.Name, "./"))
		s.name(member, h.Name+"\n"+h.Linkname, to)
		if !h.Mode.IsRegular() {
			continue
		}
		if err := s.contents(ctx, member, &rationed{c, left}, nil, left, to); err != nil {
			return err
		}
	}
}

const isoVolume = 16 * 2048 // where the first volume descriptor is (ECMA-119 §6.7.1)

func isISO(whole *section) bool {
	id := make([]byte, 5)
	n, _ := whole.ReadAt(id, isoVolume+1)
	return n == len(id) && string(id) == "CD001"
}

func (s *Scanner) iso(ctx context.Context, at place, _ *bufio.Reader, whole *section, left *budget, to sink) error {
	image, err := iso9660.OpenImage(whole)
	if err != nil {
		return err
	}
	root, err := image.RootDir()
	if err != nil {
		return err
	}
	if err := s.isoDir(ctx, at, root, 0, left, to); err != nil {
		return err
	}
	return s.text(ctx, at, nil, io.NewSectionReader(whole, 0, whole.size), left, to) // also what no directory has
}

func (s *Scanner) isoDir(ctx context.Context, at place, dir *iso9660.File, depth int, left *budget, to sink) error {
	const deepest = 64 // ECMA-119 allows 8
	children, err := dir.GetChildren()
	if err != nil || depth > deepest {
		s.skip(at, Broken, "%v", errPacked)
		return nil
	}
	for _, f := range children {
		if err := left.member(); err != nil {
			return err
		}
		member := at.inside(f.Name())
		if depth > 0 {
			member.path = at.path + "/" + f.Name()
		}
		s.name(member, f.Name(), to)
		if f.IsDir() {
			err = s.isoDir(ctx, member, f, depth+1, left, to)
		} else {
			open := func() (io.ReadCloser, error) { return io.NopCloser(f.Reader()), nil }
			err = s.member(ctx, member, open, left, to)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
