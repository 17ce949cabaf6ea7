package scan

import (
	"bytes"
	"encoding/binary"
	"html"
	"math/bits"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/keyrounds/keyrounds/secret"
)

// family is a way to write single characters by several, or to put something between them.
type family struct {
	name    secret.Encoding
	trigger byte
	next    string // what the second byte may be, at most; "": what any term may have, but letters and digits; "=": the same again
	// undo reads what begins with the trigger: how many bytes it takes, and what they stand for. 0: it is no such thing.
	undo func(rest []byte) (n int, c []byte)
}

const (
	hexDigits = "0123456789abcdefABCDEF"
	alnums    = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	lineEnds  = "\r\n"
	ofStrings = " \t\r\n+.&|~_\\\"'`" // see quotes
)

// families are looked for at once; joints, which are taken out together, are those of Split.
var families = [...]family{
	{secret.JSON, '\\', "", backslash},
	{secret.JSON, '\\', "uUx01234567", backslash},
	{Escaped, '\\', hexDigits, ldap},
	{secret.URL, '%', hexDigits + "uU", percent},
	{HTML, '&', "#" + alnums, entity},
	{QuotedPrintable, '=', hexDigits + "\r\n", quotedPrintable},
	{Escaped, '^', "", beforeSign},
	{Escaped, '`', "", beforeSign},
	{Escaped, '\'', "=", doubled},
	{Escaped, '\'', "\\", shellQuote},
	{Escaped, '"', "=", doubled},
	{Escaped, '$', "=", doubled},
	{Escaped, '%', "=", doubled},
	{Escaped, '{', "=", doubled},
	{Escaped, '}', "=", doubled},
	{secret.Hex, '0', "xX", nil},
	{Split, 0x1b, "[]()", joint(control)},
	{Split, '<', "/!?" + alnums, joint(tag)},
	{Split, '\\', lineEnds, joint(continued)},
	{Split, '^', lineEnds, joint(continued)},
	{Split, '`', lineEnds, joint(continued)},
	{Split, '"', ofStrings, joint(quotes)},
	{Split, '\'', ofStrings, joint(quotes)},
	{Split, '`', ofStrings, joint(quotes)},
	{Split, 0xe2, "\x80\x81", joint(invisible)},
	{Split, 0xc2, "\xad", joint(invisible)},
	{Split, 0xef, "\xbb", joint(invisible)},
	{Split, ')', "-0123456789", joint(kerning)},
}

// pairs tell of the first and the second byte of a family's which families they may be of, a bit each.
type pairs struct {
	first, second [256]uint32
	any           [1 << 16]uint8 // by two bytes, the first of which is the lower one: not 0 if they are of any
}

func newPairs(may *[256]bool) *pairs {
	var p pairs
	for i, f := range families {
		bit := uint32(1) << i
		if f.next == "=" && !may[f.trigger] {
			continue
		}
		p.first[f.trigger] |= bit
		for c := range 256 {
			sign, again := f.next == "" && may[c] && !isAlnum(byte(c)), f.next == "=" && byte(c) == f.trigger
			if sign || again || strings.IndexByte(f.next, byte(c)) >= 0 {
				p.second[c] |= bit
			}
		}
	}
	for a := range 256 {
		for b := range 256 {
			if p.first[a]&p.second[b] != 0 {
				p.any[a|b<<8] = 1
			}
		}
	}
	return &p
}

// endings are, by family, where it may be undone again, and where what it was undone in ends.
type endings struct{ next, seen [len(families)]int }

// escapes undoes all families around each place from one on where one stands, as far to both sides as there may be a term.
func (u *undoer) escapes(text []byte, from int, of, l *lines, do func(secret.Encoding)) {
	var ends endings
	p, i := u.pairs, from
	for ; i+8 <= len(text); i += 7 { // seven pairs at once
		w := binary.LittleEndian.Uint64(text[i:])
		if p.any[uint16(w)]|p.any[uint16(w>>8)]|p.any[uint16(w>>16)]|p.any[uint16(w>>24)]|
			p.any[uint16(w>>32)]|p.any[uint16(w>>40)]|p.any[uint16(w>>48)] == 0 {
			continue
		}
		for k := range 7 {
			if p.any[uint16(w>>(8*k))] != 0 {
				u.escape(text, i+k, &ends, of, l, do)
			}
		}
	}
	for ; i+1 < len(text); i++ {
		u.escape(text, i, &ends, of, l, do)
	}
}

