package config

import (
	"bytes"
	_ "embed" // for comments.json
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/agnivade/levenshtein"
	"github.com/invopop/jsonschema"
	validator "github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// Schema returns the JSON schema of the file (draft 2020-12), indented, for editors. It is made of File and always
// the same.
func Schema() ([]byte, error) { return json.MarshalIndent(reflected(), "", "  ") }

// The comments of the fields in file.go and feedfile.go, which describe the keys. TestComments writes them, since a
// binary has no source.
//
//go:embed comments.json
var commentsJSON []byte

var comments = sync.OnceValue(func() map[string]string {
	var m map[string]string
	if err := json.Unmarshal(commentsJSON, &m); err != nil {
		panic("config: comments.json: " + err.Error())
	}
	return m
})

func reflected() *jsonschema.Schema {
	r := jsonschema.Reflector{ExpandedStruct: true, CommentMap: comments()}
	s := r.Reflect(&File{})
	s.ID = "https://github.com/keyrounds/keyrounds/config"
	s.Title = "keyrounds configuration"
	return s
}

// schemas are those that a file is held against: the whole, and one of its credentials.
type schemas struct{ file, credential *validator.Schema }

var compiled = sync.OnceValues(func() (s schemas, err error) {
	text, err := Schema()
	if err != nil {
		return s, err
	}
	doc, err := validator.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return s, err
	}
	c := validator.NewCompiler()
	if err := c.AddResource("config.json", doc); err != nil {
		return s, err
	}
	if s.file, err = c.Compile("config.json"); err == nil {
		s.credential, err = c.Compile("config.json#/properties/" + listKey + "/items")
	}
	return s, err
})

// validate holds the tree against the schema, and takes out of it what does not fit, so that the
// rest can still be looked at.
func validate(t *tree) []problem {
	s, err := compiled()
	if err != nil {
		return []problem{{message: "the schema of this binary is broken: " + err.Error()}}
	}
	return t.hold(s.file, t.root, nil)
}

// hold is validate for a part of the tree, which is at a path.
func (t *tree) hold(schema *validator.Schema, part any, at []string) []problem {
	var failed *validator.ValidationError
	if err := schema.Validate(plainJSON(part)); !errors.As(err, &failed) {
		return nil
	}
	var ps []problem
	leaves(failed, func(e *validator.ValidationError) {
		e.InstanceLocation = slices.Concat(at, e.InstanceLocation)
		ps = append(ps, t.explain(e)...)
	})
	for _, p := range ps {
		if path := strings.Split(p.path, ".")[len(at):]; len(path) > 0 {
			prune(part, path)
		}
	}
	return ps
}

// plainJSON turns the numbers of YAML into those that the validator knows.
func plainJSON(v any) any {
	switch v := v.(type) {
	case map[string]any:
		m := make(map[string]any, len(v))
		for k, e := range v {
			m[k] = plainJSON(e)
		}
		return m
	case []any:
		l := make([]any, len(v))
		for i, e := range v {
			l[i] = plainJSON(e)
		}
		return l
	case uint64:
		return json.Number(fmt.Sprint(v))
	case int64:
		return json.Number(fmt.Sprint(v))
	}
	return v
}

func leaves(e *validator.ValidationError, f func(*validator.ValidationError)) {
	if len(e.Causes) == 0 {
		f(e)
	}
	for _, c := range e.Causes {
		leaves(c, f)
	}
}

func (t *tree) explain(e *validator.ValidationError) []problem {
	path := strings.Join(e.InstanceLocation, ".")
	one := func(message, hint string) []problem {
		return []problem{{path: path, at: t.place(path), message: t.context(path) + message, hint: hint}}
	}
	switch k := e.ErrorKind.(type) {
	case *kind.AdditionalProperties:
		var ps []problem
		for _, key := range k.Properties {
			child := join(path, key)
			hint := DidYouMean(key, keysAt(e.InstanceLocation))
			ps = append(
				ps,
				problem{
					path:    child,
					at:      t.place(child + keyMark),
					message: t.context(path) + fmt.Sprintf("unknown key %q", key),
					hint:    hint,
				},
			)
		}
		return ps
	case *kind.Required:
		var ps []problem
		for _, key := range k.Missing {
			ps = append(ps, problem{path: join(path, key), at: t.place(path), message: t.context(path) + key + " is missing"})
		}
		return ps
	case *kind.Type:
		hint := ""
		if slices.Equal(k.Want, []string{"string"}) && k.Got != "object" && k.Got != "array" {
			hint = "put it in quotes"
			switch key := path[strings.LastIndex(path, ".")+1:]; {
			case isDuration(key):
				hint = "with its unit, such as 90d, 12h or 15m"
			case path == "listen":
				hint = "an address and a port, such as 127.0.0.1:8181"
			}
		}
		return one(fmt.Sprintf("%s is expected here, not %s", typeWords(k.Want), typeWords([]string{k.Got})), hint)
	}
	return one("this value does not fit", "")
}

