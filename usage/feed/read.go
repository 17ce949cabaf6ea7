package feed

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"runtime"

	"github.com/valyala/fastjson"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// Read reads all records of in, which is not compressed, and gives them to each in their order, some at a
// time. A Reading's events are valid until each returns. Records that cannot be read are in the Reading; the
// error is that of in, of each or of ctx.
//
// Lines are parsed on all processors, in pieces, so that memory stays flat however long in is.
func (f Format) Read(ctx context.Context, in io.Reader, each func(Reading) error) error {
	switch in := in.(type) {
	case Followed:
		if f.table != nil {
			return f.readTable(ctx, in, in.head(), each)
		}
		return f.readLines(ctx, in, each)
	case Carried:
		f.enveloped = true
		return f.readLines(ctx, in, each)
	}
	b := bufio.NewReaderSize(utf8Of(in), layoutPeek)
	head, err := b.Peek(layoutPeek)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, ErrCut) {
		return err
	}
	if bytes.HasPrefix(head, bom) {
		_, _ = b.Discard(len(bom))
		head = head[len(bom):]
	}
	if f.table != nil {
		return f.readTable(ctx, b, nil, each)
	}
	if f.Input == Document || f.Input != Text && f.reader == nil && spread(head) {
		return f.readDocuments(ctx, b, each)
	}
	return f.readLines(ctx, b, each)
}

const layoutPeek = 64 << 10

// utf8Of reads a text in UTF-16, which has a byte order mark or begins with JSON, as UTF-8; any other as it is.
func utf8Of(in io.Reader) io.Reader {
	b := bufio.NewReader(in)
	head, _ := b.Peek(2)
	if len(head) < 2 {
		return b
	}
	var order unicode.Endianness
	switch {
	case head[0] == 0xff && head[1] == 0xfe, (head[0] == '{' || head[0] == '[') && head[1] == 0:
		order = unicode.LittleEndian
	case head[0] == 0xfe && head[1] == 0xff, head[0] == 0 && (head[1] == '{' || head[1] == '['):
		order = unicode.BigEndian
	default:
		return b
	}
	return transform.NewReader(b, unicode.UTF16(order, unicode.UseBOM).NewDecoder())
}

// spread reports whether a text of JSON does not have a value a line, but one over several, pretty-printed, as
// vendors' exports are, or one in a line without end. head is its beginning.
func spread(head []byte) bool {
	head = bytes.TrimSpace(head)
	line, rest, more := bytes.Cut(head, []byte("\n"))
	line = bytes.TrimSpace(line)
	if len(line) == 0 || line[0] != '[' && line[0] != '{' {
		return false
	}
	if !more {
		return len(head) > layoutPeek/2 && !isJSON(line)
	}
	if isJSON(line) {
		return false
	}
	next, _, _ := bytes.Cut(bytes.TrimLeft(rest, " \t\r\n"), []byte("\n"))
	d := json.NewDecoder(bytes.NewReader(bytes.Join([][]byte{line, next}, []byte("\n"))))
	for n := 0; ; n++ { // the two lines must be the beginning of one value
		_, err := d.Token()
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return n > 0
		case err != nil:
			return false
		}
	}
}

// isJSON has fastjson parse text, whose depth is bounded; its Validate takes minutes for 64 kB of brackets.
func isJSON(text []byte) bool {
	var p fastjson.Parser
	_, err := p.ParseBytes(text)
	return err == nil
}

// Followed is the text of a followed file, which has a record a line. Head is the beginning of the file, where the text is
// not: the columns of CSV are named there.
type Followed struct {
	io.Reader
	Head []byte
}

// head is never nil: without one no column has a name.
func (f Followed) head() []byte {
	if f.Head == nil {
		return []byte{}
	}
	return f.Head
}

// Carried is a text with a JSON object a line, each of which carries a record.
type Carried struct{ io.Reader }

func (f Format) readDocuments(ctx context.Context, in io.Reader, each func(Reading) error) error {
	var failed error
	err := documents(in, func(v any) {
		if failed != nil {
			return
		}
		var r Reading
		f.value(ctx, v, nil, &r)
		failed = each(r)
	})
	if failed != nil {
		return failed
	}
	if errors.Is(err, ErrCut) {
		return err
	}
	if err != nil { // what follows a broken place cannot be read, what came before it counts
		r := Reading{Records: 1}
		r.bad(err.Error(), nil)
		if failed := each(r); failed != nil {
			return failed
		}
		return &BrokenError{err.Error()}
	}
	return ctx.Err()
}

// What one processor parses at a time, about.
const piece = 512 << 10

