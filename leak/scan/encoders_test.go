package scan

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"html/template"
	"math/rand/v2"
	"mime"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/keyrounds/keyrounds/test/lasting"
)

const separator = "\x1e"

// realEncoder is a line of testdata/encoders/encoders.txt.
type realEncoder struct{ name, program, code string }

func realEncoders(t testing.TB) (all []realEncoder) {
	t.Helper()
	text, err := os.ReadFile("testdata/encoders/encoders.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(line, "#") || line == "" {
			continue
		}
		fields := strings.SplitN(line, " | ", 3)
		all = append(all, realEncoder{fields[0], fields[1], fields[2]})
	}
	return all
}

// run encodes secrets; false: this machine does not have the program.
func (e realEncoder) run(t testing.TB, secrets []string) (encoded []string, is bool) {
	t.Helper()
	var args []string
	switch e.program {
	case "python3":
		args = []string{"-c", e.code}
	case "node":
		const each = `const enc=f=>require("fs").readFileSync(0,"utf8").trimEnd().split("\n").forEach(s=>console.log(f(s)+"\n\x1e"));`
		args = []string{"-e", each + e.code}
	case "perl":
		args = []string{"-e", e.code}
	case "jq":
		args = []string{"-R", "-r", "(" + e.code + `), "\u001e"`}
	case "php":
		args = []string{"-r", `while(($s=fgets(STDIN))!==false){$s=rtrim($s,"\n");echo (` + e.code + `)."\n\x1e\n";}`}
	case "ruby":
		args = []string{"-e", `def enc;STDIN.each_line{|l|puts yield(l.chomp)+"\n\x1e"};end;` + e.code}
	case "bash":
		args = []string{"-c", `while IFS= read -r s; do ` + e.code + ` "$s"; echo ` + separator + `; done`}
	}
	cmd := exec.Command(e.program, args...)
	if cmd.Err != nil {
		return nil, false
	}
	cmd.Stdin = strings.NewReader(strings.Join(secrets, "\n") + "\n")
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil || said.Len() > 0 {
		t.Logf("%s: %v %s", e.name, err, said.String())
		return nil, false
	}
	encoded = strings.Split(string(out), separator+"\n")
	if len(encoded) != len(secrets)+1 {
		t.Logf("%s: %d secrets became %d texts", e.name, len(secrets), len(encoded)-1)
		return nil, false
	}
	return encoded[:len(secrets)], true
}

