package secret

import (
	"encoding/base64"
	"encoding/pem"
	"slices"
	"strings"
)

// leastPiece is how much of a key's base64 is looked for, 18 bytes, which are no chance; so far apart do the pieces
// begin, so that a part of a key is found as well.
const (
	leastPiece = 24
	pieceStep  = 6
)

// keyBodies are the base64 of v's blocks and of its private number, in each alignment; nil where v is no key.
func keyBodies(v Value) (all []string) {
	add := func(text string) {
		if len(text) >= leastPiece {
			all = append(all, text)
		}
	}
	for rest := []byte(v.Reveal()); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" && block.Type != "PUBLIC KEY" { // which are public
			add(base64.RawStdEncoding.EncodeToString(block.Bytes))
		}
	}
	for _, number := range keyNumbers([]byte(v.Reveal())) {
		for shift := range Base64Lead {
			add(aligned(string(number), shift, base64.RawStdEncoding))
		}
		clear(number)
	}
	return all
}

// redactKeys replaces whatever of a key is in text, as far as it goes on, with one Redacted.
func (s Scrubber) redactKeys(text string) string {
	whole, at := unbroken(text)
	var spans [][2]int // in whole
	for _, key := range s.keys {
		for p := 0; p+leastPiece <= len(key); p += pieceStep {
			for from := 0; ; {
				i := strings.Index(whole[from:], key[p:p+leastPiece])
				if i < 0 {
					break
				}
				begin, end := from+i, from+i+leastPiece
				for k := p; begin > 0 && k > 0 && whole[begin-1] == key[k-1]; k-- {
					begin--
				}
				for k := p + leastPiece; end < len(whole) && k < len(key) && whole[end] == key[k]; k++ {
					end++
				}
				spans = append(spans, [2]int{begin, end})
				from = end
			}
		}
	}
	if len(spans) == 0 {
		return text
	}
	slices.SortFunc(spans, func(a, b [2]int) int { return a[0] - b[0] })
	var out strings.Builder
	done := 0 // in text
	for _, span := range spans {
		begin, end := at[span[0]], at[span[1]-1]+1
		if begin >= done {
			out.WriteString(text[done:begin])
			out.WriteString(Redacted)
		}
		done = max(done, end)
	}
	out.WriteString(text[done:])
	return out.String()
}

// unbroken returns the letters of base64 in text, of either alphabet in that of RFC 4648 §4, without the line ends,
// blanks, quotes and escapes between them, and where each was. Everything else is there as a NUL.
func unbroken(text string) (letters string, at []int) {
	var b strings.Builder
	put := func(c byte, i int) {
		b.WriteByte(c)
		at = append(at, i)
	}
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '+', c == '/':
			put(c, i)
		case c == '-' && !inDashes(text, i): // which are PEM's own lines
			put('+', i)
		case c == '_':
			put('/', i)
		case c == '\\': // escaped, even twice; \/ is JSON's way to write a letter of it
			if i+1 < len(text) && strings.IndexByte("nrt", text[i+1]) >= 0 {
				i++
			}
		case strings.IndexByte(" \t\r\n\"'`,", c) >= 0:
		default:
			put(0, i)
		}
	}
	return b.String(), at
}

// inDashes: five dashes in a row begin and end a line of PEM.
func inDashes(text string, i int) bool {
	from, to := i, i+1
	for from > 0 && text[from-1] == '-' {
		from--
	}
	for to < len(text) && text[to] == '-' {
		to++
	}
	return to-from >= 5
}
