package feed

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/keyrounds/keyrounds/secret"
)

// The most of a text that is one record.
const (
	maxLine     = 1 << 20
	maxDocument = 256 << 20
)

// Bad is a record that could not be read.
type Bad struct {
	Reason string `json:"reason"`
	Sample string `json:"sample"` // its beginning, cleaned, with whatever looks like a secret masked
}

func newBad(reason string, record []byte) Bad { return Bad{reason, sample(record)} }

const maxSample = 160

var (
	sensitiveWords = regexp.MustCompile(`(?i)((?:secret|token|password|passwd|authorization|bearer|basic|assertion|api[_-]?key)` +
		`[^A-Za-z0-9]{1,6})[^\s"'&,}]+`)
	longRuns = regexp.MustCompile(`[A-Za-z0-9+/_~-]{14,}`)
)

// sample masks what looks like a secret: values of such names, and every long run.
func sample(record []byte) string {
	text := secret.Scrubber{}.Clean(string(record[:min(len(record), 4096)]), 2*maxSample)
	text = sensitiveWords.ReplaceAllString(text, "$1…")
	text = longRuns.ReplaceAllString(text, "…")
	return secret.Scrubber{}.Clean(text, maxSample)
}

// Reading is what became of some records.
type Reading struct {
	Events  []Event
	Records int
	Skipped int   // records of something else than the use of clients
	Bad     []Bad // the first five of BadSeen
	BadSeen int   // records that could not be read

	// What the records were fit to show, by their day (DayOf), also those that were left out. A record that does not say
	// when it was written counts to the day of the one before it, and at the beginning to Undated.
	Days    map[int64]*Day
	Undated Day
	NoTime  int64  // left out, and did not say when they were written
	Alive   []Span // when records were written that are left out

	latest    *Day
	latestDay int64
	lastBad   *byte // where the line of the last bad record begins
}

const maxBad = 5

func (r *Reading) bad(reason string, record []byte) {
	if r.BadSeen > maxBad && len(record) > 0 && &record[0] == r.lastBad { // many of one line: its time is known
		r.badAgain()
		return
	}
	at := signOfText(string(record[:min(len(record), 1024)]))
	d := r.day(at)
	d.Records, d.Bad = d.Records+1, d.Bad+1
	if r.BadSeen++; len(r.Bad) < maxBad {
		r.Bad = append(r.Bad, newBad(reason, record))
	}
	if len(record) > 0 {
		r.lastBad = &record[0]
	}
}

// badAgain counts another record that cannot be read to the day of the last one.
func (r *Reading) badAgain() {
	d := r.day(time.Time{})
	d.Records, d.Bad = d.Records+1, d.Bad+1
	r.BadSeen++
}

// documents reads JSON values of any layout, one after the other, and gives each of them.
func documents(in io.Reader, each func(v any)) error {
	limited := &io.LimitedReader{R: in, N: maxDocument}
	d := json.NewDecoder(limited)
	for {
		var v any
		err := d.Decode(&v)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, ErrCut):
			return err
		case err != nil && limited.N <= 0:
			return fmt.Errorf("a document is larger than %d MiB", maxDocument>>20)
		case err != nil:
			return fmt.Errorf("it is not JSON after byte %d", d.InputOffset())
		}
		limited.N = maxDocument
		each(v)
	}
}

// What compressed texts begin with.
var magicGzip, magicZstd = []byte{0x1f, 0x8b}, []byte{0x28, 0xb5, 0x2f, 0xfd}

// Decompress returns what in holds, whether plain, gzip or zstd: its first bytes say which.
func Decompress(in io.Reader) (io.Reader, error) {
	b := bufio.NewReaderSize(in, 256<<10)
	head, err := b.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(head, magicGzip):
		z, err := gzip.NewReader(b)
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = ErrCut
		}
		if err != nil {
			return nil, err
		}
		return whole{z}, nil
	case bytes.HasPrefix(head, magicZstd):
		d, err := zstd.NewReader(b, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(128<<20))
		if err != nil {
			return nil, err
		}
		return whole{d.IOReadCloser()}, nil
	}
	return b, nil
}

// ErrCut is returned by a reader of Decompress where the compressed text breaks off.
var ErrCut = errors.New("the compressed text is cut off before its end")

// whole tells a compressed text that breaks off from one that ends.
type whole struct{ io.Reader }

func (w whole) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = ErrCut
	}
	return n, err
}