func (f Format) readLines(ctx context.Context, in io.Reader, each func(Reading) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type job struct {
		text   []byte
		events []Event
		done   chan Reading
	}
	workers := max(1, runtime.GOMAXPROCS(0))
	jobs, order := make(chan job), make(chan job, 2*workers)
	free, spare := make(chan []byte, 4*workers), make(chan []Event, 4*workers)
	for range workers {
		go func() {
			d := newDecoder()
			for j := range jobs {
				j.done <- f.lines(ctx, d, j.text, j.events)
			}
		}()
	}
	var readErr error
	go func() {
		defer close(order)
		defer close(jobs)
		readErr = pieces(in, free, func(text []byte) bool {
			j := job{text: text, done: make(chan Reading, 1)}
			select {
			case j.events = <-spare:
			default:
			}
			select {
			case order <- j:
			case <-ctx.Done():
				return false
			}
			select {
			case jobs <- j:
			case <-ctx.Done():
				return false
			}
			return true
		})
	}()
	for j := range order {
		select {
		case r := <-j.done:
			if err := each(r); err != nil {
				return err
			}
			select {
			case free <- j.text:
			default:
			}
			select {
			case spare <- r.Events:
			default:
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if readErr != nil {
		return readErr
	}
	return ctx.Err()
}

// pieces cuts in into texts of whole lines and gives them away; free brings buffers back.
func pieces(in io.Reader, free chan []byte, give func([]byte) bool) error {
	var rest []byte
	for {
		var buf []byte
		select {
		case buf = <-free:
			buf = append(buf[:0], rest...)
		default:
			buf = append(make([]byte, 0, piece+piece/4), rest...)
		}
		start := len(buf)
		if cap(buf)-start < piece/2 {
			grown := make([]byte, start, start+piece)
			copy(grown, buf)
			buf = grown
		}
		n, err := io.ReadFull(in, buf[start:cap(buf)])
		buf = buf[:start+n]
		end := bytes.LastIndexByte(buf, '\n') + 1
		over := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		switch {
		case over:
			end = len(buf)
		case err != nil:
			return err
		case end == 0 && len(buf) > 2*maxLine: // a line without end: its beginning is a bad record
			end = len(buf)
		}
		rest = append([]byte(nil), buf[end:]...)
		if end > 0 && !give(buf[:end]) {
			return nil
		}
		if over {
			return nil
		}
	}
}

// Digest is a reader that passes the content of another on and takes its SHA-256 meanwhile.
type Digest struct {
	in  io.Reader
	sum interface {
		io.Writer
		Sum([]byte) []byte
	}
}

// NewDigest makes a Digest of in.
func NewDigest(in io.Reader) *Digest { return &Digest{in, sha256.New()} }

func (d *Digest) Read(p []byte) (int, error) {
	n, err := d.in.Read(p)
	_, _ = d.sum.Write(p[:n])
	return n, err
}

// DecompressDigested is Decompress with the digests of both: packed is of what in holds, plain of its content. They are the
// same one where in is not compressed: SHA-256 is a good part of what reading takes.
func DecompressDigested(in io.Reader) (packed, plain *Digest, err error) {
	b := bufio.NewReaderSize(in, 256<<10)
	head, err := b.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, nil, err
	}
	packed = NewDigest(b)
	if !bytes.HasPrefix(head, magicGzip) && !bytes.HasPrefix(head, magicZstd) {
		return packed, packed, nil
	}
	content, err := Decompress(packed)
	if err != nil {
		return nil, nil, err
	}
	return packed, NewDigest(content), nil
}

// String is the id of a batch with the content that was read: "sha256:" and the hash in hexadecimal.
func (d *Digest) String() string { return "sha256:" + hex.EncodeToString(d.sum.Sum(nil)) }

// DigestOf is the id of a batch with that content, the same that Digest gives.
func DigestOf(text []byte) string {
	sum := sha256.Sum256(text)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// ContentDigest is the id of the content of in, decompressed: what a Digest of it gives. It reads in to its end.
func ContentDigest(in io.Reader) (string, error) {
	plain, err := Decompress(in)
	if err != nil {
		return "", err
	}
	d := NewDigest(plain)
	_, err = io.Copy(io.Discard, d)
	return d.String(), err
}

// BrokenError is returned by Format.Read where JSON that is not in lines breaks: what came before was given to each, and
// nobody knows what comes after.
type BrokenError struct{ Why string }

func (e *BrokenError) Error() string { return e.Why + ": what comes after it cannot be read" }

// Hint says what to do.
func (e *BrokenError) Hint() string {
	return "nothing was taken in; bring a whole file, or one with a value a line"
}
