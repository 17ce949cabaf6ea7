package checker

import (
	"context"
	"encoding/json"

	"github.com/keyrounds/keyrounds/bounded"
)

// JQ is a compiled jq expression. The zero JQ is none. It is safe for concurrent use. It runs within the bounds of package bounded,
// and its first output counts; an error, or no output, counts as nothing found.
type JQ struct {
	program *bounded.Program
	text    string
}

// ParseJQ compiles text. What it compiles cannot read the environment, files or further input. An error of its
// grammar, or of a function or variable that there is not, is gojq's.
func ParseJQ(text string) (JQ, error) {
	program, err := bounded.Compile(text)
	return JQ{program, text}, err
}

// String returns the expression as written, "" for the zero JQ.
func (q JQ) String() string { return q.text }

// first returns the first output for a JSON text. ok is false where there is none, or an error.
func (q JQ) first(body []byte) (v any, ok bool) {
	var in any
	if json.Unmarshal(body, &in) != nil {
		return nil, false
	}
	out, _ := q.program.Run(context.Background(), 1, in)
	if len(out) == 0 {
		return nil, false
	}
	return out[0], true
}

// holds reports whether the first output is neither false nor null.
func (q JQ) holds(body []byte) bool {
	v, ok := q.first(body)
	return ok && v != nil && v != false
}

// ResponseMembers lists the keys of Provider.Response: the members of RFC 6749 §5.1 and §5.2 that an answer which is
// not quite OAuth can have elsewhere.
func ResponseMembers() []string {
	return []string{"access_token", "expires_in", "scope", "error", "error_description"}
}

// reshape puts what the expressions find where RFC 6749 has it.
func (a *answer) reshape(where map[string]JQ, body []byte) {
	for name, q := range where {
		if v, ok := q.first(body); ok && v != nil {
			switch v.(type) {
			case int, float64:
				b, _ := json.Marshal(v)
				v = json.Number(b)
			}
			a.members[name] = v
		}
	}
}
