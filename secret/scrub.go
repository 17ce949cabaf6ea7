package secret

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Scrubber cleans text that came from outside, once, at the door: the secrets it knows, in any
// usual encoding, become Redacted; NUL, invalid UTF-8, control and bidirectional characters go.
// The zero Scrubber knows no secrets and still cleans.
type Scrubber struct {
	forms []string
	loose []string // in lower case: those with hexadecimal digits, which are found in either case
	keys  []string // the base64 of keys, in the letters of unbroken: found however it is broken into lines
}

// NewScrubber makes a Scrubber for the given secrets, in all their Spellings. Secrets of fewer than
// 4 bytes are too common in text to be looked for. Of a private key, what is in its blocks and its number are looked
// for too, in base64 with any line breaks.
func NewScrubber(vs ...Value) Scrubber {
	var s Scrubber
	for _, v := range vs {
		plain := v.Reveal()
		if len(plain) < 4 {
			continue
		}
		for _, sp := range Spellings(plain) {
			if sp.Encoding == Hex {
				s.loose = append(s.loose, asciiLower(sp.Text))
			}
			if len(plain) >= 8 || sp.Shift == 0 { // else what is left is too short to tell from chance
				s.forms = append(s.forms, sp.Text)
			}
		}
		s.forms = append(s.forms, oddForms(plain)...)
		s.keys = append(s.keys, keyBodies(v)...)
	}
	for _, f := range s.forms {
		if strings.Contains(f, "%") || strings.Contains(f, `\u`) {
			s.loose = append(s.loose, asciiLower(f))
		}
	}
	s.forms, s.loose = longestFirst(s.forms), longestFirst(s.loose)
	return s
}

func longestFirst(list []string) []string {
	slices.SortFunc(list, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	return slices.Compact(list)
}

// oddForms are ways to write a secret back that only servers have: every byte of it percent-encoded, and its bytes
// taken for ISO-8859-1, as by one that reads a form so.
func oddForms(plain string) (forms []string) {
	var percent, latin strings.Builder
	for i := range len(plain) {
		fmt.Fprintf(&percent, "%%%02X", plain[i])
		latin.WriteRune(rune(plain[i]))
	}
	forms = append(forms, percent.String(), strings.ToLower(percent.String()))
	if latin.String() != plain { // also as such a server would percent-encode or escape it
		for _, sp := range Spellings(latin.String()) {
			if sp.Shift == 0 {
				forms = append(forms, sp.Text)
			}
		}
	}
	return forms
}

// Clean returns text scrubbed and cut to at most limit characters; an ellipsis shows the cut. Tabs and line ends
// become spaces, and blanks at both ends go.
func (s Scrubber) Clean(text string, limit int) string {
	// A secret that straddles the cut must not escape: cut generously first, scrub, then cut.
	if most := 8*limit + 4096; len(text) > most {
		text = text[:most]
	}
	text = s.Redact(text)
	out := strings.Map(printable, strings.ToValidUTF8(text, "\ufffd"))
	// Taking invisible characters out may have joined the halves of a secret.
	out = s.Redact(out)
	if utf8.RuneCountInString(out) > limit {
		out = string([]rune(out)[:max(0, limit-1)]) + "…"
	}
	return strings.TrimSpace(out)
}

// Redact replaces the known secrets with Redacted and changes nothing else. The text is not cleaned for people.
func (s Scrubber) Redact(text string) string {
	for _, f := range s.forms {
		text = strings.ReplaceAll(text, f, Redacted)
	}
	for _, f := range s.loose {
		text = replaceFold(text, f)
	}
	if len(s.keys) > 0 {
		text = s.redactKeys(text)
	}
	return text
}

// replaceFold redacts form, which is in lower case, in whatever case it stands.
func replaceFold(text, form string) string {
	lower := asciiLower(text)
	var out strings.Builder
	for from := 0; ; {
		i := strings.Index(lower[from:], form)
		if i < 0 {
			if from == 0 {
				return text
			}
			out.WriteString(text[from:])
			return out.String()
		}
		out.WriteString(text[from : from+i])
		out.WriteString(Redacted)
		from += i + len(form)
	}
}

// asciiLower keeps every byte where it is.
func asciiLower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

func printable(r rune) rune {
	switch {
	case r == '\t' || r == '\n' || r == '\r' || r == '\u2028' || r == '\u2029':
		return ' '
	case unicode.Is(unicode.Cc, r) || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Co, r):
		return -1 // control, format (bidi, zero width) and private use
	case unicode.Is(unicode.Zs, r):
		return ' '
	}
	return r
}
