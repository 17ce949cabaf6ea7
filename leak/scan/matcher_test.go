package scan

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf16"

	"pgregory.net/rapid"

	"github.com/keyrounds/keyrounds/secret"
)

const (
	alnum    = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	anything = alnum + "-._!$&'()*+,;=:@/?%#[]{}|<>\"\\^` é€"
)

func text(r *rand.Rand, alphabet string, n int) string {
	runes := []rune(alphabet)
	out := make([]rune, n)
	for i := range out {
		out[i] = runes[r.IntN(len(runes))]
	}
	return string(out)
}

// noise is up to eight bytes of any value.
func noise(r *rand.Rand) string {
	b := make([]byte, r.IntN(9))
	for i := range b {
		b[i] = byte(r.IntN(256))
	}
	return string(b)
}

// registered makes terms for n credentials: client ids as SmartRecruiters gives them, and secrets, with odd
// also of many lengths and characters.
func registered(r *rand.Rand, n int, odd bool) []Term {
	var all []Term
	for i := range n {
		alphabet, length := alnum, 43
		if odd && i%3 == 1 {
			alphabet, length = anything, MinLength+r.IntN(56)
		}
		id, name := hex.EncodeToString([]byte(text(r, alnum, 16))), fmt.Sprintf("c%d", i)
		all = append(all,
			Term{Credential: name, Kind: Secret, Value: text(r, alphabet, length), Partner: id},
			Term{Credential: name, Kind: ClientID, Value: id})
	}
	return all
}

// Written by hand, apart from the code under test.
var writers = []struct {
	encoding secret.Encoding
	write    func(r *rand.Rand, n Term) string
}{
	{secret.Plain, func(_ *rand.Rand, n Term) string { return n.Value }},
	{secret.Base64, func(r *rand.Rand, n Term) string {
		return base64.StdEncoding.EncodeToString([]byte(noise(r) + n.Value + noise(r)))
	}},
	{secret.Base64URL, func(r *rand.Rand, n Term) string {
		return base64.RawURLEncoding.EncodeToString([]byte(noise(r) + n.Value + noise(r)))
	}},
	{secret.Hex, func(r *rand.Rand, n Term) string {
		h := hex.EncodeToString([]byte(n.Value))
		if r.IntN(2) == 0 {
			h = strings.ToUpper(h)
		}
		return h
	}},
	{secret.URL, func(r *rand.Rand, n Term) string {
		form := func(s string) string { return url.Values{"client_secret": {s}}.Encode() }
		return []func(string) string{url.QueryEscape, url.PathEscape, form}[r.IntN(3)](n.Value)
	}},
	{secret.JSON, func(_ *rand.Rand, n Term) string {
		b, _ := json.Marshal(map[string]string{"client_secret": n.Value})
		return string(b)
	}},
	{Basic, func(_ *rand.Rand, n Term) string {
		return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(n.Partner)+":"+url.QueryEscape(n.Value)))
	}},
	{secret.UTF16, func(r *rand.Rand, n Term) string {
		var b []byte
		low := r.IntN(2) == 0
		for _, u := range utf16.Encode([]rune(n.Value)) {
			if low {
				b = append(b, byte(u), byte(u>>8))
			} else {
				b = append(b, byte(u>>8), byte(u))
			}
		}
		return string(b)
	}},
}

// None of 10,000 is missed, in whatever way it is written and wherever it stands.
func TestNoneMissed(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(7, 1))
	terms := registered(r, 1000, true)
	var (
		b    bytes.Buffer
		want []string
	)
	for i := range 10_000 {
		n := terms[i%len(terms)]
		w := writers[r.IntN(len(writers))]
		if n.Kind == ClientID && w.encoding == Basic {
			w = writers[0]
		}
		b.WriteString(text(r, anything, r.IntN(200)))
		b.WriteString("\x00" + w.write(r, n) + "\n")
		want = append(want, fmt.Sprintf("%s %s, line %d, as %s", n.Credential, n.Kind, i+1, w.encoding))
	}
	s, _ := NewScanner(terms, Options{})
	// Read in odd pieces, so that terms lie across their borders.
	if err := s.Reader(context.Background(), "-", iotest.HalfReader(&b)); err != nil {
		t.Fatal(err)
	}
	at := map[string]bool{}
	for _, h := range s.Found().Hits {
		at[fmt.Sprintf("%s %s, line %d", h.Credential, h.Kind, h.Line)] = true
	}
	missed := 0
	for _, w := range want {
		if place, _, _ := strings.Cut(w, ", as"); !at[place] {
			if missed++; missed < 10 {
				t.Errorf("missed %s", w)
			}
		}
	}
	t.Logf("%d planted, %d missed", len(want), missed)
}

