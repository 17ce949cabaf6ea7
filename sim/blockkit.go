package sim

import (
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// textObject is one of Block Kit.
type textObject struct{ Type, Text string }

// block is what keyrounds uses of Block Kit.
type block struct {
	Type     string
	Text     *textObject
	Elements []struct {
		textElement
		ActionID string `json:"action_id"`
		URL      string
		Value    string
		Options  []struct {
			Text  textObject
			Value string
		}
	}
}

// textElement is an element of a context block, whose text is a string, or one of an actions block, whose
// text is an object.
type textElement struct {
	Type string
	Text json.RawMessage
}

func (e textElement) text() string {
	var s string
	var o textObject
	if json.Unmarshal(e.Text, &s) != nil && json.Unmarshal(e.Text, &o) == nil {
		return o.Text
	}
	return s
}

// Valid holds the blocks against the limits of Block Kit (docs.slack.dev/reference/block-kit/blocks).
func (m SlackMessage) Valid() error {
	var blocks []block
	if err := json.Unmarshal(m.Blocks, &blocks); err != nil {
		return err
	}
	var errs []error
	limit := func(what string, n, most int) {
		if n == 0 || n > most {
			errs = append(errs, fmt.Errorf("%s: %d, not 1 to %d", what, n, most))
		}
	}
	limit("blocks", len(blocks), 50)
	limit("text", utf8.RuneCountInString(m.Text), 4000)
	for _, b := range blocks {
		switch b.Type {
		case "header":
			limit("header", utf8.RuneCountInString(b.Text.Text), 150)
		case "section":
			limit("section", utf8.RuneCountInString(b.Text.Text), 3000)
		case "context":
			limit("elements of context", len(b.Elements), 10)
		case "actions":
			limit("elements of actions", len(b.Elements), 25)
			for _, e := range b.Elements {
				if e.Type == "button" {
					limit("text of a button", utf8.RuneCountInString(e.text()), 75)
				}
				if len(e.Value) > 2000 {
					limit("value of a button", len(e.Value), 2000)
				}
				for _, o := range e.Options {
					limit("value of an option", len(o.Value), 150)
				}
			}
		default:
			errs = append(errs, fmt.Errorf("a block of type %q", b.Type))
		}
	}
	return errors.Join(errs...)
}