// escape undoes the families that stand at a place.
func (u *undoer) escape(text []byte, i int, ends *endings, made, l *lines, do func(secret.Encoding)) {
	for of := u.pairs.first[text[i]] & u.pairs.second[text[i+1]]; of != 0; of &= of - 1 {
		f := bits.TrailingZeros32(of)
		by := &families[f]
		if i < ends.next[f] || by.name == Split && (i == 0 || !u.may[text[i-1]]) {
			continue
		}
		switch by.name {
		case secret.Hex: // 0x41, 0x42
			ends.next[f] = l.apart(text, i)
		case Split:
			n, _ := by.undo(text[i:])
			if n == 0 || !u.mayGoOn(text, i, i+n) || made.undoneBefore(by, f, i, i+n) {
				continue
			}
			if by.trigger == made.joint && !again(made, text, i, i+n) {
				continue
			}
			end := u.joined(by, text, i, i < ends.seen[f], l)
			l.twice, l.order = by.trigger == made.joint, by.order(f, l.closed)
			ends.seen[f] = max(ends.seen[f], end)
			if !u.may[by.trigger] || by.next == lineEnds { // else the next one may be the joint, and this a character
				ends.next[f] = end
			}
		default:
			if n, c := by.undo(text[i:]); n == 0 || !u.mayBe(c) || made.undoneBefore(by, f, i, i+n) {
				continue
			}
			ends.next[f] = u.escaped(by, text, i, ends.next[f], l)
			l.order = by.order(f, l.closed)
		}
		if len(l.text) >= u.shortest {
			do(by.name)
		}
	}
}

// order is that in which families are undone that do not depend on each other: those in which nothing is undone any more come last.
func (f *family) order(at int, closed bool) int {
	switch {
	case closed:
		return 0
	case f.name == Escaped:
		return at + len(families)
	}
	return at
}

// undoneBefore reports whether what stands at a place was there before another family was undone, so that one of both orders is enough.
func (l *lines) undoneBefore(by *family, at, from, to int) bool {
	return l.kept && by.order(at, false) < l.order && !l.changed(from, to)
}

