package feed

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
)

// Auto is the name that stands for the format that a text looks like.
const Auto = "auto"

// detectBytes is how much of a text is looked at.
const detectBytes = 1 << 20

// Guess is what a text looks like.
type Guess struct {
	Preset  Preset
	Records int // of the beginning
	Named   int // events of those that name a client
	Bad     int
}

// NotDetectedError says that no format reads a text; Best is the one that came nearest.
type NotDetectedError struct{ Best Guess }

func (e *NotDetectedError) Error() string {
	if e.Best.Records == 0 {
		return "it has no records: there is nothing that a format could be told by"
	}
	return fmt.Sprintf("it looks like no format that is known: of its first %d records none names a client", e.Best.Records)
}

// Hint says what to do instead.
func (e *NotDetectedError) Hint() string {
	return "keyrounds usage formats lists them, and what must be logged; --format my.jq reads another"
}

// Detect finds out by the beginning of in, plain, gzip or zstd, in which format it is: the one by which the most events name
// a client. again is in from its beginning. The error is *NotDetectedError where none names one.
func Detect(ctx context.Context, in io.Reader) (g Guess, again io.Reader, err error) {
	b := bufio.NewReaderSize(in, detectBytes)
	head, err := b.Peek(detectBytes)
	if err != nil && !errors.Is(err, io.EOF) {
		return g, b, err
	}
	text, cut := beginning(head)
	best := -1
	for _, p := range Presets() {
		if p.Poll != nil && (p.Poll.State || p.Poll.Counts) {
			continue // they list what holds now, and are asked for it
		}
		f, err := NewFormat(p.Name, "")
		if err != nil {
			return g, b, err
		}
		is, details := Guess{Preset: p}, 0
		err = f.Read(ctx, bytes.NewReader(text), func(r Reading) error {
			is.Records, is.Bad = is.Records+r.Records, is.Bad+r.BadSeen
			for _, e := range r.Events {
				if e.ClientID != "" {
					is.Named++
					details += given(e)
				}
			}
			return nil
		})
		var broken *BrokenError
		if err != nil && !errors.As(err, &broken) { // it breaks off, since it is a beginning
			return g, b, err
		}
		// One that finds more in the same events knows them better.
		if score := 100*is.Named + details - is.Bad; is.Named > 0 && score > best || best < 0 && is.Records > g.Records {
			g = is
			if is.Named > 0 {
				best = score
			}
		}
	}
	if g.Named == 0 {
		if cut && len(head) < detectBytes {
			return g, b, ErrCut
		}
		return g, b, &NotDetectedError{g}
	}
	return g, b, nil
}

// beginning is that of a text, decompressed as far as it goes.
func beginning(head []byte) (text []byte, cut bool) {
	in, err := Decompress(bytes.NewReader(head))
	if err != nil {
		return head, false
	}
	text, err = io.ReadAll(io.LimitReader(in, detectBytes)) // it breaks off
	if len(text) < detectBytes/2 {
		return text, errors.Is(err, ErrCut)
	}
	if body := bytes.TrimPrefix(text, bom); spread(body[:min(len(body), layoutPeek)]) {
		if values := wholeValues(body); len(values) > 0 {
			return values, false
		}
	}
	if i := bytes.LastIndexByte(text, '\n'); i > 0 {
		text = text[:i]
	}
	return text, errors.Is(err, ErrCut)
}

// given is how many members of an event have a value.
func given(e Event) (n int) {
	v := reflect.ValueOf(e)
	for i := range v.NumField() {
		if !v.Field(i).IsZero() {
			n++
		}
	}
	return n
}

// wholeValues are the objects at the beginning of a document that breaks off, a line each: those of its first list, or
// those that follow each other.
func wholeValues(text []byte) []byte {
	collect := func(d *json.Decoder) (all []byte) {
		for d.More() {
			var v json.RawMessage
			var line bytes.Buffer
			if d.Decode(&v) != nil || json.Compact(&line, v) != nil {
				break
			}
			all = append(append(all, line.Bytes()...), '\n')
		}
		return all
	}
	if all := collect(json.NewDecoder(bytes.NewReader(text))); len(all) > 0 {
		return all
	}
	d := json.NewDecoder(bytes.NewReader(text))
	for range 1000 {
		token, err := d.Token()
		if err != nil {
			return nil
		}
		if token == json.Delim('[') {
			return collect(d)
		}
	}
	return nil
}
