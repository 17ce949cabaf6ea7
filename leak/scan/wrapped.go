package scan

import (
	"bytes"
	"encoding/binary"
	"sort"
)

// Encoders break base64 and hex into lines (RFC 2045 §6.8, RFC 7468 §2), wherever that is in a secret. Such lines
// are searched a second time, as one.

// lineBreak is what stands between two of them.
type lineBreak struct {
	text   string
	before string // it may have this in front
}

// In a file, in a diff of one, in a JSON string, in an environment variable that has them as blanks.
var lineBreaks = []lineBreak{{"\n", "\r"}, {"\n+", "\r"}, {`\n`, `\r`}, {" ", ""}}

const (
	shortestLine = 32 // but for the last one; nearly all words are shorter
	mostIndent   = 64
	widestBreak  = 4 + mostIndent
)

// widened is how many bytes a form takes at most, broken.
func widened(form int) int { return form + (form/shortestLine+1)*widestBreak }

// wrapped calls found for what is broken into lines in text and ends after from and not after until.
func (s *Scanner) wrapped(text []byte, from, until int, l *lines, found func(match)) {
	l.each(text, s.matcher.longest+around, func() {
		s.matches(l.text, 0, len(l.text), func(m match) {
			at, to := l.place(m.from), l.place(m.to-1)+1
			if to > int64(from) && to <= int64(until) && l.broken(m.from-around, m.to+around) {
				found(match{at, to, 1 + bytes.Count(text[:at], []byte{'\n'}), m.meaning})
			}
		})
	})
}

// lines that belong together, as one.
type lines struct {
	text   []byte
	pieces []piece
	end    int // where they end in what they were taken from
}

// piece says where a line is, in lines.text and in what it was taken from.
type piece struct{ at, of int }

// each calls do for all lines in text that belong together, with as much of the first of them as most.
func (l *lines) each(text []byte, most int, do func()) {
	const stride = 16 // of 31 letters sixteen begin at a multiple of it
	for p := 0; p+stride <= len(text); p += stride {
		if below(text[p:])|below(text[p+8:]) != 0 || letters(text[p:p+stride]) < stride {
			continue
		}
		end := p + letters(text[p:])
		start := max(p, end-most)
		for start > 0 && end-start < most && isLetter[text[start-1]] {
			start--
		}
		p = end &^ (stride - 1)
		if end-start < shortestLine {
			continue
		}
		for _, b := range lineBreaks {
			if next := b.behind(text, end); next < len(text) && isLetter[text[next]] {
				l.join(text, start, end, b)
				p = max(p, l.end&^(stride-1))
				do()
			}
		}
	}
}

// join takes a line and those that follow it.
func (l *lines) join(text []byte, start, end int, b lineBreak) {
	l.text, l.pieces = l.text[:0], l.pieces[:0]
	for end > start {
		l.add(text, start, end)
		if end-start < shortestLine {
			break
		}
		start = b.behind(text, end)
		end = start + letters(text[start:])
	}
}

// behind is where the line behind a break begins; the end of the text, where there is no break.
func (b lineBreak) behind(text []byte, at int) int {
	rest, is := bytes.CutPrefix(bytes.TrimPrefix(text[at:], []byte(b.before)), []byte(b.text))
	if !is {
		return len(text)
	}
	indented := len(rest)
	for len(rest) > 0 && indented-len(rest) < mostIndent && (rest[0] == ' ' || rest[0] == '\t') {
		rest = rest[1:]
	}
	return len(text) - len(rest)
}

func (l *lines) add(text []byte, start, end int) {
	l.pieces = append(l.pieces, piece{len(l.text), start})
	l.text = append(l.text, text[start:end]...)
	l.end = end
}

// place is where a byte of the text was taken from.
func (l *lines) place(at int64) int64 {
	i := sort.Search(len(l.pieces), func(i int) bool { return l.pieces[i].at > int(at) }) - 1
	return at - int64(l.pieces[i].at) + int64(l.pieces[i].of)
}

// broken reports whether there is a break in a part of the text.
func (l *lines) broken(from, to int64) bool {
	from, to = max(from, 0), min(to, int64(len(l.text)))
	return l.place(to-1)-l.place(from) != to-1-from
}

// letters is how many of them text begins with.
func letters(text []byte) int {
	for i, c := range text {
		if !isLetter[c] {
			return i
		}
	}
	return len(text)
}

// below is not 0 if one of the first eight bytes of text is below every letter, as spaces and most signs are.
func below(text []byte) uint64 {
	const each, lowest = 0x0101010101010101, '+'
	eight := binary.LittleEndian.Uint64(text)
	return (eight - each*lowest) &^ eight & (each * 0x80)
}

// isLetter: of base64, either alphabet, which has hex's.
var isLetter = func() (is [256]bool) {
	for _, c := range []byte(base64Letters + "-_") {
		is[c] = true
	}
	return is
}()