// escaped undoes a family around a place where it stands, and returns where that ends. What was undone before it ends at last.
func (u *undoer) escaped(f *family, text []byte, i, last int, l *lines) int {
	start := i
	for start > last && i-start < u.reach && u.may[text[start-1]] {
		start--
	}
	l.begin(start)
	l.kept = true
	j, run := start, i
	for j < len(text) && j-run < u.reach {
		if text[j] == f.trigger {
			if n, c := f.undo(text[j:]); n > 0 {
				if !u.mayBe(c) {
					if j >= i {
						break
					}
					j += n
					l.begin(j) // what is in front of it is no part of what is at i
					l.pieces, l.kept = append(l.pieces, piece{0, j}), true
					continue
				}
				l.closed = l.closed || !u.mayBe(text[j:j+n])
				l.pieces = append(l.pieces, piece{len(l.text), j}, piece{len(l.text) + len(c), j + n})
				l.text = append(l.text, c...)
				j += n
				run = j
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
	return max(run, i+1)
}

// mayBe reports whether a term, or an encoding of one, may have all of c.
func (u *undoer) mayBe(c []byte) bool {
	for _, b := range c {
		if !u.may[b] {
			return false
		}
	}
	return true
}

// syntax is what encodings in each other consist of, beside letters and digits.
const syntax = `+/-_=%\&#;:`

// mayHave are the bytes that a term, or an encoding of one, may have.
func mayHave(terms []Term) (may [256]bool) {
	for c := range 128 {
		may[c] = isLetter[c] || bytes.IndexByte([]byte(syntax), byte(c)) >= 0
	}
	for _, t := range terms {
		for i := range len(t.Value) {
			may[t.Value[i]] = true
		}
		for _, r := range t.Value { // in UTF-16
			if r < 0x100 {
				may[r] = true
			}
		}
	}
	return may
}

// backslash: RFC 8259 §7, and what C, Java, JavaScript, Python, Go, Rust and shells add.
func backslash(rest []byte) (int, []byte) {
	if len(rest) < 2 {
		return 0, nil
	}
	switch c := rest[1]; c {
	case 'u':
		if len(rest) > 3 && rest[2] == '{' {
			if end := bytes.IndexByte(rest[:min(len(rest), 12)], '}'); end > 3 {
				return rune16(rest[3:end], end+1)
			}
			return 0, nil
		}
		n, r := hexRune(rest, 2, 4)
		if n > 0 && utf16.IsSurrogate(r) && len(rest) >= 12 && rest[6] == '\\' && rest[7] == 'u' {
			if _, low := hexRune(rest[6:], 2, 4); utf16.DecodeRune(r, low) != utf8.RuneError {
				return 12, utf8.AppendRune(nil, utf16.DecodeRune(r, low))
			}
		}
		return n, asUTF8(n, r)
	case 'U':
		n, r := hexRune(rest, 2, 8)
		return n, asUTF8(n, r)
	case 'x':
		if len(rest) > 3 && rest[2] == '{' {
			if end := bytes.IndexByte(rest[:min(len(rest), 12)], '}'); end > 3 {
				return rune16(rest[3:end], end+1)
			}
		}
		n, r := hexRune(rest, 2, 2)
		return n, asByte(n, r)
	case '0', '1', '2', '3', '4', '5', '6', '7':
		n, v := 1, 0
		for n < len(rest) && n < 4 && rest[n] >= '0' && rest[n] <= '7' {
			v, n = v*8+int(rest[n]-'0'), n+1
		}
		return n, asByte(n, rune(v&0xff))
	case 'n', 'r', 't', 'b', 'f', 'v', 'a', 'e':
		return 2, []byte{'\n'} // whichever: no term has it
	default:
		return 2, rest[1:2]
	}
}

func rune16(digits []byte, n int) (int, []byte) {
	v, err := strconv.ParseUint(string(digits), 16, 32)
	if err != nil {
		return 0, nil
	}
	return n, asUTF8(n, rune(v))
}

// hexRune reads so many digits of a number from a place on; n is 0 if they are none.
func hexRune(rest []byte, from, digits int) (n int, r rune) {
	if len(rest) < from+digits {
		return 0, 0
	}
	for _, c := range rest[from : from+digits] {
		d := hexDigit[c]
		if d < 0 {
			return 0, 0
		}
		r = r<<4 | rune(d)
	}
	return from + digits, r
}

func asUTF8(n int, r rune) []byte {
	if n == 0 {
		return nil
	}
	if r < utf8.RuneSelf {
		return asByte(n, r)
	}
	return utf8.AppendRune(nil, r)
}

func asByte(n int, r rune) []byte {
	if n == 0 {
		return nil
	}
	return oneByte[byte(r)][:]
}

// oneByte has each byte, so that none is allocated. Nobody changes them.
var oneByte = func() (all [256][1]byte) {
	for i := range all {
		all[i][0] = byte(i)
	}
	return all
}()

// hexDigit is what a digit stands for; -1: it is none.
var hexDigit = func() (of [256]int8) {
	for i := range of {
		of[i] = -1
	}
	for i, c := range []byte("0123456789abcdef") {
		of[c] = int8(i)
	}
	for i, c := range []byte("ABCDEF") {
		of[c] = int8(10 + i)
	}
	return of
}()

// ldap: RFC 4514 §2.4, RFC 4515 §3: two digits behind a backslash.
func ldap(rest []byte) (int, []byte) {
	n, r := hexRune(rest, 1, 2)
	return n, asByte(n, r)
}

// percent: RFC 3986 §2.1, and %uXXXX of JavaScript's escape.
func percent(rest []byte) (int, []byte) {
	if len(rest) > 1 && (rest[1] == 'u' || rest[1] == 'U') {
		n, r := hexRune(rest, 2, 4)
		return n, asUTF8(n, r)
	}
	n, r := hexRune(rest, 1, 2)
	return n, asByte(n, r)
}

// entity: HTML's names and numbers, which have XML's.
func entity(rest []byte) (int, []byte) {
	const longest = 33 // &CounterClockwiseContourIntegral;
	if len(rest) < 4 || rest[1] != '#' && !isLetter[rest[1]] {
		return 0, nil
	}
	end := bytes.IndexByte(rest[:min(len(rest), longest)], ';')
	if end < 3 {
		return 0, nil
	}
	text := string(rest[:end+1])
	if c := html.UnescapeString(text); c != text && len(c) <= 8 {
		return end + 1, []byte(c)
	}
	return 0, nil
}

// quotedPrintable: RFC 2045 §6.7, with soft line breaks.
func quotedPrintable(rest []byte) (int, []byte) {
	if bytes.HasPrefix(rest, []byte("=\r\n")) {
		return 3, nil
	}
	if bytes.HasPrefix(rest, []byte("=\n")) {
		return 2, nil
	}
	n, r := hexRune(rest, 1, 2)
	return n, asByte(n, r)
}

// beforeSign: cmd's ^ and PowerShell's ` before a sign.
func beforeSign(rest []byte) (int, []byte) {
	if len(rest) < 2 || rest[1] <= ' ' || rest[1] > '~' || isAlnum(rest[1]) {
		return 0, nil
	}
	return 2, rest[1:2]
}

// doubled: SQL, YAML, CSV, make, compose files, printf and templates.
func doubled(rest []byte) (int, []byte) {
	if len(rest) < 2 || rest[1] != rest[0] {
		return 0, nil
	}
	return 2, rest[:1]
}

// shellQuote: a quote in a string of a shell, which ends there and begins again.
func shellQuote(rest []byte) (int, []byte) {
	if !bytes.HasPrefix(rest, []byte(`'\''`)) {
		return 0, nil
	}
	return 4, rest[:1]
}

func isAlnum(c byte) bool { return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' }
