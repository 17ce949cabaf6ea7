package secret

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"strings"
	"unicode/utf16"
)

// Encoding is how a text is written; findings show it as written here.
type Encoding string

// The encodings in which secrets are found.
const (
	Plain     Encoding = "plain"
	Base64    Encoding = "base64"    // RFC 4648 §4, in any of its three alignments
	Base64URL Encoding = "base64url" // RFC 4648 §5, likewise
	Hex       Encoding = "hex"
	URL       Encoding = "url"  // percent-encoded (RFC 3986) or form-encoded
	JSON      Encoding = "json" // escaped as in a JSON string (RFC 8259 §7)
	UTF16     Encoding = "utf-16"
)

// Spelling is a text as an encoding writes it.
type Spelling struct {
	Text     string
	Encoding Encoding
	Shift    int // of Base64 and Base64URL: bytes that go before it in its group of three
}

// Base64Lead is how many characters of a group are left off in front, by Shift, since their bits are not only the
// text's. As many as need be are left off at the end.
var Base64Lead = [3]int{0, 2, 3}

// Spellings are all usual ways to write v, Plain first. A text that two encodings share comes twice. Base64 is
// without padding and without the characters that depend on what stands beside v.
func Spellings(v string) []Spelling {
	var all []Spelling
	add := func(e Encoding, texts ...string) {
		for _, t := range texts {
			all = append(all, Spelling{Text: t, Encoding: e})
		}
	}
	h := hex.EncodeToString([]byte(v))
	add(Plain, v)
	add(JSON, jsonSpellings(v)...)
	add(URL, urlSpellings(v)...)
	add(Hex, h, strings.ToUpper(h))
	for shift := range Base64Lead {
		all = append(
			all,
			Spelling{aligned(v, shift, base64.RawStdEncoding), Base64, shift},
			Spelling{aligned(v, shift, base64.RawURLEncoding), Base64URL, shift},
		)
	}
	add(UTF16, wide(v, 0), wide(v, 1))
	return all
}

func aligned(v string, shift int, e *base64.Encoding) string {
	text := e.EncodeToString(append(make([]byte, shift), v...))
	return text[min(len(text), Base64Lead[shift]):max(min(len(text), Base64Lead[shift]), (shift+len(v))*8/6)]
}

func urlSpellings(v string) []string {
	form, path := url.QueryEscape(v), url.PathEscape(v)
	all := []string{form, path, strings.ReplaceAll(form, "+", "%20")}
	for _, t := range all[:3] {
		all = append(all, lowerPercent(t))
	}
	return all
}

// lowerPercent writes %2F as %2f.
func lowerPercent(s string) string {
	b := []byte(s)
	for i := 0; i+2 < len(b); i++ {
		if b[i] == '%' {
			copy(b[i+1:], strings.ToLower(string(b[i+1:i+3])))
		}
	}
	return string(b)
}

func jsonSpellings(v string) []string {
	html, _ := json.Marshal(v) // with < > & as \u003c …
	var plain strings.Builder
	e := json.NewEncoder(&plain)
	e.SetEscapeHTML(false)
	_ = e.Encode(v)
	a, b := string(html[1:len(html)-1]), strings.TrimSuffix(plain.String(), "\n")
	b = b[1 : len(b)-1]
	return []string{a, b, strings.ReplaceAll(a, "/", `\/`), strings.ReplaceAll(b, "/", `\/`)}
}

// wide is v in UTF-16, little endian, or big endian with order 1.
func wide(v string, order int) string {
	var b []byte
	for _, u := range utf16.Encode([]rune(v)) {
		pair := [2]byte{byte(u), byte(u >> 8)}
		b = append(b, pair[order], pair[1-order])
	}
	return string(b)
}
