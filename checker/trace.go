package checker

import (
	"fmt"
	"regexp"
	"strings"
	"sync"
	"unicode"

	"github.com/keyrounds/keyrounds/secret"
)

// Lines of Result.Trace and Result.Choices are ours but for what is put into them. Only that is scrubbed: a secret may be a
// word of ours, such as "secret".

// ours is text that did not come from outside, though it is no constant.
type ours string

// marks are around what may hold anything, until the line is cleaned.
const begin, end = "\x01", "\x02"

var marked = regexp.MustCompile(begin + "[^" + end + "]*" + end)

// trace notes what happens. Strings and errors may hold anything; values of other types are ours.
func (r *Result) trace(format string, args ...any) {
	if r.Trace == nil { // of a Quiet target
		return
	}
	r.Trace = append(r.Trace, marking(format, args...))
}

// marking is a line with marks around what may hold anything.
func marking(format string, args ...any) string {
	for i, arg := range args {
		switch v := arg.(type) {
		case string:
			args[i] = begin + strings.Map(printing, v) + end
		case error:
			args[i] = begin + strings.Map(printing, v.Error()) + end
		}
	}
	return fmt.Sprintf(format, args...)
}

func printing(r rune) rune {
	if unicode.IsControl(r) {
		return -1
	}
	return r
}

// cleanTrace takes s out of what came from outside. It may be called again.
func (r *Result) cleanTrace(s scrubbing) {
	for _, list := range [][]string{r.Trace, r.Choices} {
		if len(list) > 0 {
			cleanMarked(list, s())
		}
	}
}

// scrubbing makes the scrubber of a result's secrets when the first text needs it: of most checks nothing that came from
// outside is kept but their token's life, and to spell secrets in every way is dear.
type scrubbing func() secret.Scrubber

func scrubbingOf(secrets func() []secret.Value) scrubbing {
	return sync.OnceValue(func() secret.Scrubber { return secret.NewScrubber(secrets()...) })
}

// noSecret is for texts beside which no secret is known.
func noSecret() secret.Scrubber { return secret.Scrubber{} }

// cleaned is text scrubbed and cut. An empty one needs no scrubber.
func (s scrubbing) cleaned(text string, limit int) string {
	if text == "" {
		return ""
	}
	return s().Clean(text, limit)
}

func cleanMarked(list []string, s secret.Scrubber) {
	for i, line := range list {
		list[i] = marked.ReplaceAllStringFunc(line, func(part string) string {
			return s.Clean(part[len(begin):len(part)-len(end)], maxDescription)
		})
	}
}
