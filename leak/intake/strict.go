package intake

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// eachOf decodes the elements of a JSON list, one at a time. The decoder stands behind its opening bracket.
func eachOf(format string, d *json.Decoder, each func(json.RawMessage) error) error {
	for n := 0; d.More(); n++ {
		var raw json.RawMessage
		where := fmt.Sprintf("element %d", n)
		if err := d.Decode(&raw); err != nil {
			return &FormatError{format, where, jsonError(err)}
		}
		if len(raw) > maxFinding {
			return &FormatError{format, where, "it is larger than 4 MiB"}
		}
		if err := strict(raw); err != nil {
			return &FormatError{format, where, err.Error()}
		}
		if err := each(raw); err != nil {
			var fe *FormatError
			if errors.As(err, &fe) {
				fe.Format, fe.Where = format, where
			}
			return err
		}
	}
	if _, err := d.Token(); err != nil {
		return &FormatError{format, "the end", jsonError(err)}
	}
	return nil
}

// jsonError never repeats what was read: it may be a secret.
func jsonError(err error) string {
	var (
		syntax *json.SyntaxError
		kind   *json.UnmarshalTypeError
	)
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "it ends too early"
	case errors.As(err, &syntax):
		return fmt.Sprintf("no JSON at byte %d", syntax.Offset)
	case errors.As(err, &kind):
		return fmt.Sprintf("the member %s is a %s", kind.Field, kind.Value)
	}
	return err.Error()
}

const maxNesting = 100

// strict refuses what two readers could read in two ways: members that are there twice, nesting without end,
// bytes that are no UTF-8, and text behind the value.
func strict(raw []byte) error {
	if !utf8.Valid(raw) {
		return errors.New("it is not UTF-8")
	}
	type level struct {
		object, key bool
		names       map[string]bool
	}
	var stack []level
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	for {
		t, err := d.Token()
		if errors.Is(err, io.EOF) && len(stack) == 0 {
			return nil
		}
		if err != nil {
			return errors.New(jsonError(err))
		}
		if n := len(stack); n > 0 && stack[n-1].object {
			top := &stack[n-1]
			if name, is := t.(string); is && top.key {
				if top.names[name] {
					return errors.New("a member is there twice")
				}
				top.names[name], top.key = true, false
				continue
			}
			top.key = true
		}
		switch t {
		case json.Delim('{'):
			stack = append(stack, level{true, true, map[string]bool{}})
		case json.Delim('['):
			stack = append(stack, level{})
		case json.Delim('}'), json.Delim(']'):
			stack = stack[:len(stack)-1]
		}
		if len(stack) > maxNesting {
			return fmt.Errorf("it is nested deeper than %d", maxNesting)
		}
		if len(stack) == 0 && d.More() {
			return errors.New("there is text behind it")
		}
	}
}

func decode(raw []byte, into any) error {
	if err := json.Unmarshal(raw, into); err != nil {
		return &FormatError{Why: jsonError(err)}
	}
	return nil
}
