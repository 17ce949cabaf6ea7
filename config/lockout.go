package config

import (
	"encoding/json"

	"github.com/invopop/jsonschema"
)

// LockoutIn is what a provider bears of refusals, as checker.ParseLockout reads it: a word, or a number with or without
// quotes.
type LockoutIn string

// UnmarshalJSON reads text and numbers.
func (l *LockoutIn) UnmarshalJSON(b []byte) error {
	var text string
	if json.Unmarshal(b, &text) != nil {
		var number json.Number
		if err := json.Unmarshal(b, &number); err != nil {
			return err
		}
		text = number.String()
	}
	*l = LockoutIn(text)
	return nil
}

// JSONSchema allows both.
func (LockoutIn) JSONSchema() *jsonschema.Schema {
	return &jsonschema.Schema{Extras: map[string]any{"type": []string{"string", "integer"}}}
}
