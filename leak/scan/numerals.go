package scan

import (
	"bytes"

	"github.com/keyrounds/keyrounds/secret"
)

// numeral is an alphabet of digits that are so many bits each.
type numeral struct {
	digits *[256]int8
	bits   int
	starts int // places where a byte may begin
	name   secret.Encoding
}

var numerals = [...]numeral{{&hexDigit, 4, 2, secret.Hex}, {&upper32, 5, 8, Base32}, {&lower32, 5, 8, Base32}}

// numbers undoes hex or base32 in a run: each stretch of its digits, from each place where a byte may begin.
func (u *undoer) numbers(
	text []byte, start, end int, d *numeral, l *lines, do func(secret.Encoding), packed func(*lines, secret.Encoding),
) {
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
)
