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

	"github.com/keyrounds/keyrounds/secret"
)

// brokenInto writes text in lines of a width.
func brokenInto(text string, width int, lineBreak string) string {
	var b strings.Builder
	for len(text) > width {
		b.WriteString(text[:width] + lineBreak)
		text = text[width:]
	}
	return b.String() + text
}

// None of 10,000 is missed that are broken into lines, of any width and in any usual way; and none is found where
// there is only something like it.
func TestWrapped(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(4, 4))
	var terms []Term
	for _, n := range registered(r, 1000, true) {
		if n.Kind == Secret {
			terms = append(terms, n)
		}
	}
	breaks := []string{"\n", "\r\n", "\n  ", "\r\n\t", "\n+", `\n`, `\r\n`, " "}
	type planted struct {
		near       bool
		from, upTo int
		what       string
	}
	var (
		b    bytes.Buffer
		want = map[string][]planted{}
		line = 1
	)
	for i := range 10_000 {
		n := terms[i%len(terms)]
		value, near := n.Value, r.IntN(4) == 0
		if near {
			for value == n.Value {
				value = nearly(r, n.Value)
			}
			value = "~" + value + "~"
		}
		plain := []byte(text(r, anything, r.IntN(150)) + value + text(r, anything, r.IntN(150)))
		encoded, encoding := base64.StdEncoding.EncodeToString(plain), secret.Base64
		switch r.IntN(3) {
		case 0:
			encoded, encoding = base64.URLEncoding.EncodeToString(plain), secret.Base64URL
		case 1:
			encoded, encoding = hex.EncodeToString(plain), secret.Hex
		}
		width, lineBreak := shortestLine+r.IntN(61), breaks[r.IntN(len(breaks))]
		begin := []string{"", "data: ", "+", `{"data":"`}[r.IntN(4)]
		blob := begin + brokenInto(encoded, width, lineBreak) + ".\n"
		b.WriteString(blob)
		upTo := line + strings.Count(blob, "\n")
		what := fmt.Sprintf("%s of %d bytes behind %q, in lines of %d broken by %q", encoding, len(n.Value), begin, width, lineBreak)
		want[n.Credential] = append(want[n.Credential], planted{near, line, upTo, what})
		line = upTo
	}
	s, _ := NewScanner(terms, Options{})
	if err := s.Reader(context.Background(), "-", iotest.HalfReader(&b)); err != nil {
		t.Fatal(err)
	}
	wrong := 0
	hits := map[string][]int{}
	for _, h := range s.Found().Hits {
		hits[h.Credential] = append(hits[h.Credential], h.Line)
	}
	for name, all := range want {
		for _, p := range all {
			found := false
			for _, at := range hits[name] {
				found = found || p.from <= at && at < p.upTo
			}
			if found == p.near {
				if wrong++; wrong < 10 {
					t.Errorf("lines %d to %d: %s, near miss %t: found %t", p.from, p.upTo, p.what, p.near, found)
				}
			}
		}
	}
	t.Logf("%d wrong of 10,000", wrong)
}

// The line is that where the secret begins.
func TestLineOfWrapped(t *testing.T) {
	t.Parallel()
	n := Term{Credential: "a", Kind: Secret, Value: "hunter2-hunter2-hunter2"}
	s, _ := NewScanner([]Term{n}, Options{})
	encoded := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", 50) + n.Value))
	blob := "kind: Secret\ndata: " + brokenInto(encoded, 32, "\n  ") + "\n"
	if err := s.Reader(context.Background(), "-", strings.NewReader(blob)); err != nil {
		t.Fatal(err)
	}
	if hits := s.Found().Hits; len(hits) != 1 || hits[0].Line != 4 || hits[0].Encoding != secret.Base64 {
		t.Errorf("%s\nfound %+v", blob, hits)
	}
}
