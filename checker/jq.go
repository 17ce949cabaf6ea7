package checker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/keyrounds/keyrounds/bounded"
)

// JQ is a compiled jq expression. The zero JQ is none. It is safe for concurrent use. It runs for at most a second and within 256 MiB
// (package bounded), and its first output counts; an error, or no output, counts as nothing found.
type JQ struct{ program bounded.JQ }

// ParseJQ compiles text. What it compiles cannot read the environment, files or further input. An error of its
// grammar, or of a function or variable that there is not, is gojq's.
func ParseJQ(text string) (JQ, error) {
	program, err := bounded.Compile(text)
	return JQ{program}, err
}

// UnmarshalText is ParseJQ.
func (q *JQ) UnmarshalText(text []byte) (err error) {
	*q, err = ParseJQ(string(text))
	return err
}

// String returns the expression as written, "" for the zero JQ.
func (q JQ) String() string { return q.program.String() }

// IsZero reports whether there is no expression.
func (q JQ) IsZero() bool { return q.program.IsZero() }

// first returns the first output for a JSON text. is is false where there is none, or jq failed. The error is that of a bound, or of a
// process: nothing is known then.
func (q JQ) first(body []byte) (v any, is bool, err error) {
	var in any
	if json.Unmarshal(body, &in) != nil {
		return nil, false, nil
	}
	v, is, err = q.program.First(context.Background(), in)
	if errors.Is(err, bounded.ErrFailed) || errors.Is(err, bounded.ErrHalted) {
		return nil, false, nil
	}
	return v, is, err
}

// holds reports whether the first output is neither false nor null.
func (q JQ) holds(body []byte) (bool, error) {
	v, is, err := q.first(body)
	return is && v != nil && v != false, err
}

// ResponseMembers lists the keys of Provider.Response: the members of RFC 6749 §5.1 and §5.2 that an answer which is
// not quite OAuth can have elsewhere; and expires_at, when an API key ends: a number of seconds since 1970, a date or a time.
func ResponseMembers() []string {
	return []string{"access_token", "expires_in", "scope", "error", "error_description", memberExpires}
}

// memberExpires is when the key itself ends.
const memberExpires = "expires_at"

// HeaderMembers lists the keys of Provider.Headers.
func HeaderMembers() []string { return []string{"scope", memberExpires} }

// reshape puts what the expressions find where RFC 6749 has it.
func (a *answer) reshape(where map[string]JQ, body []byte) {
	for name, q := range where {
		v, is, err := q.first(body)
		if err != nil {
			a.unread = fmt.Errorf("response.%s: %w", name, err)
		}
		if !is || v == nil {
			continue
		}
		switch v.(type) {
		case int, float64:
			b, _ := json.Marshal(v)
			v = json.Number(b)
		}
		a.members[name] = v
	}
}
