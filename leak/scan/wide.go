package scan

import (
	"bytes"
	"encoding/binary"
	"unicode/utf8"

	"github.com/keyrounds/keyrounds/secret"
)

// wide undoes UTF-16 and UTF-32 of either order from a place on, of characters below U+0100. Terms that have others are forms of their own.
func (u *undoer) wide(text []byte, from int, l *lines, do func(secret.Encoding)) {
	const stride = 8
	for p := from; p+stride <= len(text); p += stride {
		next := bytes.IndexByte(text[p:], 0)
		if next < 0 {
			return
		}
		if p += next &^ (stride - 1); p+stride > len(text) {
			return
		}
		width := widthOf(binary.LittleEndian.Uint64(text[p:]))
		if width == 0 {
			continue
		}
		name := secret.UTF16
		if width == 4 {
			name = UTF32
		}
		end := p + 1
		for phase := range 2 * width { // where its characters begin, of either order
			at, big := p+phase/2, phase%2 == 1
			to := u.narrow(text, at, width, big, l)
			if to == 0 && at+width < len(text) { // what stands in front of the first one may look like one of the other order
				to = u.narrow(text, at+width, width, big, l)
			}
			if to > p {
				end = max(end, to)
				if len(l.text) >= u.shortest {
					do(name)
				}
			}
		}
		p = max(p, (end-stride)&^(stride-1))
	}
}

// widthOf tells by eight bytes whether they may be characters of two or of four bytes each; 0: they are not.
func widthOf(eight uint64) int {
	const odd, even = 0xff00ff00ff00ff00, 0x00ff00ff00ff00ff
	switch {
	case eight == 0:
		return 0
	case quarter(eight):
		return 4
	case eight&odd == 0 && full(eight), eight&even == 0 && full(eight>>8):
		return 2
	}
	return 0
}

// full: all of the bytes 0, 2, 4 and 6 are printed.
func full(eight uint64) bool {
	return eight&0xff >= ' ' && eight>>16&0xff >= ' ' && eight>>32&0xff >= ' ' && eight>>48&0xff >= ' '
}

// quarter: of each four bytes the same one is not zero.
func quarter(eight uint64) bool {
	for shift := 0; shift < 32; shift += 8 {
		mask := uint64(0xff)<<shift | uint64(0xff)<<(shift+32)
		if eight&^mask == 0 {
			return eight>>shift&0xff >= ' ' && eight>>(shift+32)&0xff >= ' '
		}
	}
	return false
}

// narrow decodes characters of a width around p, where a byte of one stands that is not zero: its first, or with big its last. It returns
// where they end; 0: there are none.
func (u *undoer) narrow(text []byte, p, width int, big bool, l *lines) int {
	before, behind := 0, width-1 // zeros of each
	if big {
		before, behind = behind, before
	}
	is := func(at int) bool {
		if at < before || at+behind >= len(text) || !u.may[text[at]] {
			return false
		}
		for i := at - before; i <= at+behind; i++ {
			if i != at && text[i] != 0 {
				return false
			}
		}
		return true
	}
	if !is(p) {
		return 0
	}
	start := p
	for is(start-width) && p-start < mostBlob {
		start -= width
	}
	l.begin(start - before)
	l.unit = [2]int{width, 1}
	at := start
	for ; is(at); at += width {
		if text[at] < utf8.RuneSelf {
			l.text = append(l.text, text[at])
			continue
		}
		l.text = utf8.AppendRune(l.text, rune(text[at]))
		l.pieces = append(l.pieces, piece{len(l.text), at - before + width})
	}
	l.end = min(at-before, len(text))
	return l.end
}