// isDuration reports whether a key has a duration, by its name.
func isDuration(key string) bool {
	for _, end := range []string{"_after", "_every", "_wait", "_interval", "_age", "_timeout"} {
		if strings.HasSuffix(key, end) {
			return true
		}
	}
	return slices.Contains([]string{"grace", "within", "every", "first", "for", "lag", "overlap", "silence"}, key)
}

func typeWords(types []string) string {
	words := map[string]string{
		"string":  "text",
		"object":  "a mapping",
		"array":   "a list",
		"integer": "a whole number",
		"number":  "a number",
		"boolean": "true or false",
		"null":    "nothing",
	}
	var out []string
	for _, t := range types {
		out = append(out, words[t])
	}
	return strings.Join(out, " or ")
}

// context names the credential or provider that path is in, and the key: the beginning of a message.
func (t *tree) context(path string) string {
	parts := strings.Split(path, ".")
	inside := func(what string) string {
		if len(parts) == 2 {
			return what + ": "
		}
		return what + ": " + strings.Join(parts[2:], ".") + ": "
	}
	switch {
	case path == "":
		return ""
	case parts[0] == "credentials" && len(parts) > 1:
		return inside("credential " + t.credentialName(parts[1]))
	case parts[0] == "feeds" && len(parts) > 1:
		return inside("feed " + t.feedName(parts[1]))
	case parts[0] == "providers" && len(parts) > 1:
		return inside(fmt.Sprintf("provider %q", parts[1]))
	}
	return path + ": "
}

func (t *tree) credentialName(index string) string { return t.nameIn("credentials", index) }
func (t *tree) feedName(index string) string       { return t.nameIn("feeds", index) }

func (t *tree) nameIn(key, index string) string {
	if item, ok := t.itemOf(join(key, index)); ok {
		m, _ := item.value.(map[string]any)
		if name, ok := m["name"].(string); ok {
			return fmt.Sprintf("%q", name)
		}
		return "number " + index
	}
	list, _ := t.root[key].([]any)
	for i, e := range list {
		if m, ok := e.(map[string]any); ok && fmt.Sprint(i) == index {
			if name, ok := m["name"].(string); ok {
				return fmt.Sprintf("%q", name)
			}
		}
	}
	return "number " + index
}

// keysAt lists the keys that the schema knows at a place.
func keysAt(location []string) []string {
	root := reflected()
	s := root
	for _, part := range location {
		if s = resolve(root, s); s == nil {
			return nil
		}
		switch {
		case s.Properties != nil && s.Properties.GetPair(part) != nil:
			s = s.Properties.GetPair(part).Value
		case s.Items != nil:
			s = s.Items
		default:
			s = s.AdditionalProperties
		}
	}
	s = resolve(root, s)
	if s == nil || s.Properties == nil {
		return nil
	}
	var keys []string
	for pair := s.Properties.Oldest(); pair != nil; pair = pair.Next() {
		keys = append(keys, pair.Key)
	}
	return keys
}

func resolve(root, s *jsonschema.Schema) *jsonschema.Schema {
	if s != nil && s.Ref != "" {
		return root.Definitions[strings.TrimPrefix(s.Ref, "#/$defs/")]
	}
	return s
}

// DidYouMean names the closest of the known words, or lists them.
func DidYouMean(word string, known []string) string {
	best, bestDistance := "", max(2, 1+len(word)/4)
	for _, k := range known {
		d := levenshtein.ComputeDistance(word, k)
		if short := min(len(word), len(k)); short >= 3 && word[:short] == k[:short] { // monday for mon, or ats for ats-sync
			d = min(d, 2)
		}
		if d <= bestDistance {
			best, bestDistance = k, d
		}
	}
	if best != "" {
		return fmt.Sprintf("did you mean %q?", best)
	}
	if len(known) == 0 {
		return ""
	}
	return "known here: " + strings.Join(slices.Sorted(slices.Values(known)), ", ")
}

// prune takes what is at path out of a value.
func prune(v any, path []string) {
	switch v := v.(type) {
	case map[string]any:
		if len(path) == 1 {
			delete(v, path[0])
			return
		}
		prune(v[path[0]], path[1:])
	case []any:
		for i := range v {
			if fmt.Sprint(i) != path[0] {
				continue
			}
			if len(path) == 1 {
				v[i] = nil
				return
			}
			prune(v[i], path[1:])
		}
	}
}
