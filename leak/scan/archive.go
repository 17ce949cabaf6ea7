package scan

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/text/encoding/unicode"

	"github.com/keyrounds/keyrounds/confine"
)

// DefaultUnpack is how many bytes are unpacked of one file at most, where Options.Unpack does not say.
const DefaultUnpack = 1 << 30

// More bounds of what is unpacked of one file, so that a small one cannot keep the scan for ever.
const (
	maxMembers  = 100_000
	maxDepth    = 8        // archives in each other
	maxInMemory = 64 << 20 // of what must be read at any place, inside of something else; and of a window of a compressor
	maxUnpack   = 10 * time.Minute
)

var (
	errBudget = errors.New("it unpacks to more than is searched of one file; its beginning was searched")
	errCount  = fmt.Errorf("only the first %d members of it were searched", maxMembers)
	errTime   = fmt.Errorf("it takes more than %v to unpack; its beginning was searched", maxUnpack)
	errPacked = errors.New("it is packed in a way, or broken, so that it could not be searched whole")
)

// bounded reports whether an error is the end of a budget.
func bounded(err error) bool {
	return errors.Is(err, errBudget) || errors.Is(err, errCount) || errors.Is(err, errTime)
}

// budget is what may still be unpacked.
type budget struct {
	bytes   int64
	members int
	depth   int
	until   time.Time
}

func (s *Scanner) budget() *budget {
	return &budget{s.Unpack, maxMembers, maxDepth, time.Now().Add(maxUnpack)}
}

// one searches a file with all that is packed in it, as far as the bounds go. whole is what it reads from, where
// that can be read at any place, and else nil.
func (s *Scanner) one(ctx context.Context, at place, r io.Reader, whole *section, to sink) error {
	in := bufio.NewReaderSize(r, 4096)
	search := func() error { return s.contents(ctx, at, in, whole, s.budget(), to) }
	var err error
	if head, _ := in.Peek(headLength); container(head, at.path, whole) != nil {
		err = confine.Apart(search)
	} else {
		err = search()
	}
	if bounded(err) {
		s.skip(at, TooMuch, "%v", err)
		return nil
	}
	return err
}

// contents searches what r gives: text, or what it is a container of.
func (s *Scanner) contents(ctx context.Context, at place, r io.Reader, whole *section, left *budget, to sink) error {
	return s.called(ctx, at, at.path, r, whole, left, to)
}

// called is contents for what has a name.
func (s *Scanner) called(ctx context.Context, at place, name string, r io.Reader, whole *section, left *budget, to sink) error {
	in := bufio.NewReaderSize(r, 4096)
	head, err := in.Peek(headLength)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	f := container(head, name, whole)
	if f == nil || left.depth == 0 {
		if f != nil {
			s.skip(at, TooMuch, "archives deeper than %d in each other are not opened", maxDepth)
		} else if what, why := closed(head); what != "" {
			s.skip(at, why, "%s is not opened", what)
		}
		return s.text(ctx, at, head, in, left, to)
	}
	if f.weak && whole == nil { // what is none is searched from its beginning
		if whole, err = inMemory(in, nil); err != nil {
			var large *largeError
			if errors.As(err, &large) {
				return s.tooLarge(ctx, at, in, large, left, to)
			}
			return err
		}
		in = bufio.NewReader(io.NewSectionReader(whole, 0, whole.size))
	}
	left.depth--
	defer func() { left.depth++ }()
	err = s.unpack(ctx, f, at, in, whole, left, to)
	var src *sourceError
	switch {
	case err == nil, ctx.Err() != nil, errors.As(err, &src), bounded(err):
		return err
	}
	if !f.weak {
		s.skip(at, Broken, "%v", errPacked)
	}
	if whole != nil {
		return s.text(ctx, at, nil, io.NewSectionReader(whole, 0, whole.size), left, to)
	}
	return s.text(ctx, at, nil, in, left, to) // what is left of it
}

// unpack opens a container. What panics in a reader of a format is an error of that file.
func (s *Scanner) unpack(ctx context.Context, f *format, at place, in *bufio.Reader, whole *section, left *budget, to sink) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = errPacked
		}
	}()
	return f.open(s, ctx, at, in, whole, left, to)
}

// text searches bytes that are no container; UTF-16 with a byte order mark becomes UTF-8 first.
func (s *Scanner) text(ctx context.Context, at place, head []byte, r io.Reader, left *budget, to sink) error {
	if wide := bytes.HasPrefix(head, []byte{0xff, 0xfe}) || bytes.HasPrefix(head, []byte{0xfe, 0xff}); wide {
		return s.stream(ctx, at, unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewDecoder().Reader(r), true, left, to)
	}
	return s.stream(ctx, at, r, false, left, to)
}

// section is a file that can be read at any place.
type section struct {
	io.ReaderAt
	size int64
}

// inMemory is what can be read at any place of a container: whole, or what in gives, where that is not too large.
func inMemory(in io.Reader, whole *section) (*section, error) {
	if whole != nil {
		return whole, nil
	}
	b, err := io.ReadAll(io.LimitReader(in, maxInMemory+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxInMemory {
		return nil, &largeError{b}
	}
	return &section{bytes.NewReader(b), int64(len(b))}, nil
}

// largeError: what was read of it so far is its beginning.
type largeError struct{ read []byte }

func (e *largeError) Error() string { return "it is too large" }

// tooLarge searches as it is what is too large to be opened inside of something else.
func (s *Scanner) tooLarge(ctx context.Context, at place, in io.Reader, e *largeError, left *budget, to sink) error {
	s.skip(at, TooMuch, "one of more than %d MiB inside of something else is not opened", maxInMemory>>20)
	return s.text(ctx, at, nil, io.MultiReader(bytes.NewReader(e.read), in), left, to)
}

// name searches what a file is called.
func (s *Scanner) name(at place, text string, to sink) {
	var all []match
	s.all(context.Background(), at, []byte(text), func(m match) {
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
	if time.Now().After(r.left.until) {
		return 0, errTime
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
