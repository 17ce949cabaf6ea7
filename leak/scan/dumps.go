package scan

import (
	"bytes"
	"encoding/binary"

	"github.com/keyrounds/keyrounds/secret"
)

// dumps undoes hex from a place on whose bytes stand apart, as in 4a:6f:65, 0x4a, 0x6f, or 4a6f 65, and dumps with offsets in front.
func (u *undoer) dumps(text []byte, from int, of, l *lines, do func(secret.Encoding)) {
	const probe = 8
	stride := probe
	if u.shortest >= 2*probe { // a line of a dump has 24 bytes at least, with its offset
		stride = 2 * probe
	}
	for p := from; p+probe <= len(text); p += stride {
		if beyond(text[p:]) != 0 || !maybeDump(text[p:p+probe]) || stride > probe && !digitsBeside(text, p, p+probe) {
			continue
		}
		start := p
		for start > 0 && p-start < 3*probe && text[start-1] != '\n' && dumpClass[text[start-1]] != 0 {
			start--
		}
		for dumpClass[text[start]] == apartClass {
			start++
		}
		end, is, by := start, false, HexDump
		try := func(from int) {
			if beginsDump(text[from:]) {
				end = u.dump(text, from, l)
				is = len(l.text) >= u.shortest
			}
		}
		try(start)
		// What stands in front may have digits of hex as well.
		for again, at := 0, start; again < 2 && at < p+probe && !is; again++ {
			for at < p+probe && text[at] != ' ' && text[at] != '\t' {
				at++
			}
			if at < p+probe {
				try(at)
				at += blanks(text[at:])
			}
		}
		if !is {
			end, by = u.stretch(text, start), secret.Hex
			if end < 0 {
				end = l.apart(text, start)
				is = len(l.text) >= u.shortest
			}
		}
		if is && of.changed(start-3*probe, end) {
			do(by)
		}
		p = max(p, end-end%stride)
	}
}

// digitsBeside reports whether the eight bytes on one of both sides are digits, or what is between them, as well.
func digitsBeside(text []byte, from, to int) bool {
	all := func(eight []byte) bool {
		for _, c := range eight {
			if dumpClass[c] == 0 {
				return false
			}
		}
		return true
	}
	return to+8 <= len(text) && all(text[to:to+8]) || from >= 8 && all(text[from-8:from])
}

// stretch is where digits and what is between them end, or the first blank, behind which a dump may begin, if they are too few to be a
// term; -1: they may be one.
func (u *undoer) stretch(text []byte, from int) int {
	blank := len(text)
	for at, left := from, 2*u.shortest; at < len(text); at++ {
		switch dumpClass[text[at]] {
		case digitClass:
			if left--; left == 0 {
				return -1
			}
		case 0:
			if text[at]|0x20 == 'x' {
				return -1
			}
			return min(at, blank)
		}
		if text[at] <= ' ' {
			blank = min(at, blank)
		}
	}
	return blank
}

// beginsDump reports whether text begins with an offset and a blank.
func beginsDump(text []byte) bool {
	at := blanks(text)
	digits := 0
	for at < len(text) && hexDigit[text[at]] >= 0 {
		at, digits = at+1, digits+1
	}
	if at < len(text) && text[at] == ':' {
		at++
	}
	return digits >= 4 && digits <= 16 && at < len(text) && (text[at] == ' ' || text[at] == '\t')
}

// beyond is not 0 if one of the first eight bytes of text is g or behind it, as most letters are.
func beyond(text []byte) uint64 {
	const each = 0x0101010101010101
	eight := binary.LittleEndian.Uint64(text)
	return (eight + each*(0x80-'g') | eight) & (each * 0x80)
}

const (
	digitClass = 1 + iota
	apartClass
)

// dumpClass: digits of hex, and what stands between numbers of them.
var dumpClass = func() (of [256]byte) {
	for c := range 256 {
		if hexDigit[c] >= 0 {
			of[c] = digitClass
		}
	}
	for _, c := range []byte(" \t\r\n:,-") {
		of[c] = apartClass
	}
	return of
}()

