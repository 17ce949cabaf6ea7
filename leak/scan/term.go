package scan

import (
	"encoding/base64"
	"slices"
	"strings"
	"unicode/utf16"

	"github.com/keyrounds/keyrounds/secret"
)

// Term is one thing to search for: a secret or a client id of a credential.
type Term struct {
	Credential string // its name
	Kind       Kind
	Value      string // in bytes, at least MinLength of them
	// Partner is the client id that a secret goes with, for `Authorization: Basic`; "" for a client id.
	Partner string
	// Former marks a secret that was replaced.
	Former bool
	// Secret is an id that the caller knows the secret by, and gets back with each Hit; 0: none.
	Secret int64
	// Home is the file that the secret is read from, where it belongs, with all links resolved; what is found in it is
	// no Hit. "": it has none.
	Home string
}

// Kind says what a Term is.
type Kind string

// The kinds of terms.
const (
	Secret   Kind = "secret"
	ClientID Kind = "client_id"
)

// Basic is base64 of id:secret (RFC 7617; RFC 6749 §2.3.1), which is searched for beside the encodings of package secret.
const Basic secret.Encoding = "basic"

// MinLength is the length of the shortest value that is searched for, in bytes: shorter ones are too common
// in text to tell from chance.
const MinLength = 8

// maxForm bounds what is compared of a long value: so many equal bytes are no chance.
const maxForm = 512

// spelling is one way to write a term.
type spelling struct {
	text     string
	encoding secret.Encoding
	group    base64Group
}

// spellings are the ways to write t that are looked for as they are; all others are undone. What is the same in two of them is named by
// the first.
func (t Term) spellings() []spelling {
	if len(t.Value) < MinLength {
		return nil
	}
	all := make([]spelling, 0, 8)
	add := func(text string, e secret.Encoding, g base64Group) {
		text = text[:min(len(text), maxForm)]
		if len(text) >= MinLength && !slices.ContainsFunc(all, func(s spelling) bool { return s.text == text && s.group == g }) {
			all = append(all, spelling{text, e, g})
		}
	}
	add(t.Value, secret.Plain, base64Group{})
	if strings.Contains(t.Value, "+") {
		add(strings.ReplaceAll(t.Value, "+", " "), secret.URL, base64Group{}) // decoded as a form, though it was not encoded so
	}
	if strings.Contains(t.Value, " ") {
		add(strings.ReplaceAll(t.Value, " ", "+"), secret.URL, base64Group{})
	}
	for shift := range secret.Base64Lead {
		text := aligned(t.Value, shift)
		add(text, secret.Base64, base64Group{true, shift})
		if strings.ContainsAny(text, "+/") {
			add(otherAlphabet.Replace(text), secret.Base64URL, base64Group{true, shift})
		}
	}
	if strings.ContainsFunc(t.Value, func(r rune) bool { return r > 0xff }) { // of others it is undone
		for order := range 2 {
			add(wideOf(t.Value, order), secret.UTF16, base64Group{})
		}
	}
	return all
}

// aligned is v in base64, behind so many bytes of its group of three, without the letters that depend on what stands beside it.
func aligned(v string, shift int) string {
	text := base64.RawStdEncoding.EncodeToString(append(make([]byte, shift, shift+len(v)), v...))
	lead := min(len(text), secret.Base64Lead[shift])
	return text[lead:max(lead, (shift+len(v))*8/6)]
}

// wideOf is v in UTF-16, little endian, or big endian with order 1.
func wideOf(v string, order int) string {
	var b []byte
	for _, u := range utf16.Encode([]rune(v)) {
		pair := [2]byte{byte(u), byte(u >> 8)}
		b = append(b, pair[order], pair[1-order])
	}
	return string(b)
}

var otherAlphabet = strings.NewReplacer("+", "-", "/", "_")

// base64Group says how a form lies in groups of base64. The zero value: it is no base64.
type base64Group struct {
	is    bool
	shift int
}

// around is how many characters holds looks at beside the form, at most.
const around = 3

// holds reports whether the form that was found at text[at:to] does hold value: whether the characters in front
// and behind, of which value has some bits, say the same.
func (g base64Group) holds(text []byte, at, to int, value string) bool {
	if !g.is {
		return true
	}
	from, want := at-secret.Base64Lead[g.shift], g.shift+len(value)
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
	group := []byte(oneAlphabet.Replace(string(text[from : from+chars])))
	if last := chars % 4; last > 1 { // of its last character only some bits are value's
		i := strings.IndexByte(base64Letters, group[chars-1])
		if i < 0 {
			return false
		}
		group[chars-1] = base64Letters[i&^(1<<(8-2*last)-1)]
	}
	plain, err := base64.RawStdEncoding.DecodeString(string(group))
	return err == nil && len(plain) >= want && string(plain[g.shift:want]) == value
}

const base64Letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

// The neighbours of a form that is the same in both alphabets may be of either.
var oneAlphabet = strings.NewReplacer("-", "+", "_", "/")
