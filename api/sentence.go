package api

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/keyrounds/keyrounds/secret"
)

func mapsKeys[V any](m map[string]V) iter.Seq[string] { return maps.Keys(m) }

// wrongs says what is wrong with a request by what the document says of each place: what found it wrong says where only.
func (s *server) wrongs(op *huma.Operation, found []*huma.ErrorDetail) (all []Wrong) {
	seen := map[string]bool{}
	for _, e := range found {
		for _, w := range s.wrong(op, e) {
			if !seen[w.Where] {
				seen[w.Where] = true
				all = append(all, w)
			}
		}
	}
	return all
}

func (s *server) wrong(op *huma.Operation, e *huma.ErrorDetail) []Wrong {
	in, name, _ := strings.Cut(e.Location, ".")
	if in == "body" {
		return s.wrongBody(op, e, name)
	}
	name, _, _ = strings.Cut(name, "[") // of a list
	i := slices.IndexFunc(op.Parameters, func(p *huma.Param) bool { return p.In == in && p.Name == name })
	if i < 0 {
		return []Wrong{{in + "." + clean(name), fmt.Sprintf("There is no parameter %q here; %s.", clean(name), known(op, in))}}
	}
	p := op.Parameters[i]
	given := fmt.Sprint(e.Value)
	if e.Value == nil || given == "" {
		return []Wrong{{e.Location, fmt.Sprintf("The parameter %s is missing; it is %s.", name, s.may(p.Schema))}}
	}
	return []Wrong{{in + "." + name, fmt.Sprintf("%s is %q; it may be %s.", name, clean(given), s.may(p.Schema))}}
}

// known lists the parameters that there are.
func known(op *huma.Operation, in string) string {
	var names []string
	for _, p := range op.Parameters {
		if p.In == in {
			names = append(names, p.Name)
		}
	}
	if len(names) == 0 {
		return "there are none"
	}
	return "there are " + strings.Join(names, ", ")
}

func (s *server) wrongBody(op *huma.Operation, e *huma.ErrorDetail, path string) (all []Wrong) {
	schema := s.deref(op.RequestBody.Content["application/json"].Schema)
	parent := schema
	if path == "" {
		return s.missing(schema, "body", e.Value)
	}
	where := "body." + clean(path)
	for part := range strings.FieldsFuncSeq(path, func(r rune) bool { return r == '.' || r == '[' || r == ']' }) {
		parent = schema
		_, err := strconv.Atoi(part)
		switch {
		case schema.Items != nil && err == nil:
			schema = s.deref(schema.Items)
		case schema.Properties[part] != nil:
			schema = s.deref(schema.Properties[part])
		case additional(schema) != nil:
			schema = s.deref(additional(schema))
		default:
			if why, is := hostName(part); is {
				return []Wrong{{where, why}}
			}
			return []Wrong{{where, fmt.Sprintf("There is no member %q; there are %s.", clean(part),
				strings.Join(slices.Sorted(mapsKeys(parent.Properties)), ", "))}}
		}
	}
	if m, is := e.Value.(map[string]any); is && schema.Type == "object" {
		if all := s.missing(schema, where, m); len(all) > 0 {
			return all
		}
	}
	return []Wrong{{where, fmt.Sprintf("The member %s may be %s.", clean(path), s.may(schema))}}
}

// missing says which members a thing lacks.
func (s *server) missing(schema *huma.Schema, where string, v any) (all []Wrong) {
	m, is := v.(map[string]any)
	if !is {
		return []Wrong{{where, fmt.Sprintf("It may be %s.", s.may(schema))}}
	}
	for _, name := range schema.Required {
		if _, has := m[name]; !has {
			may := s.may(s.deref(schema.Properties[name]))
			all = append(all, Wrong{where + "." + name, fmt.Sprintf("The member %s is missing; it is %s.", name, may)})
		}
	}
	return all
}

func additional(schema *huma.Schema) *huma.Schema {
	more, _ := schema.AdditionalProperties.(*huma.Schema)
	return more
}

func (s *server) deref(schema *huma.Schema) *huma.Schema {
	for schema.Ref != "" {
		schema = s.api.OpenAPI().Components.Schemas.SchemaFromRef(schema.Ref)
	}
	return schema
}

// may says what a value may be.
func (s *server) may(schema *huma.Schema) string {
	switch {
	case len(schema.Enum) > 0:
		return "one of " + list(schema.Enum)
	case schema.Type == "array":
		return "a list, each of it " + s.may(s.deref(schema.Items)) + most(schema.MaxItems, "of at most %d")
	case schema.Type == "integer" && schema.Minimum != nil && schema.Maximum != nil:
		return fmt.Sprintf("a whole number from %.0f to %.0f", *schema.Minimum, *schema.Maximum)
	case schema.Type == "integer" && schema.Minimum != nil:
		return fmt.Sprintf("a whole number from %.0f on", *schema.Minimum)
	case schema.Type == "integer":
		return "a whole number"
	case schema.Type == "boolean":
		return "true or false"
	case schema.Format == "date-time":
		return "a time such as 2026-12-01T08:00:00Z"
	case schema.Pattern != "" && schema.PatternDescription != "":
		return schema.PatternDescription
	case schema.Type == "string" && schema.MaxLength != nil && schema.MinLength != nil:
		return fmt.Sprintf("a text of %d to %d characters", *schema.MinLength, *schema.MaxLength)
	case schema.Type == "string":
		return "a text" + most(schema.MaxLength, "of at most %d characters")
	case schema.Type == "object":
		return "an object"
	}
	return "something else"
}

func most(n *int, words string) string {
	if n == nil {
		return ""
	}
	return " " + fmt.Sprintf(words, *n)
}

func list(values []any) string {
	var all []string
	for _, v := range values {
		all = append(all, fmt.Sprint(v))
	}
	return strings.Join(all, ", ")
}

// clean is what is repeated to whoever sent it.
func clean(text string) string { return secret.Scrubber{}.Clean(text, 100) }
