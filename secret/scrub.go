package secret

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Scrubber cleans text that came from outside, once, at the door: the secrets it knows, in any
// usual encoding, become Redacted; NUL, invalid UTF-8, control and bidirectional characters go.
// The zero Scrubber knows no secrets and still cleans.
type Scrubber struct{ forms []string }

// NewScrubber makes a Scrubber for the given secrets: plain, base64 in three alignments and both
// alphabets, hexadecimal, percent-encoded and JSON-escaped. Secrets of fewer than 4 bytes are
// too common in text to be looked for.
func NewScrubber(vs ...Value) Scrubber {
	var s Scrubber
	for _, v := range vs {
		if plain := v.Reveal(); len(plain) >= 4 {
			s.forms = append(s.forms, encodings(plain)...)
		}
	}
	slices.SortFunc(s.forms, func(a, b string) int { return len(b) - len(a) })
	s.forms = slices.Compact(s.forms)
	return s
}

func encodings(plain string) []string {
	escaped, _ := json.Marshal(plain)
	h := hex.EncodeToString([]byte(plain))
	forms := []string{
		plain, h, strings.ToUpper(h), url.QueryEscape(plain), url.PathEscape(plain),
		string(escaped[1 : len(escaped)-1]),
	}
	// The characters that a neighbour's bits change are left off, at either end.
	for shift := range 3 {
		if len(plain) < 8 && shift > 0 {
			break // what is left is too short to tell from chance
		}
		padded := append(make([]byte, shift), plain...)
		for _, e := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			text := e.EncodeToString(padded)
			from := []int{0, 2, 3}[shift]
			to := len(padded) * 8 / 6
			forms = append(forms, text[from:to])
		}
	}
	return forms
}

// Clean returns s scrubbed and cut to at most limit characters; an ellipsis shows the cut.
// Tabs and line ends become spaces.
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

// Redact replaces the known secrets and changes nothing else.
func (s Scrubber) Redact(text string) string {
	for _, f := range s.forms {
		text = strings.ReplaceAll(text, f, Redacted)
	}
	return text
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
