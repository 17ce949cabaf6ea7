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
func (u *undoer) runs(text []byte, l *lines, do func(secret.Encoding), packed func(secret.Encoding)) {
	const probe = 8
	stride := (u.shortestRun - probe + 1) &^ (probe - 1) // in so many letters are eight from a multiple of it on
	for p := 0; p+probe <= len(text); p += stride {
		if below(text[p:]) != 0 || letters(text[p:p+probe]) < probe {
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
		u.run(text, start, end, l, do, packed)
		if end-start < shortestLine {
			continue
		}
		for _, b := range lineBreaks {
			if next := b.behind(text, end); next < len(text) && isLetter[text[next]] {
				l.join(text, start, end, b)
				p = max(p, l.end-l.end%stride)
				do("")
			}
		}
	}
}

// run undoes one of them.
func (u *undoer) run(text []byte, start, end int, l *lines, do func(secret.Encoding), packed func(secret.Encoding)) {
	u.numbers(text, start, end, l, do, packed)
	for a := 0; a < 4 && start+a+12 <= end; a++ {
		if isContainer(text[start+a:end], a == 0) {
			l.base64(text, start+a, end)
			packed(alphabet(text[start+a : end]))
		}
		u.texts(text, start, start+a, end, l, do)
	}
}

// texts undoes what is base64 of text, in groups of four letters from at on: three groups of text in a row are no chance.
func (u *undoer) texts(text []byte, start, at, end int, l *lines, do func(secret.Encoding)) {
	const least = 3
	groups := (end - at) / 4
	good := func(i int) bool { return isText(text[at+4*i:]) }
	for i := least - 1; i < groups; i += least { // of so many in a row there is one of these
		if !good(i) {
			continue
		}
		from, to := i, i+1
		for from > 0 && good(from-1) {
			from--
		}
		for to < groups && good(to) {
			to++
		}
		if i = to; to-from < least {
			continue
		}
		begin, stop := max(start, at+4*from-4), min(end, at+4*to+4) // what is text in part as well
		l.base64(text, begin, stop)
		if begin > at+4*from-4 { // the run's first letters are no whole group
			l.base64(text, at+4*from, stop)
		}
		do(alphabet(text[begin:stop]))
	}
}

// base64 decodes a part of a run.
func (l *lines) base64(text []byte, from, to int) {
	l.begin(from)
	l.unit, l.end = [2]int{4, 3}, to
	for g := from; g < to; g += 4 {
		var v uint32
		n := min(4, to-g)
		for i := range 4 {
			v <<= 6
			if i < n {
				v |= uint32(sextet[text[g+i]])
			}
		}
		l.text = append(l.text, []byte{byte(v >> 16), byte(v >> 8), byte(v)}[:max(0, n-1)]...)
	}
}

// isText reports whether four letters are base64 of three bytes of text, also of UTF-16.
func isText(group []byte) bool {
	_ = group[3]
	if ofGroup[group[0]]&1 == 0 || ofGroup[group[1]]&2 == 0 || ofGroup[group[2]]&4 == 0 {
		return false
	}
	v := uint32(sextet[group[0]])<<18 | uint32(sextet[group[1]])<<12 | uint32(sextet[group[2]])<<6 | uint32(sextet[group[3]])
	return v&0x808080 == 0 && ofText[byte(v>>16)] && ofText[byte(v>>8)] && ofText[byte(v)]
}

// ofText: ASCII that is printed, blanks, and the zeros of UTF-16.
var ofText = func() (is [256]bool) {
	for c := range 256 {
		is[c] = c >= ' ' && c < 0x7f || c == '\t' || c == '\n' || c == '\r' || c == 0
	}
	return is
}()

// ofGroup are the letters that may be the first (1), the second (2) and the third (4) of a group that is text: most are not.
var ofGroup = func() (of [256]byte) {
	for _, c := range []byte(base64Letters + "-_") {
		s := sextet[c]
		for low := range 4 {
			if ofText[s<<2|byte(low)] {
				of[c] |= 1
			}
		}
		if s&0b1000 == 0 {
			of[c] |= 2
		}
		if s&0b10 == 0 {
			of[c] |= 4
		}
	}
	return of
}()

// isContainer reports whether letters are base64 of what begins as a container does. first: they are all of a run.
func isContainer(run []byte, first bool) bool {
	const least = 24
	if len(run) < least || first && isTar(run) {
		return len(run) >= least
	}
	magic := false
	for _, m := range encodedMagic[run[0]] {
		magic = magic || string(run[:len(m)]) == m
	}
	if !magic {
		return false
	}
	var l lines
	l.base64(run, 0, min(len(run), headLength*4/3+4))
	return container(l.text[:min(len(l.text), headLength)], "", nil) != nil
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

func alphabet(letters []byte) secret.Encoding {
	if bytes.IndexByte(letters, '-') >= 0 || bytes.IndexByte(letters, '_') >= 0 {
		return secret.Base64URL
	}
	return secret.Base64
}

// numbers undoes hex and base32 in a run: each stretch of their digits, from each place where a byte may begin.
func (u *undoer) numbers(text []byte, start, end int, l *lines, do func(secret.Encoding), packed func(secret.Encoding)) {
	shortestHex, shortest32 := 2*u.shortest, (8*u.shortest+4)/5
	for _, d := range []struct {
		digits *[256]int8
		least  int
		bits   uint
		starts int
		name   secret.Encoding
	}{
		{&hexDigit, shortestHex, 4, 2, secret.Hex},
		{&upper32, shortest32, 5, 8, Base32},
		{&lower32, shortest32, 5, 8, Base32},
	} {
		for p := start; p+d.least <= end; p++ {
			// The last that a stretch from p on would have to have tells most.
			if q := p + d.least - 1; d.digits[text[q]] < 0 {
				p = q
				continue
			}
			if m := p + d.least/2; d.digits[text[m]] < 0 {
				p = m
				continue
			}
			if m := p + d.least*3/4; d.digits[text[m]] < 0 {
				p = m
				continue
			}
			if m := p + d.least/4; d.digits[text[m]] < 0 {
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
			word := d.digits == &lower32 && !bytes.ContainsAny(text[from:to], "234567") // as nearly every long one is
			if to-from >= d.least && !word {
				for a := range d.starts {
					l.digits(text, from+a, to, d.digits, d.bits)
					if len(l.text) < u.shortest {
						break
					}
					do(d.name)
					if d.name == secret.Hex && container(l.text[:min(len(l.text), headLength)], "", nil) != nil {
						packed(d.name)
					}
				}
			}
			p = to
		}
	}
}

// digits decodes a stretch of digits of so many bits.
func (l *lines) digits(text []byte, from, to int, of *[256]int8, bits uint) {
	l.begin(from)
	l.unit, l.end = [2]int{8, int(bits)}, to
	var v, have uint
	for _, c := range text[from:max(from, to)] {
		v, have = v<<bits|uint(of[c]), have+bits
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
// many that the rest is searched on its own.
func openRun(text []byte) int {
	open := len(text)
	for line := 0; len(text)-open <= mostBlob; line++ {
		end := open
		for end > 0 && open-end < widestBreak && bytes.IndexByte([]byte(" \t\r\n\\"), text[end-1]) >= 0 {
			end--
		}
		start := end
		for start > 0 && isLetter[text[start-1]] && len(text)-start <= mostBlob {
			start--
		}
		if start == end || line > 0 && end-start < shortestLine {
			return open
		}
		open = start
	}
	return len(text)
}

// join takes a line and those that follow it.
func (l *lines) join(text []byte, start, end int, b lineBreak) {
	l.text, l.pieces, l.unit = l.text[:0], l.pieces[:0], [2]int{}
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