// Nothing is found in 10,000 texts that are nearly one of them: a character more, less or another one, or backwards.
func TestNoNearMiss(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(9, 2))
	terms := registered(r, 1000, true)
	var b bytes.Buffer
	for i := range 10_000 {
		n := terms[i%len(terms)]
		near := n
		for near.Value == n.Value {
			near.Value = nearly(r, n.Value)
		}
		near.Value = "~" + near.Value + "~" // or what stands around it may make it whole
		b.WriteString(writers[r.IntN(len(writers))].write(r, near) + "\n")
	}
	s, _ := NewScanner(terms, Options{})
	whole := b.String()
	if err := s.Reader(context.Background(), "-", &b); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(whole, "\n")
	for _, h := range s.Found().Hits {
		// Base64 of a client id's neighbour at the same place is still the client id in Authorization: Basic.
		if h.Kind == Secret || h.Encoding != secret.Base64 {
			t.Errorf("found %s of %s as %s in line %d, where there is only something like it: %q",
				h.Kind, h.Credential, h.Encoding, h.Line, lines[h.Line-1])
		}
	}
}

// nearly changes a text a little.
func nearly(r *rand.Rand, text string) string {
	v := []rune(text)
	i := r.IntN(len(v))
	switch r.IntN(4) {
	case 0: // one changed
		v[i] = []rune(alnum)[r.IntN(len(alnum))]
	case 1: // one missing at an end
		v = v[1:]
	case 2: // one inside of it
		v = slices.Insert(v, len(v)/2, '_')
	case 3:
		slices.Reverse(v)
	}
	return string(v)
}

// The encoding is named as it is.
func TestEncodings(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 1))
	n := Term{Credential: "ats-sync", Kind: Secret, Value: "s3cr?t/with+odd ch~rs>>>&\"quotes\"", Partner: "82e4424135fe01c1"}
	s, _ := NewScanner([]Term{n}, Options{})
	for _, w := range writers {
		if err := s.Reader(context.Background(), string(w.encoding), strings.NewReader(w.write(r, n))); err != nil {
			t.Fatal(err)
		}
	}
	hits := map[string]secret.Encoding{}
	for _, h := range s.Found().Hits {
		hits[h.Source] = h.Encoding
	}
	for _, w := range writers {
		if hits[string(w.encoding)] != w.encoding {
			t.Errorf("what is written as %s was found as %q", w.encoding, hits[string(w.encoding)])
		}
	}
}

// The filter and its table find what strings.Contains finds, whatever the forms have in common.
func TestMatcherIsExact(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		few := rapid.StringOfN(rapid.RuneFrom([]rune("ab")), MinLength, 40, -1)
		values := rapid.SliceOfN(few, 1, 20).Draw(t, "values")
		var terms []Term
		for i, v := range values {
			terms = append(terms, Term{Credential: fmt.Sprint(i), Kind: Secret, Value: v})
		}
		m := newMatcher(terms)
		in := rapid.StringOfN(rapid.RuneFrom([]rune("ab")), 0, 300, -1).Draw(t, "text")
		found := map[string]map[int]bool{}
		m.find([]byte(in), 0, len(in), func(at int, f *form) {
			if !strings.HasPrefix(in[at:], f.text) {
				t.Fatalf("found %q at %d, where it is not", f.text, at)
			}
			if found[f.text] == nil {
				found[f.text] = map[int]bool{}
			}
			found[f.text][at] = true
		})
		for _, f := range m.forms {
			for at := 0; at+len(f.text) <= len(in); at++ {
				if strings.HasPrefix(in[at:], f.text) && !found[f.text][at] {
					t.Fatalf("%q at %d was not found", f.text, at)
				}
			}
		}
	})
}

