package config

import (
	"bytes"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/keyrounds/keyrounds/secret"
)

// Problem is one thing that is wrong, and where.
type Problem struct {
	File         string
	Line, Column int // from 1; 0: the file as a whole
	Message      string
	Hint         string // what to do; may be empty
	Text         string // the line, with what may be a secret masked
	caret        int    // where to point in Text
}

// InShort is p in a line, without what stands in the file, which may hold a secret by mistake.
func (p Problem) InShort() string {
	text := p.Message
	if p.Line > 0 {
		text = fmt.Sprintf("%s:%d: %s", filepath.Base(p.File), p.Line, text)
	}
	if p.Hint != "" {
		text += "; " + p.Hint
	}
	return text
}

func (p Problem) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s", p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", p.Line, p.Column)
	}
	fmt.Fprintf(&b, ": %s", p.Message)
	if p.Text != "" {
		fmt.Fprintf(&b, "\n%5d | %s\n      | %s^", p.Line, p.Text, strings.Repeat(" ", max(0, p.caret-1)))
	}
	if p.Hint != "" {
		fmt.Fprintf(&b, "\nhint: %s", p.Hint)
	}
	return b.String()
}

// Errors is everything that is wrong with a file, in the order of its lines.
type Errors struct{ Problems []Problem }

// MostShown is how many problems of a file people are shown. Where there are thousands they have few causes, and whoever
// fixes the first ones sees the next ones then.
const MostShown = 20

// Shown returns the problems that people are shown, and says how many more there are; "" where there are none.
func (e *Errors) Shown() (shown []Problem, more string) {
	n := min(len(e.Problems), MostShown)
	return e.Problems[:n], More(len(e.Problems))
}

// More says how many of n problems are not among the MostShown that people are shown; "" where all are.
func More(n int) string {
	switch left := n - MostShown; {
	case left <= 0:
		return ""
	case left == 1:
		return "and 1 more problem"
	default:
		digits := strconv.Itoa(left)
		for i := len(digits) - 3; i > 0; i -= 3 {
			digits = digits[:i] + "," + digits[i:]
		}
		return "and " + digits + " more problems"
	}
}

func (e *Errors) Error() string {
	shown, more := e.Shown()
	texts := make([]string, len(shown))
	for i, p := range shown {
		texts[i] = p.String()
	}
	if more != "" {
		texts = append(texts, more)
	}
	return strings.Join(texts, "\n")
}

// problem is a Problem before it has its line's text. at wins over path.
type problem struct {
	path    string
	at      place
	message string
	hint    string
	syntax  bool // it is not YAML
}

func (p problem) Error() string { return p.message }

// locate puts problems in order and adds what a person needs to find them. The text of a line that
// may hold a secret is masked.
func locate(name string, text []byte, ps []problem) []Problem {
	if len(ps) == 0 {
		return nil
	}
	lines := bytes.Split(text, []byte("\n"))
	var all []Problem
	for _, p := range ps {
		out := Problem{File: name, Line: p.at.line, Column: p.at.column, Message: p.message, Hint: p.hint}
		if p.at.line > 0 && p.at.line <= len(lines) {
			line := string(lines[p.at.line-1])
			before := []rune(line)[:min(max(p.at.column-1, 0), len([]rune(line)))]
			out.Text = show(line)
			out.caret = min(len([]rune(mask(string(before)))), len([]rune(out.Text))) + 1
		}
		all = append(all, out)
	}
	slices.SortStableFunc(all, func(a, b Problem) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	return slices.Compact(all)
}

const maxShown = 160

var (
	sensitive = regexp.MustCompile(`((?:secret|token|password|key|url)["']?\s*:\s+)("[^"]*"?|'[^']*'?|[^\s,}\]]+)`)
	// An address with a secret in its path, Slack's and the like, and where a part of it is long; or with a signature, as workflows have.
	webhook = regexp.MustCompile(
		`^https?://(?:hooks\.[^/]+/|[^/?#]+/(?:[^?#]*/)?[A-Za-z0-9_-]{16,}(?:[/?#]|$)|[^?#]+\?(?:[^#]*&)?(?:sig|code|key|token)=)`,
	)
	host     = regexp.MustCompile(`^https?://[^/]+/`)
	userinfo = regexp.MustCompile(`//[^/@\s]+@`)
)

// mask hides the values of keys that are meant for references: what stands there wrongly may be
// the secret itself.
func mask(line string) string {
	line = sensitive.ReplaceAllStringFunc(line, func(pair string) string {
		m := sensitive.FindStringSubmatch(pair)
		v := strings.Trim(m[2], `"'`)
		switch {
		case webhook.MatchString(v):
			return m[1] + host.FindString(v) + "…"
		case v == "" || secret.HasScheme(v) || strings.HasPrefix(v, "https://") || strings.HasPrefix(v, "http://"):
			return pair
		}
		return m[1] + "…"
	})
	return userinfo.ReplaceAllString(line, "//…@")
}

// show makes a line printable.
func show(line string) string {
	line = mask(strings.TrimRight(line, "\r "))
	line = strings.Map(func(r rune) rune {
		if r == '\t' {
			return ' '
		}
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r >= 0x2028 && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return '?'
		}
		return r
	}, line)
	if r := []rune(line); len(r) > maxShown {
		line = string(r[:maxShown]) + "…"
	}
	return line
}

// Unreadable is a secret of the file that could not be read. Err must not hold it.
type Unreadable struct {
	Path string // such as credentials.0.secret
	Err  error
}

// Locate makes *Errors of what could not be read of the file with this name and text, each with its place; nil of
// nothing.
func Locate(name string, text []byte, us []Unreadable) error {
	if len(us) == 0 {
		return nil
	}
	t, ps := readTree(text, nil)
	for _, u := range us {
		if t == nil {
			break
		}
		ps = append(
			ps,
			problem{
				path:    u.Path,
				at:      t.place(u.Path),
				message: t.context(u.Path) + u.Err.Error(),
				hint:    "the daemon would report it and go on with the others; --no-secrets leaves this out",
			},
		)
	}
	return &Errors{locate(name, text, ps)}
}
