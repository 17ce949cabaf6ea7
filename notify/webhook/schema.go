package webhook

import (
	"encoding/json"

	"github.com/invopop/jsonschema"
)

// Schema is the JSON schema of Event (draft 2020-12), as docs/reference/webhook.schema.json has it.
func Schema() ([]byte, error) {
	r := jsonschema.Reflector{ExpandedStruct: true, AllowAdditionalProperties: true} // members that come later
	s := r.Reflect(&Event{})
	s.ID = "https://github.com/keyrounds/keyrounds/webhook"
	s.Title = "keyrounds webhook"
	b, err := json.MarshalIndent(s, "", "  ")
	return append(b, '\n'), err
}

// JSONSchemaExtend lists the types.
func (Type) JSONSchemaExtend(s *jsonschema.Schema) { s.Enum = []any{Opened, Changed, Resolved, Letter} }
