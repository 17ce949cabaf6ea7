package scan

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"
)

// A secret is found whatever stands directly in front of it, and wherever in several lines it begins.
func TestWhatStandsInFront(t *testing.T) {
	t.Parallel()
	const value = "e59a3da41829019a90730b0132ddef12"
	r := rand.New(rand.NewPCG(3, 3))
	line := text(r, "ghijklmnopqrstuvwxyzGHIJKLMNOPQRSTUVWXYZ", 40)
	digits := hex.EncodeToString([]byte(value + value))
	packed := base64.StdEncoding.EncodeToString(gz(t, []byte(value+"\n")))
	var wide, numbers strings.Builder
	for _, c := range []byte(value) {
		wide.WriteString("\x00" + string(rune(c)))
		fmt.Fprintf(&numbers, "0x%02x, ", c)
	}
	s, _ := NewScanner([]Term{{Credential: "a", Kind: Secret, Value: value}}, Options{})
	for name, text := range map[string]string{
		"UTF-16 behind a letter that looks like its other order": "m" + wide.String() + "aGVsbG8",
		"0x of a number that is none":                            "0x%20x" + "0x" + numbers.String(),
		"a line, and hex that is broken by a blank":              line + "\n" + digits[:50] + " " + digits[50:64] + ".",
		"a line, and base64 of a container":                      line + "\n" + packed + "\n",
		"a line, and hex of a container":                         line + "\n" + hex.EncodeToString(gz(t, []byte(value+"\n"))) + "\n",
	} {
		if len(s.In(text)) != 1 && !finds(t, s, text, "a") {
			t.Errorf("%s: not found in %q", name, text)
		}
	}
}

// A long text of base64 is read in pieces and searched as one. What stands in it, and before and behind it, is found once.
func TestLongRuns(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(6, 6))
	plain := make([]byte, 900_000)
	for i := range plain {
		plain[i] = byte(r.Uint32())
	}
	terms := make([]Term, 6)
	for i := range terms {
		terms[i] = Term{Credential: fmt.Sprint(i), Kind: Secret, Value: text(r, alnum, 40)}
	}
	escaped := func(i int) string { // one character of it
		v := terms[i].Value
		return fmt.Sprintf("%s%%%02x%s", v[:9], v[9], v[10:])
	}
	copy(plain, terms[1].Value)
	copy(plain[len(plain)/2:], terms[2].Value)
	copy(plain[len(plain)-40:], terms[3].Value)
	var b bytes.Buffer
	b.WriteString(escaped(0) + "\n.\n" + brokenInto(base64.StdEncoding.EncodeToString(plain), 76, "\n") + "\n." + escaped(4) + "\n" +
		terms[5].Value + "\n")
	s, _ := NewScanner(terms, Options{})
	if err := s.Reader(context.Background(), "-", iotest.HalfReader(bytes.NewReader(b.Bytes()))); err != nil {
		t.Fatal(err)
	}
	lines := map[string]int{}
	for _, h := range s.Found().Hits {
		lines[h.Credential] = h.Line
	}
	last := bytes.Count(b.Bytes(), []byte{'\n'})
	lineOf := func(at int) int { return 3 + at*4/3/76 }
	want := fmt.Sprint(map[string]int{"0": 1, "1": 3, "2": lineOf(len(plain) / 2), "3": lineOf(len(plain) - 40), "4": last - 1, "5": last})
	if got := fmt.Sprint(lines); got != want || len(s.Found().Hits) != 6 {
		t.Errorf("found %d: %s; the last line is %d", len(s.Found().Hits), got, last)
	}
}
