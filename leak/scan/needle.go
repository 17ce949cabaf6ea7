package scan

import (
	"encoding/base64"
	"net/url"
	"slices"
	"strings"

	"github.com/keyrounds/keyrounds/secret"
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

// Basic is base64 of id:secret (RFC 7617, RFC 6749 §2.3.1), beside the encodings of package secret.
const Basic secret.Encoding = "basic"

// MinLength is the length of the shortest value that is looked for, in bytes: shorter ones are too common
// in text to tell from chance.
const MinLength = 8

// maxForm bounds what is compared of a long value: so many equal bytes are no chance.
const maxForm = 512

// spelling is one way to write a needle.
type spelling struct {
	text     string
	encoding secret.Encoding
	group    base64Group
}

// spellings are all ways to write n that are looked for. What is the same in two of them is named by the first.
func (n Needle) spellings() []spelling {
	if len(n.Value) < MinLength {
		return nil
	}
	var all []spelling
	add := func(t string, e secret.Encoding, g base64Group) {
		t = t[:min(len(t), maxForm)]
		if len(t) >= MinLength && !slices.ContainsFunc(all, func(s spelling) bool { return s.text == t && s.group == g }) {
			all = append(all, spelling{t, e, g})
		}
	}
	known := secret.Spellings(n.Value)
	for i, s := range known {
		group := base64Group{s.Encoding == secret.Base64 || s.Encoding == secret.Base64URL, s.Shift}
		if s.Encoding == secret.Base64URL && s.Text == known[i-1].Text { // which comes first, in the other alphabet
			continue
		}
		add(s.Text, s.Encoding, group)
		if s.Encoding == secret.Plain && n.Partner != "" {
			for _, pair := range []string{n.Partner + ":" + n.Value, url.QueryEscape(n.Partner) + ":" + url.QueryEscape(n.Value)} {
				add(base64.RawStdEncoding.EncodeToString([]byte(pair)), Basic, base64Group{})
			}
		}
	}
	return all
}

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
