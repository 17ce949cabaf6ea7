package scan

import (
	"bytes"
	"encoding/binary"

	"github.com/keyrounds/keyrounds/secret"
)

// Runs are stretches of letters of base64, which has hex's and base32's. Encoders break them into lines (RFC 2045 §6.8, RFC 7468 §2),
// wherever that is in a secret. Such lines are searched a second time, as one.

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

// runs undoes base64, hex and base32 in text, and puts lines of them together. packed gets what a container is encoded in.
func (u *undoer) runs(text []byte, of, l *lines, do func(secret.Encoding), packed func(*lines, secret.Encoding)) {
	const probe = 8
	stride := (u.shortestRun - probe + 1) &^ (probe - 1) // in so many letters are eight from a multiple of it on
	for p := 0; p+probe <= len(text); p += stride {
		if below(text[p:]) != 0 || !allLetters(text[p:]) {
			continue
		}
		end := p + letters(text[p:])
		start := p
		for start > 0 && isLetter[text[start-1]] {
			start--
		}
		if end-start < u.shortestRun {
			continue
		}
		p = end - end%stride
		if of.changed(start, end) {
			u.run(text, start, end, l, do, packed)
		}
		if end-start < shortestLine || end == len(text) || !breaks[text[end]] {
			continue
		}
		for _, b := range lineBreaks {
			if next := b.behind(text, end); next < len(text) && isLetter[text[next]] {
				l.join(text, start, end, b)
				goOn := l.end
				if last := l.pieces[len(l.pieces)-1].of; l.end-last >= shortestLine && l.end < len(text) && breaks[text[l.end]] {
					goOn = last // where lines may begin that are broken in another way
				}
				l.containers(packed)
				do("")
				p = max(p, goOn-goOn%stride)
			}
		}
	}
}

// breaks are what a line break may begin with.
var breaks = func() (is [256]bool) {
	for _, b := range lineBreaks {
		for _, c := range []byte(b.text[:1] + b.before) {
			is[c] = true
		}
	}
	return is
}()

// run undoes one of them.
func (u *undoer) run(text []byte, start, end int, l *lines, do func(secret.Encoding), packed func(*lines, secret.Encoding)) {
	for i := range numerals {
		u.numbers(text, start, end, &numerals[i], l, do, packed)
	}
	for a := 0; a < 4 && start+a+12 <= end; a++ {
		if a > 0 && encodedMagic[text[start+a]] == nil {
			continue
		}
		if f := containerIn(text[start+a:end], a == 0); f != nil {
			l.base64(text, start+a, end)
			packed(l, alphabet(text[start+a:end]))
		}
	}
	u.texts(text, start, end, l, do)
}

// openRun is where what may go on behind the end of a text begins: letters, in lines of them; len(text), where there are none, or so
// many that the rest is searched on its own. Of text[:known] it is known that it goes on.
func openRun(text []byte, known int) int {
	open := len(text)
	for line := 0; len(text)-open <= mostBlob; line++ {
		end := open
		for end > 0 && open-end < widestBreak && bytes.IndexByte([]byte(" \t\r\n\\"), text[end-1]) >= 0 {
			end--
		}
		start := end
		for start >= 8 && start > known && len(text)-start <= mostBlob && allLetters(text[start-8:]) {
			start -= 8
		}
		for start > 0 && isLetter[text[start-1]] && len(text)-start <= mostBlob && (start > known || end-start < shortestLine) {
			start--
		}
		if start == end || line > 0 && end-start < shortestLine {
			return open
		}
		if open = start; start <= known && end-start >= shortestLine {
			open = 0
		}
	}
	return len(text)
}

// join takes a line and those that follow it.
func (l *lines) join(text []byte, start, end int, b lineBreak) {
	l.begin(start)
	l.pieces, l.joined = l.pieces[:0], true
	for end > start {
		l.pieces = append(l.pieces, piece{len(l.text), start})
		l.text = append(l.text, text[start:end]...)
		l.end = end
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

// letters is how many of them text begins with.
func letters(text []byte) int {
	n := 0
	for n+8 <= len(text) && allLetters(text[n:]) {
		n += 8
	}
	for n < len(text) && isLetter[text[n]] {
		n++
	}
	return n
}

// allLetters reports whether the first eight bytes of text are letters.
func allLetters(text []byte) bool {
	w := binary.LittleEndian.Uint64(text)
	return letterBit[byte(w)]&letterBit[byte(w>>8)]&letterBit[byte(w>>16)]&letterBit[byte(w>>24)]&
		letterBit[byte(w>>32)]&letterBit[byte(w>>40)]&letterBit[byte(w>>48)]&letterBit[byte(w>>56)] != 0
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

// letterBit is 1 for letters.
var letterBit = func() (is [256]uint8) {
	for c := range 256 {
		if isLetter[c] {
			is[c] = 1
		}
	}
	return is
}()
