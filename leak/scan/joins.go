package scan

import (
	"bytes"
)

// joint is a family of what stands between two parts of one text, and says nothing itself. length is how many bytes it takes; 0: it is
// none.
func joint(length func(rest []byte) int) func([]byte) (int, []byte) {
	return func(rest []byte) (int, []byte) { return length(rest), nil }
}

// mayGoOn: on both sides of a joint, or of more of them, stands what a term may have.
func (u *undoer) mayGoOn(text []byte, from, to int) bool {
	for to < len(text) && !u.may[text[to]] {
		n := u.anyJoint(text[to:])
		if n == 0 {
			return false
		}
		to += n
	}
	return to < len(text) && u.may[text[from-1]]
}

// again reports whether a joint may be undone in a text of which others of its family were taken out: once those in front of what only
// looks like one, and, however often, those of strings in a string, where each quote stands twice.
func again(made *lines, text []byte, from, to int) bool {
	return !made.twice || made.changed(from, to) || text[from-1] == text[from] || to < len(text) && text[to] == text[from]
}

func (u *undoer) anyJoint(rest []byte) int {
	for _, f := range u.joints[rest[0]] {
		if n, _ := f.undo(rest); n > 0 {
			return n
		}
	}
	return 0
}

// joined puts together what stands around a joint, and returns where that ends. The first byte of joints of another family may be a
// character of a term as well: then it is one. short: only what stands near to the joint is wanted.
func (u *undoer) joined(by *family, text []byte, i int, short bool, l *lines) int {
	start := i
	for start > 0 && i-start < u.reach && u.may[text[start-1]] {
		start--
	}
	l.begin(start)
	l.kept, l.joint = true, by.trigger
	j, run := start, i
	for j < len(text) && j-run < u.reach && !(short && len(l.text) > i-start+u.reach) {
		if c := text[j]; j >= i && len(u.joints[c]) > 0 && (c == by.trigger || !u.may[c]) {
			if n := u.anyJoint(text[j:]); n > 0 {
				l.closed = l.closed || !u.mayBe(text[j:j+n])
				j += n
				run = j
				l.pieces = append(l.pieces, piece{len(l.text), j})
				continue
			}
		}
		if !u.may[text[j]] {
			break
		}
		l.text = append(l.text, text[j])
		j++
	}
	l.end = j
	return j
}

// jointsBy are the families of joints by their first byte.
func jointsBy() (by [256][]family) {
	for _, f := range families {
		if f.name == Split {
			by[f.trigger] = append(by[f.trigger], f)
		}
	}
	return by
}

// control: colours and other commands of a terminal (ECMA-48 §5.4), and titles and links (OSC).
func control(rest []byte) int {
	const longest = 512
	if len(rest) < 3 {
		return 0
	}
	switch rest[1] {
	case '[':
		for i := 2; i < min(len(rest), longest); i++ {
			if rest[i] >= 0x40 && rest[i] <= 0x7e {
				return i + 1
			}
		}
	case ']':
		for i := 2; i < min(len(rest), longest); i++ {
			if rest[i] == 7 {
				return i + 1
			}
			if rest[i] == 0x1b && i+1 < len(rest) && rest[i+1] == '\\' {
				return i + 2
			}
		}
	case '(', ')':
		return 3
	}
	return 0
}

// tag: of HTML, XML, and of the runs of a word processor's text.
func tag(rest []byte) int {
	const longest = 2048
	if len(rest) < 3 || rest[1] != '/' && rest[1] != '!' && rest[1] != '?' && !isAlnum(rest[1]) {
		return 0
	}
	rest = rest[1:min(len(rest), longest)]
	end := bytes.IndexByte(rest, '>')
	if end < 0 || bytes.IndexByte(rest[:end], '<') >= 0 {
		return 0
	}
	return end + 2
}

// continued: a line that goes on behind \, ^ or `, with the indentation of the next one.
func continued(rest []byte) int {
	n := 1
	if n < len(rest) && rest[n] == '\r' {
		n++
	}
	if n >= len(rest) || rest[n] != '\n' {
		return 0
	}
	for n++; n < len(rest) && n < mostIndent && (rest[n] == ' ' || rest[n] == '\t'); n++ {
	}
	return n
}

// quotes: the end of one string and the begin of the next, joined by an operator or by nothing.
func quotes(rest []byte) int {
	const longest = 256
	for i := 1; i < min(len(rest), longest); i++ {
		switch rest[i] {
		case '"', '\'', '`':
			return i + 1
		case ' ', '\t', '\r', '\n', '+', '.', '&', '|', '~', '_', '\\':
		default:
			return 0
		}
	}
	return 0
}

// invisible: soft hyphens, spaces without a width, and marks of the order of bytes.
func invisible(rest []byte) int {
	for _, c := range []string{"\u00ad", "\u200b", "\u200c", "\u200d", "\u2060", "\ufeff"} {
		if bytes.HasPrefix(rest, []byte(c)) {
			return len(c)
		}
	}
	return 0
}

// kerning: ) -12.5 ( between the parts of a text in a PDF (ISO 32000-1 §9.4.3).
func kerning(rest []byte) int {
	const longest = 24
	for i := 1; i < min(len(rest), longest); i++ {
		switch c := rest[i]; {
		case c == '(' && i > 1:
			return i + 1
		case c != ' ' && c != '-' && c != '.' && (c < '0' || c > '9'):
			return 0
		}
	}
	return 0
}