// maybeDump: four digits at least in eight bytes, something between them, and nothing else.
func maybeDump(eight []byte) bool {
	digits := 0
	for _, c := range eight {
		switch dumpClass[c] {
		case 0:
			return false
		case digitClass:
			digits++
		}
	}
	return digits >= 2 && digits < len(eight)
}

// apart decodes numbers of an even count of digits that stand apart, each perhaps with 0x in front, and returns where that ends.
func (l *lines) apart(text []byte, from int) int {
	l.begin(from)
	l.unit = [2]int{2, 1}
	at := from
	for at < len(text) {
		if text[at] == '0' && at+1 < len(text) && text[at+1]|0x20 == 'x' {
			at += 2
		}
		n := 0
		for at+n < len(text) && hexDigit[text[at+n]] >= 0 {
			n++
		}
		if n == 0 || n%2 != 0 || n > 16 {
			if len(l.text) >= MinLength || n == 0 {
				break
			}
			l.text, l.pieces = l.text[:0], l.pieces[:0]
		} else {
			l.number(text, at, n)
		}
		at += n
		gap := 0
		for at+gap < len(text) && gap < mostIndent && dumpClass[text[at+gap]] == apartClass {
			gap++
		}
		if gap == 0 {
			if len(l.pieces) == 0 { // the number's last digit may be the 0 of 0x
				at -= n
			}
			break
		}
		at += gap
	}
	if len(l.pieces) == 0 {
		l.begin(from)
	}
	l.end = at
	return at
}

func (l *lines) number(text []byte, at, digits int) {
	l.pieces = append(l.pieces, piece{len(l.text), at})
	for i := at; i < at+digits; i += 2 {
		l.text = append(l.text, byte(hexDigit[text[i]])<<4|byte(hexDigit[text[i+1]]))
	}
}

// dump decodes lines of an offset, numbers, and perhaps the same as text, and returns where they end.
func (u *undoer) dump(text []byte, from int, l *lines) int {
	const mostDump = 1 << 20
	l.begin(from)
	l.unit = [2]int{2, 1}
	at := from + blanks(text[from:])
	for at < len(text) && at-from < mostDump {
		next := bytes.IndexByte(text[at:], '\n')
		line := text[at:]
		if next >= 0 {
			line = text[at : at+next]
		}
		before := len(l.text)
		if !l.dumpLine(text, at, line) {
			l.text = l.text[:before]
			break
		}
		at += len(line)
		l.end = at
		if next < 0 {
			break
		}
		at++
	}
	return at
}

func blanks(text []byte) (n int) {
	for n < len(text) && (text[n] == ' ' || text[n] == '\t' || text[n] == '\r' || text[n] == '\n') {
		n++
	}
	return n
}

// dumpLine decodes one line that is at a place of text; false: it is none.
func (l *lines) dumpLine(text []byte, at int, line []byte) bool {
	i := 0
	for i < len(line) && (line[i] == ' ' || line[i] == '\t') {
		i++
	}
	digits := 0
	for i < len(line) && hexDigit[line[i]] >= 0 {
		i, digits = i+1, digits+1
	}
	if digits < 4 || digits > 16 || i >= len(line) {
		return false
	}
	if line[i] == ':' {
		i++
	}
	count := 0
	for count < 64 {
		gap := 0
		for i+gap < len(line) && (line[i+gap] == ' ' || line[i+gap] == '\t') {
			gap++
		}
		if gap == 0 || count > 0 && gap > 1 && !(count == 8 && gap == 2) { // hexdump -C has a wider gap in the middle
			break
		}
		n := 0
		for i+gap+n < len(line) && hexDigit[line[i+gap+n]] >= 0 {
			n++
		}
		if n == 0 || n%2 != 0 || n > 16 || i+gap+n < len(line) && line[i+gap+n] > ' ' {
			break
		}
		i += gap
		l.number(text, at+i, n)
		i, count = i+n, count+n/2
	}
	return count > 0
}
