package scan

import (
	"bytes"
	"encoding/binary"
	"slices"

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

// containerIn says how to open what letters are base64 of; nil: it begins as no container does. first: they are all of a run.
func containerIn(run []byte, first bool) *format {
	const least = 24
	if len(run) < least {
		return nil
	}
	if first && isTar(run) {
		return &format{open: (*Scanner).tar}
	}
	magic := false
	for _, m := range encodedMagic[run[0]] {
		magic = magic || string(run[:len(m)]) == m
	}
	if !magic {
		return nil
	}
	var l lines
	l.base64(run, 0, min(len(run), headLength*4/3+4))
	return container(l.text[:min(len(l.text), headLength)], "", nil)
}

// isTar: its magic number is in bytes 257 to 261, of which the letters 340 to 351 have some more.
func isTar(run []byte) bool {
	if len(run) < 700 {
		return false
	}
	var l lines
	l.base64(run, 340, 352)
	return string(l.text[2:7]) == "ustar"
}

// encodedMagic are the first letters of containers in base64, by the first of them.
var encodedMagic = func() (by [256][]string) {
	for _, m := range []string{
		"UEsDB", "UEsFB", "H4sI", "QlpoO", "QlpoM", "KLUv", "/Td6", "_Td6", "N3q8", "ITxhcm", "7avu2", "MDcwNz", "JVBERi", "iVBORw",
		"IyB2M", "UEFDSw", "eJ", "eNo", "eNp", "eNq", "eNr", "eAE", "eAF", "eAG", "eAH", "eF4", "eF5", "eF6", "eF7", "XQAA",
	} {
		by[m[0]] = append(by[m[0]], m)
	}
	return by
}()

// containerInHex is containerIn of hex.
func containerInHex(run []byte) *format {
	if len(run) < 4 || hexDigit[run[0]] < 0 || hexDigit[run[1]] < 0 || !magicByte[byte(hexDigit[run[0]])<<4|byte(hexDigit[run[1]])] {
		return nil
	}
	n := 0
	for n < min(len(run), 2*headLength) && hexDigit[run[n]] >= 0 {
		n++
	}
	var l lines
	l.digits(run, 0, n, &numerals[0])
	return container(l.text, "", nil)
}

// magicByte are what containers begin with.
var magicByte = func() (is [256]bool) {
	for _, all := range encodedMagic {
		for _, m := range all {
			is[sextet[m[0]]<<2|sextet[m[1]]>>4] = true
		}
	}
	return is
}()

func alphabet(letters []byte) secret.Encoding {
	if bytes.IndexByte(letters, '-') >= 0 || bytes.IndexByte(letters, '_') >= 0 {
		return secret.Base64URL
	}
	return secret.Base64
}

// numeral is an alphabet of digits that are so many bits each.
type numeral struct {
	digits *[256]int8
	bits   int
	starts int // places where a byte may begin
	name   secret.Encoding
}

var numerals = [...]numeral{{&hexDigit, 4, 2, secret.Hex}, {&upper32, 5, 8, Base32}, {&lower32, 5, 8, Base32}}

// numbers undoes hex or base32 in a run: each stretch of its digits, from each place where a byte may begin.
func (u *undoer) numbers(text []byte, start, end int, d *numeral, l *lines, do func(secret.Encoding), packed func(*lines, secret.Encoding)) {
	least := (8*u.shortest + d.bits - 1) / d.bits
	for p := start; p+least <= end; p++ {
		// The last that a stretch from p on would have to have tells most.
		if q := p + least - 1; d.digits[text[q]] < 0 {
			p = q
			continue
		}
		if m := p + least/2; d.digits[text[m]] < 0 {
			p = m
			continue
		}
		if m := p + least*3/4; d.digits[text[m]] < 0 {
			p = m
			continue
		}
		if m := p + least/4; d.digits[text[m]] < 0 {
			p = m
			continue
		}
		from := p
		for from > start && d.digits[text[from-1]] >= 0 {
			from--
		}
		to := p
		for to < end && d.digits[text[to]] >= 0 {
			to++
		}
		p = to
		word := d.digits == &lower32 && !bytes.ContainsAny(text[from:to], "234567") // as nearly every long one is
		if to-from < least || word {
			continue
		}
		for a := range d.starts {
			if (to-from-a)*d.bits/8 < u.shortest {
				break
			}
			if d.promising(u, text[from+a:to]) {
				l.digits(text, from+a, to, d)
				do(d.name)
			}
			if d.name == secret.Hex {
				l.digits(text, from+a, min(to, from+a+2*headLength), d)
				if container(l.text, "", nil) != nil {
					l.digits(text, from+a, to, d)
					packed(l, d.name)
				}
			}
		}
	}
}

// promising asks of digits what undoer.promising asks of what they stand for, and looks at few of them.
func (d *numeral) promising(u *undoer, digits []byte) bool {
	count := len(digits) * d.bits / 8
	for p := u.shortest - 1; p < count; {
		n := 0
		for n < u.shortest && u.solid[d.byteAt(digits, p-n)] {
			n++
		}
		if n == u.shortest {
			return true
		}
		p += u.shortest - n
	}
	return false
}

// byteAt is the i-th byte that digits stand for.
func (d *numeral) byteAt(digits []byte, i int) byte {
	at, have := 8*i/d.bits, d.bits-8*i%d.bits
	v := uint(d.digits[digits[at]])
	for ; have < 8; have += d.bits {
		at++
		v = v<<d.bits | uint(d.digits[digits[at]])
	}
	return byte(v >> (have - 8))
}

// digits decodes a stretch of digits.
func (l *lines) digits(text []byte, from, to int, d *numeral) {
	l.begin(from)
	l.unit, l.end = [2]int{8, d.bits}, to
	if d.bits == 4 {
		for at := from; at+1 < to; at += 2 {
			l.text = append(l.text, byte(hexDigit[text[at]])<<4|byte(hexDigit[text[at+1]]))
		}
		return
	}
	var v uint
	have := 0
	for _, c := range text[from:max(from, to)] {
		v, have = v<<d.bits|uint(d.digits[c]), have+d.bits
		if have >= 8 {
			have -= 8
			l.text = append(l.text, byte(v>>have))
		}
	}
}

func digitsOf(all string) (of [256]int8) {
	for i := range of {
		of[i] = -1
	}
	for i := range len(all) {
		of[all[i]] = int8(i)
	}
	return of
}

var (
	upper32 = digitsOf("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
	lower32 = digitsOf("abcdefghijklmnopqrstuvwxyz234567")
	sextet  = func() (of [256]byte) {
		for i := range len(base64Letters) {
			of[base64Letters[i]] = byte(i)
		}
		of['-'], of['_'] = 62, 63
		return of
	}()
)

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

// containers calls packed for those that begin in a line behind the first one. Where so little tells one that chance would it is none.
func (l *lines) containers(packed func(*lines, secret.Encoding)) {
	const most = 16
	for i, left := 1, most; i < len(l.pieces) && left > 0; i++ {
		at, end := l.pieces[i].at, len(l.text)
		if i+1 < len(l.pieces) {
			end = l.pieces[i+1].at
		}
		c, by := containerAt(l.text, at, end)
		if c == nil {
			continue
		}
		c.pieces[0].of, c.end = l.pieces[i].of, l.end
		packed(c, by)
		left--
	}
}

// containerAt undoes the container that begins at the line from at to end, and goes on behind it; nil: none does.
func containerAt(text []byte, at, end int) (c *lines, by secret.Encoding) {
	sure := func(f *format) bool { return f != nil && !f.weak }
	for a := at; a < min(at+4, end); a++ {
		if sure(containerIn(text[a:end], false)) {
			c = &lines{}
			c.base64(text, a, len(text))
			return c, alphabet(text[a:])
		}
	}
	if sure(containerInHex(text[at:end])) {
		for end = at; end < len(text) && hexDigit[text[end]] >= 0; end++ {
		}
		c = &lines{}
		c.digits(text, at, end, &numerals[0])
	}
	return c, secret.Hex
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
