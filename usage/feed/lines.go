package feed

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/valyala/fastjson"
)

// lines reads whole lines; events is memory to be used again. It is safe for concurrent use with a decoder of its own each.
func (f Format) lines(ctx context.Context, d *decoder, text []byte, events []Event) (r Reading) {
	r.Events = events[:0]
	var held []byte // parts of a line that a container runtime split
	for len(text) > 0 && ctx.Err() == nil {
		line := text
		if i := bytes.IndexByte(text, '\n'); i >= 0 {
			line, text = text[:i], text[i+1:]
		} else {
			text = nil
		}
		line = bytes.TrimSpace(bytes.TrimPrefix(line, bom))
		if part, more, is := ofRuntime(line); is {
			held = append(held, part...)
			if more && len(held) <= maxLine && len(text) > 0 {
				continue
			}
			line, held = held, nil
		} else {
			held = nil
		}
		f.line(ctx, d, line, &r)
	}
	return r
}

var bom = []byte("\xef\xbb\xbf")

func (f Format) line(ctx context.Context, d *decoder, line []byte, r *Reading) {
	switch {
	case len(line) == 0:
		return
	case len(line) > maxLine:
		r.Records++
		r.bad(fmt.Sprintf("the line is longer than %d MiB", maxLine>>20), line)
		return
	case f.reader != nil && !f.enveloped:
		f.textLine(ctx, d, line, r)
		return
	case f.Input == Text && !f.enveloped:
		f.record(ctx, string(line), line, r)
		return
	}
	if v, err := d.parse(afterPrefix(line)); err == nil &&
		(f.Input != Any || v.Type() == fastjson.TypeObject || v.Type() == fastjson.TypeArray) {
		f.value(ctx, d.value(v), line, r)
		return
	}
	if f.Input == Any {
		f.record(ctx, string(line), line, r)
		return
	}
	all, ok := concatenated(line)
	if !ok {
		r.Records++
		r.bad("it is not JSON", line)
		return
	}
	for _, v := range all {
		f.value(ctx, v, line, r)
	}
}

// textLine is a line that f reads itself, or a JSON object that carries one.
func (f Format) textLine(ctx context.Context, d *decoder, line []byte, r *Reading) {
	if line[0] == '{' {
		if _, err := f.reader(string(line)); err != nil {
			if v, err := d.parse(line); err == nil {
				f.value(ctx, d.value(v), line, r)
				return
			}
		}
	}
	f.record(ctx, string(line), line, r)
}

// concatenated reads several JSON values that stand in one line.
func concatenated(line []byte) (all []any, ok bool) {
	if line[0] != '{' && line[0] != '[' {
		return nil, false
	}
	d := json.NewDecoder(bytes.NewReader(line))
	for d.More() {
		var v any
		if err := d.Decode(&v); err != nil {
			return nil, false
		}
		all = append(all, v)
	}
	return all, len(all) > 0
}

// value is one record, or a list of them, also one that an object holds beside little else.
func (f Format) value(ctx context.Context, v any, text []byte, r *Reading) {
	if m, ok := v.(map[string]any); ok {
		if list, is := listIn(m); is && !f.isRecord(ctx, m) {
			v = list
		}
	}
	if list, ok := v.([]any); ok {
		for _, e := range list {
			if _, is := e.(map[string]any); !is && r.BadSeen >= maxBad {
				r.Records++
				r.badAgain() // soon: a list of a million numbers
				continue
			}
			f.record(ctx, e, text, r)
		}
		return
	}
	f.record(ctx, v, text, r)
}

// withHint says what is wrong and what a person does about it.
func withHint(err error) string {
	var hinted interface{ Hint() string }
	if errors.As(err, &hinted) {
		return err.Error() + " (" + hinted.Hint() + ")"
	}
	return err.Error()
}

func (f Format) record(ctx context.Context, v any, text []byte, r *Reading) {
	r.Records++
	if m, is := v.(map[string]any); is && f.enveloped && m[brokenMember] != nil {
		r.bad("it is no event", nil)
		return
	}
	events, err := f.eventsWithin(ctx, v, 0)
	if err != nil {
		r.bad(withHint(err), text)
		return
	}
	if len(events) == 0 {
		r.leftOut(v)
	}
	for _, e := range events {
		if e.Kind != Heartbeat {
			r.saw(e.At, e.Names())
		}
	}
	r.Events = append(r.Events, events...)
}