// inGo are encoders of Go's library, and of others that are not on every machine, written down as they are documented.
var inGo = []struct {
	name   string
	encode func(s string) string
}{
	{"json.Marshal", func(s string) string { b, _ := json.Marshal(map[string]string{"s": s}); return string(b) }},
	{"url.QueryEscape", url.QueryEscape},
	{"url.PathEscape in JSON in base64", func(s string) string {
		b, _ := json.Marshal(map[string]string{"s": url.PathEscape(s)})
		return base64.StdEncoding.EncodeToString(b)
	}},
	{"url.UserPassword", func(s string) string { return "https://" + url.UserPassword("id", s).String() + "@example.com" }},
	{"strconv.QuoteToASCII", strconv.QuoteToASCII},
	{"template.HTMLEscapeString", template.HTMLEscapeString},
	{"template.JSEscapeString", template.JSEscapeString},
	{"xml.EscapeText", func(s string) string { var b bytes.Buffer; _ = xml.EscapeText(&b, []byte(s)); return b.String() }},
	{"mime.QEncoding", func(s string) string { return mime.QEncoding.Encode("utf-8", "é "+s) }},
	{"hex.Dump", func(s string) string { return hex.Dump([]byte("some text " + s)) }},
	{"%x with spaces", func(s string) string { return fmt.Sprintf("% X", s) }},
	{".NET System.Text.Json", func(s string) string { return only(s, "+'&<>\"`\\", `\u%04X`) }},
	{"Gson", func(s string) string {
		return only(strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s), "='&<>", `\u%04x`)
	}},
	{"Java URLEncoder", func(s string) string {
		return strings.NewReplacer("%2A", "*", "~", "%7E").Replace(url.QueryEscape(s))
	}},
	{"Java Properties.store", func(s string) string {
		return strings.NewReplacer(`\`, `\\`, "=", `\=`, ":", `\:`, "#", `\#`, "!", `\!`).Replace(s)
	}},
	{"only + encoded", func(s string) string { return strings.ReplaceAll(s, "+", "%2B") }},
	{"only + and / encoded", func(s string) string { return strings.NewReplacer("+", "%2b", "/", "%2f").Replace(s) }},
	{"a decoded form", func(s string) string { return strings.ReplaceAll(s, "+", " ") }},
	{"base64 in the base64url alphabet afterwards", func(s string) string {
		return strings.NewReplacer("+", "-", "/", "_").Replace(base64.StdEncoding.EncodeToString([]byte("é" + s)))
	}},
	{"LDAP", func(s string) string { return only(s, `,+"\<>;=*()`, `\%02x`) }},
	{"cmd", func(s string) string {
		return strings.NewReplacer("^", "^^", "&", "^&", "<", "^<", ">", "^>", "|", "^|").Replace(s)
	}},
	{"compose file", func(s string) string { return strings.ReplaceAll(s, "$", "$$") }},
	{"YAML single quotes", func(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }},
	{"zero-width spaces", func(s string) string { return s[:5] + "\u200b" + s[5:] }},
	{"a kerned PDF text", func(s string) string {
		return "[(" + strings.NewReplacer(`\`, `\\`, "(", `\(`, ")", `\)`).Replace(s[:5]) + ")-12.5(" +
			strings.NewReplacer(`\`, `\\`, "(", `\(`, ")", `\)`).Replace(s[5:]) + ")] TJ"
	}},
}

// only writes some characters as numbers.
func only(s, which, as string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if strings.IndexByte(which, c) >= 0 {
			fmt.Fprintf(&b, as, c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

const (
	entra    = alnum + "~._-"
	inBase64 = alnum + "+/"
	specials = alnum + "!#$%&*()<>?\"'\\^{}|;:,@[]~`"
)

// shapes makes a secret of each usual shape.
func shapes(r *rand.Rand) []string {
	return []string{
		text(r, alnum, 32), text(r, "0123456789abcdef", 32), text(r, inBase64, 42) + "+=", "Q~" + text(r, entra, 38), text(r, specials, 24),
		"p" + text(r, specials, 12) + "+" + text(r, alnum, 2), text(r, inBase64, 20) + "/+==",
	}
}

// other is a secret that differs in one character in its middle.
func other(s string) string {
	i := len(s) / 2
	c := byte('k')
	if s[i] == c {
		c = 'm'
	}
	return s[:i] + string(c) + s[i+1:]
}

// Whatever common libraries and tools make of a secret, run for real where the machine has them, it is found; and one that differs in
// one character is not. testdata/encoders/encoders.txt has what is run.
func TestRealEncoders(t *testing.T) {
	lasting.Test(t, "it runs encoders of many languages")
	t.Parallel()
	seed := uint64(25)
	if os.Getenv("KEYROUNDS_LONG") != "" {
		seed = rand.Uint64()
	}
	t.Logf("the secrets are those of the seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 25))
	secrets := append(shapes(r), shapes(r)...)
	var terms []Term
	for i, s := range secrets {
		terms = append(terms, Term{Credential: fmt.Sprint(i), Kind: Secret, Value: s, Partner: "robot"})
	}
	scanner, _ := NewScanner(terms, Options{})
	near := make([]string, len(secrets))
	for i, s := range secrets {
		near[i] = other(s)
	}
	ran, missing := 0, map[string]bool{}
	check := func(name string, encoded, nearly []string) {
		ran++
		for i := range secrets {
			if !finds(t, scanner, encoded[i], fmt.Sprint(i)) {
				t.Errorf("%s of %q is not found: %q", name, secrets[i], encoded[i])
			}
			if finds(t, scanner, nearly[i], fmt.Sprint(i)) {
				t.Errorf("%s of %q, which is no secret: %q is found", name, near[i], nearly[i])
			}
		}
	}
	for _, e := range realEncoders(t) {
		encoded, ok := e.run(t, secrets)
		if !ok {
			missing[e.name] = true
			continue
		}
		nearly, _ := e.run(t, near)
		check(e.name, encoded, nearly)
	}
	for _, e := range inGo {
		var encoded, nearly []string
		for i, s := range secrets {
			encoded, nearly = append(encoded, e.encode(s)), append(nearly, e.encode(near[i]))
		}
		check(e.name, encoded, nearly)
	}
	t.Logf("%d encoders; this machine does not have %d: %v", ran, len(missing), missing)
}

// finds reports whether a text has a credential's secret.
func finds(t *testing.T, s *Scanner, encoded, credential string) (is bool) {
	t.Helper()
	text := []byte("some text in front of it\nvalue:\n" + encoded + "\nand behind\n")
	err := s.stream(t.Context(), place{source: "-"}, bytes.NewReader(text), false, s.budget(), func(_ place, m match) {
		is = is || s.terms[m.term].Credential == credential
	})
	if err != nil {
		t.Fatal(err)
	}
	return is
}
