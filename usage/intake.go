package usage

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"runtime"
	"time"

	"github.com/valyala/fastjson"
)

// Read takes in everything that in holds: a push's body, a file. Decompress comes before it. Parsing
// is done on all processors, in pieces, so that memory stays flat.
func (t *Take) Read(ctx context.Context, in io.Reader) error {
	if t.feed.Format.Input == Document {
		return t.readDocuments(ctx, in)
	}
	return t.readLines(ctx, in)
}

func (t *Take) readDocuments(ctx context.Context, in io.Reader) error {
	var failed error
	err := documents(in, func(v any) {
		if failed != nil {
			return
		}
		var r reading
		t.feed.Format.value(ctx, v, nil, &r)
		failed = t.Add(ctx, r)
	})
	if failed != nil {
		return failed
	}
	if err != nil { // what follows a broken place cannot be read, what came before it counts
		r := reading{Records: 1}
		r.bad(err.Error(), nil)
		return t.Add(ctx, r)
	}
	return ctx.Err()
}

const piece = 512 << 10

func (t *Take) readLines(ctx context.Context, in io.Reader) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type job struct {
		text   []byte
		events []Event
		done   chan reading
	}
	workers := max(1, runtime.GOMAXPROCS(0))
	jobs, order := make(chan job), make(chan job, 2*workers)
	free, spare := make(chan []byte, 4*workers), make(chan []Event, 4*workers)
	for range workers {
		go func() {
			var p fastjson.Parser
			for j := range jobs {
				j.done <- t.feed.Format.lines(ctx, &p, j.text, j.events)
			}
		}()
	}
	var readErr error
	go func() {
		defer close(order)
		defer close(jobs)
		readErr = pieces(in, free, func(text []byte) bool {
			j := job{text: text, done: make(chan reading, 1)}
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
			if err := t.Add(ctx, r); err != nil {
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

// Digest passes a reader's content on and takes its SHA-256.
type Digest struct {
	in  io.Reader
	sum interface {
		io.Writer
		Sum([]byte) []byte
	}
}

// NewDigest makes one.
func NewDigest(in io.Reader) *Digest { return &Digest{in, sha256.New()} }

func (d *Digest) Read(p []byte) (int, error) {
	n, err := d.in.Read(p)
	_, _ = d.sum.Write(p[:n])
	return n, err
}

// String is the hash of what was read, as a batch's id.
func (d *Digest) String() string { return "sha256:" + hex.EncodeToString(d.sum.Sum(nil)) }

// DigestOf is the hash of a text, as a batch's id.
func DigestOf(text []byte) string {
	sum := sha256.Sum256(text)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Records counts what was read so far.
func (t *Take) Records() int64 { return t.counts.Records() }

// TakenBeforeError says that a batch was taken in already.
type TakenBeforeError struct {
	At     time.Time
	Counts Counts
}

func (e *TakenBeforeError) Error() string {
	return fmt.Sprintf("it was taken in already, on %s", e.At.UTC().Format("2 Jan 2006 15:04 MST"))
}
