package scan

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// pdf searches a document as it is, and every stream in it that deflate packs (ISO 32000-1 §7.4.4). Others are as they are, or
// images; of an encrypted one only that is said.
func (s *Scanner) pdf(ctx context.Context, at place, in *bufio.Reader, whole *section, left *budget, to sink) error {
	whole, err := inMemory(in, whole)
	var large *largeError
	if errors.As(err, &large) {
		return s.tooLarge(ctx, at, in, large, left, to)
	}
	if err != nil {
		return err
	}
	if err := s.text(ctx, at, nil, io.NewSectionReader(whole, 0, whole.size), left, to); err != nil {
		return err
	}
	const begin = "stream"
	r := bufio.NewReaderSize(io.NewSectionReader(whole, 0, whole.size), 64<<10)
	encrypted, streams := false, 0
	for pos := int64(0); ; {
		line, err := r.ReadSlice('\n')
		pos += int64(len(line))
		encrypted = encrypted || bytes.Contains(line, []byte("/Encrypt"))
		if bytes.HasSuffix(bytes.TrimRight(line, "\r\n"), []byte(begin)) && !bytes.Contains(line, []byte("endstream")) {
			streams++
			if err := s.pdfStream(ctx, at.inside(fmt.Sprintf("stream %d", streams)), whole, pos, left, to); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF):
			if encrypted {
				s.skip(at, Encrypted, "the document is encrypted")
			}
			return nil
		case err != nil:
			return err
		}
	}
}

// pdfStream searches what deflate packed at pos. What is packed in another way, or broken, was searched as it is.
func (s *Scanner) pdfStream(ctx context.Context, at place, whole *section, pos int64, left *budget, to sink) error {
	if err := left.member(); err != nil {
		return err
	}
	z, err := zlib.NewReader(bufio.NewReaderSize(io.NewSectionReader(whole, pos, whole.size-pos), 4096))
	if err != nil {
		return nil
	}
	defer z.Close()
	if err := s.contents(ctx, at, &rationed{z, left}, nil, left, to); bounded(err) || ctx.Err() != nil {
		return err
	}
	return nil
}

// png searches an image as it is, and the texts that are packed in it (zTXt, iTXt and iCCP; PNG 2nd edition §11.3).
func (s *Scanner) png(ctx context.Context, at place, in *bufio.Reader, whole *section, left *budget, to sink) error {
	whole, err := inMemory(in, whole)
	var large *largeError
	if errors.As(err, &large) {
		return s.tooLarge(ctx, at, in, large, left, to)
	}
	if err != nil {
		return err
	}
	if err := s.text(ctx, at, nil, io.NewSectionReader(whole, 0, whole.size), left, to); err != nil {
		return err
	}
	const signature, mostText = 8, 16 << 20
	for pos := int64(signature); pos+12 <= whole.size; {
		head := make([]byte, 8)
		if _, err := whole.ReadAt(head, pos); err != nil {
			return nil
		}
		size, kind := int64(binary.BigEndian.Uint32(head)), string(head[4:])
		if (kind == "zTXt" || kind == "iTXt" || kind == "iCCP") && size <= mostText {
			if err := left.member(); err != nil {
				return err
			}
			chunk := make([]byte, size)
			n, _ := whole.ReadAt(chunk, pos+8)
			if err := s.pngText(ctx, at.inside(kind), chunk[:n], left, to); err != nil {
				return err
			}
		}
		pos += 12 + size
	}
	return nil
}

// pngText: what is packed begins behind a zero byte or two, and a number for how.
func (s *Scanner) pngText(ctx context.Context, at place, chunk []byte, left *budget, to sink) error {
	for i := bytes.IndexByte(chunk, 0); i >= 0 && i < len(chunk); i++ {
		if i+2 > len(chunk) || !isZlib(chunk[i:]) {
			continue
		}
		z, err := zlib.NewReader(bytes.NewReader(chunk[i:]))
		if err != nil {
			continue
		}
		if err := s.contents(ctx, at, &rationed{z, left}, nil, left, to); bounded(err) || ctx.Err() != nil {
			return err
		}
		return nil
	}
	return nil
}
