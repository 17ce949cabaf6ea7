package scan

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/keyrounds/keyrounds/secret"
)

// texts undoes what is base64 of text in a run, in groups of four letters from any place on: three groups of text in a row are no chance.
func (u *undoer) texts(text []byte, start, end int, l *lines, do func(secret.Encoding)) {
	const least = 3
	var done [4]int                                            // where what was undone ends, by where its groups begin
	for p := start + 4*(least-1); p+4 <= end; p += 4 * least { // of so many groups in a row one is looked at
		four := textGroups(eightOf(text[p:end]))
		for a := 0; four != 0; a, four = a+1, four>>1 {
			at := p + a
			if four&1 == 0 || at < done[at&3] {
				continue
			}
			from, to := at, at+4
			for from-4 >= start && isText(text[from-4:]) {
				from -= 4
			}
			for to+4 <= end && isText(text[to:]) {
				to += 4
			}
			if done[at&3] = to; to-from < 4*least {
				continue
			}
			begin, stop := max(start, from-4), min(end, to+4) // what is text in part as well
			l.base64(text, begin, stop)
			if begin > from-4 { // the run's first letters are no whole group
				l.base64(text, from, stop)
			}
			do(alphabet(text[begin:stop]))
		}
	}
}

// eightOf is the first eight bytes of text, and zeros for those that it lacks.
func eightOf(text []byte) uint64 {
	if len(text) >= 8 {
		return binary.LittleEndian.Uint64(text)
	}
	var eight [8]byte
	copy(eight[:], text)
	return binary.LittleEndian.Uint64(eight[:])
}

// base64 decodes a part of a run.
func (l *lines) base64(text []byte, from, to int) {
	l.begin(from)
	l.unit, l.end = [2]int{4, 3}, to
	l.text = slices.Grow(l.text, (to-from)/4*3+6)
	out, n, g := l.text[:cap(l.text)], 0, from
	for ; g+4 <= to; g, n = g+4, n+3 {
		v := uint32(sextet[text[g]])<<18 | uint32(sextet[text[g+1]])<<12 | uint32(sextet[text[g+2]])<<6 | uint32(sextet[text[g+3]])
		binary.BigEndian.PutUint32(out[n:], v<<8)
	}
	if rest := to - g; rest > 0 {
		var v uint32
		for i, c := range text[g:to] {
			v |= uint32(sextet[c]) << (18 - 6*i)
		}
		binary.BigEndian.PutUint32(out[n:], v<<8)
		n += rest - 1
	}
	l.text = out[:n]
}

// isText reports whether four letters are base64 of three bytes of text, also of UTF-16.
func isText(group []byte) bool {
	_ = group[3]
	pair := func(i int) uint8 { return ofPair[uint16(group[i])|uint16(group[i+1])<<8] }
	return pair(0)&1 != 0 && pair(1)&2 != 0 && pair(2)&4 != 0
}

// textGroups has a bit for each of the first four places in eight letters from which four are base64 of text.
func textGroups(eight uint64) (is uint8) {
	pair := func(i uint) uint8 { return ofPair[uint16(eight>>(8*i))] }
	p0, p1, p2, p3, p4, p5 := pair(0), pair(1), pair(2), pair(3), pair(4), pair(5)
	first := p0&1 | p1&1<<1 | p2&1<<2 | p3&1<<3
	second := p1>>1&1 | p2>>1&1<<1 | p3>>1&1<<2 | p4>>1&1<<3
	third := p2>>2&1 | p3>>2&1<<1 | p4>>2&1<<2 | p5>>2&1<<3
	return first & second & third
}

// ofText: ASCII that is printed, blanks, and the zeros of UTF-16.
var ofText = func() (is [256]bool) {
	for c := range 256 {
		is[c] = c >= ' ' && c < 0x7f || c == '\t' || c == '\n' || c == '\r' || c == 0
	}
	return is
}()

// ofPair tells of two letters, the first of which is the lower byte, whether the byte is text that they hold as the first and the second of
// a group (1), as the second and the third (2), and as the third and the fourth (4).
var ofPair = func() (of [1 << 16]uint8) {
	for _, a := range []byte(base64Letters + "-_") {
		for _, b := range []byte(base64Letters + "-_") {
			two := uint16(sextet[a])<<6 | uint16(sextet[b])
			for i, shift := range []uint{4, 2, 0} {
				if ofText[byte(two>>shift)] {
					of[uint16(a)|uint16(b)<<8] |= 1 << i
				}
			}
		}
	}
	return of
}()

func alphabet(letters []byte) secret.Encoding {
	if bytes.IndexByte(letters, '-') >= 0 || bytes.IndexByte(letters, '_') >= 0 {
		return secret.Base64URL
	}
	return secret.Base64
}

// sextet is what a letter of either alphabet stands for.
var sextet = func() (of [256]byte) {
	for i := range len(base64Letters) {
		of[base64Letters[i]] = byte(i)
	}
	of['-'], of['_'] = 62, 63
	return of
}()
