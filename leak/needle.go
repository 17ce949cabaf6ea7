package leak

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"unicode/utf16"
)

// Needle is what is looked for: a secret or a client id of a credential.
type Needle struct {
	Credential string
	Kind       Kind
	Value      string
	// Partner is the client id that a secret goes with, for `Authorization: Basic`; "" for a client id.
	Partner string
	// Former marks a secret that was replaced.
	Former bool
	// Secret is the secret's id in the Store; 0: none.
	Secret int64
	// Home is the file that the secret is read from, where it belongs; "": it has none.
	Home string
}

// Kind is what a Needle is.
type Kind string

// The kinds.
const (
	Secret   Kind = "secret"
	ClientID Kind = "client_id"
)

// Encoding is how a needle was written where it was found.
type Encoding string

// The encodings. What is the same in two of them is named by the first.
const (
	Plain     Encoding = "plain"
	Basic     Encoding = "basic"     // base64 of id:secret (RFC 7617, RFC 6749 §2.3.1)
	Base64    Encoding = "base64"    // in any of its three alignments
	Base64URL Encoding = "base64url" // likewise
	Hex       Encoding = "hex"
	URL       Encoding = "url"  // percent-encoded (RFC 3986) or form-encoded
	JSON      Encoding = "json" // escaped as in a JSON string
	UTF16     Encoding = "utf-16"
)

// MinLength is the length of the shortest value that is looked for, in bytes: shorter ones are too common
// in text to tell from chance.
const MinLength = 8

// maxForm bounds what is compared of a long value: so many equal bytes are no chance.
const maxForm = 512

// spelling is one way to write a needle.
type spelling struct {
	text     string
	encoding Encoding
	group    base64Group
}

// spellings are all ways to write n that are looked for, each text once.
func (n Needle) spellings() []spelling {
	if len(n.Value) < MinLength {
		return nil
	}
	var all []spelling
	put := func(t string, e Encoding, g base64Group) {
		t = t[:min(len(t), maxForm)]
		if len(t) >= MinLength && !slices.ContainsFunc(all, func(s spelling) bool { return s.text == t && s.group == g }) {
			all = append(all, spelling{t, e, g})
		}
	}
	add := func(e Encoding, texts ...string) {
		for _, t := range texts {
			put(t, e, base64Group{})
		}
	}
	v := n.Value
	add(Plain, v)
	if n.Partner != "" {
		for _, pair := range []string{n.Partner + ":" + v, url.QueryEscape(n.Partner) + ":" + url.QueryEscape(v)} {
			add(Basic, strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(pair)), "="))
		}
	}
	add(JSON, jsonSpellings(v)...)
	add(URL, urlSpellings(v)...)
	h := hex.EncodeToString([]byte(v))
	add(Hex, h, strings.ToUpper(h))
	for shift := range 3 {
		put(aligned(v, shift, base64.RawStdEncoding), Base64, base64Group{std: true, shift: shift})
		if text := aligned(v, shift, base64.RawURLEncoding); text != aligned(v, shift, base64.RawStdEncoding) {
			put(text, Base64URL, base64Group{url: true, shift: shift})
		}
	}
	add(UTF16, wide(v, 0), wide(v, 1))
	return all
}

// aligned is base64 of v after shift other bytes. The characters that a neighbour's bits change are left off,
// at either end; base64Group looks at those.
func aligned(v string, shift int, e *base64.Encoding) string {
	text := e.EncodeToString(append(make([]byte, shift), v...))
	return text[base64Lead[shift] : (shift+len(v))*8/6]
}

// base64Lead is how many characters are left off in front.
var base64Lead = [3]int{0, 2, 3}

// base64Group says how a form lies in groups of base64. The zero value: it is no base64.
type base64Group struct {
	std, url bool
	shift    int
}

// around is how many characters holds looks at beside the form, at most.
const around = 3

// holds reports whether the form that was found at text[at:to] does hold value: whether the characters in front
// and behind, of which value has some bits, say the same.
func (g base64Group) holds(text []byte, at, to int, value string) bool {
	e := base64.RawStdEncoding
	switch {
	case !g.std && !g.url:
		return true
	case g.url:
		e = base64.RawURLEncoding
	}
	from, want := at-base64Lead[g.shift], g.shift+len(value)
	chars := (want*8 + 5) / 6
	if from < 0 {
		return false
	}
	if to-from >= maxForm { // what was compared is long enough to tell
		chars = (to - from) / 4 * 4
		want = chars / 4 * 3
		value = value[:want-g.shift]
	}
	if from+chars > len(text) {
		return false
	}
	group := slices.Clone(text[from : from+chars])
	if last := chars % 4; last > 1 { // of its last character only some bits are value's
		i := strings.IndexByte(base64Letters(g), group[chars-1])
		if i < 0 {
			return false
		}
		group[chars-1] = base64Letters(g)[i&^(1<<(8-2*last)-1)]
	}
	plain, err := e.DecodeString(string(group))
	return err == nil && len(plain) >= want && string(plain[g.shift:want]) == value
}

func base64Letters(g base64Group) string {
	letters := "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	if g.url {
		return letters + "-_"
	}
	return letters + "+/"
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