// The forms of one term, of which two alphabets of base64 are alike for long, are all found.
func TestFormsOfOneTerm(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(5, 5))
	for range 2000 {
		b := make([]byte, 48)
		for i := range b {
			b[i] = byte(r.IntN(256))
		}
		s, _ := NewScanner([]Term{{Credential: "c", Kind: Secret, Value: string(b)}}, Options{})
		text := `{"d":"` + base64.RawURLEncoding.EncodeToString(b) + `"}`
		if len(s.In(text)) != 1 {
			t.Fatalf("%q is not found in %s", b, text)
		}
	}
}

// A secret is masked in what is shown of a place.
func TestMask(t *testing.T) {
	t.Parallel()
	s, _ := NewScanner([]Term{{Credential: "a", Kind: Secret, Value: "hunter2-hunter2"}}, Options{})
	if got := s.Mask("dir/hunter2-hunter2.txt"); got != "dir/*****.txt" {
		t.Errorf("masked: %q", got)
	}
}

var historyMB = flag.Int("history", 64, "MB of text in the history of BenchmarkHistory")

// BenchmarkHistory searches the history of a repository for 10,000 credentials. The ratio is to git's own reading of
// the same objects, which is what it mostly waits for; memory is what the Go process has from the system.
func BenchmarkHistory(b *testing.B) {
	dir := b.TempDir()
	importHistory(b, dir, *historyMB)
	git := func(args ...string) *exec.Cmd {
		cmd := exec.Command("git", append([]string{"-C", dir}, args...)...)
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null")
		return cmd
	}
	b.Run("git cat-file", func(b *testing.B) {
		b.SetBytes(int64(*historyMB) << 20)
		for b.Loop() {
			cmd := git("cat-file", "--batch-all-objects", "--batch", "--buffer", "--unordered")
			if err := cmd.Run(); err != nil {
				b.Fatal(err)
			}
		}
	})
	terms := registered(rand.New(rand.NewPCG(1, 1)), 10_000, false)
	b.Run("make", func(b *testing.B) {
		for b.Loop() {
			NewScanner(terms, Options{})
		}
	})
	s, _ := NewScanner(terms, Options{History: true})
	b.Run("scan", func(b *testing.B) {
		b.SetBytes(int64(*historyMB) << 20)
		for b.Loop() {
			if err := s.Tree(context.Background(), dir); err != nil {
				b.Fatal(err)
			}
			if f := s.Found(); f.Bytes < int64(*historyMB)<<20 || len(f.Hits) > 0 {
				b.Fatalf("%d bytes were searched, %d found", f.Bytes, len(f.Hits))
			}
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		b.ReportMetric(float64(m.Sys)/1e6, "MB-of-memory")
	})
}

// importHistory makes a bare repository with a commit for each half a megabyte of words.
func importHistory(b *testing.B, dir string, mb int) {
	b.Helper()
	if out, err := exec.Command("git", "init", "-q", "--bare", dir).CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	cmd := exec.Command("git", "-C", dir, "fast-import", "--quiet")
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	r := rand.New(rand.NewPCG(3, 3))
	words := make([]string, 5000)
	for i := range words {
		words[i] = text(r, alnum, 2+r.IntN(12))
	}
	w := bufio.NewWriter(in)
	for i := range 2 * mb {
		var file bytes.Buffer
		for file.Len() < 512<<10 {
			file.WriteString(words[r.IntN(len(words))] + " \n"[:1+r.IntN(2)])
		}
		fmt.Fprintf(w, "commit refs/heads/main\ncommitter a <a@example.com> %.0f +0000\ndata 1\nx\n"+
			"M 644 inline dir%d/file%d\ndata %d\n", 1.7e9+float64(i), i%10, i%100, file.Len())
		_, _ = w.Write(file.Bytes())
		_, _ = w.WriteString("\n")
	}
	_ = w.Flush()
	_ = in.Close()
	if err := cmd.Wait(); err != nil {
		b.Fatal(err)
	}
}
