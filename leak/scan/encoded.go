package scan

import (
	"github.com/keyrounds/keyrounds/secret"
)

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
