package scan

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// BenchmarkScan reads text of several kinds for 10,000 credentials, on one core, and Go's source for fewer. Two floors stand beside each
// kind: counting line ends, which is the memory's speed, and the matcher alone, which undoes nothing.
func BenchmarkScan(b *testing.B) {
	scanners := map[string]*Scanner{}
	for _, of := range []struct {
		name string
		n    int
		odd  bool
	}{{"1", 1, false}, {"100", 100, false}, {"10000", 10_000, false}, {"10000-odd", 10_000, true}} {
		scanners[of.name], _ = NewScanner(registered(rand.New(rand.NewPCG(1, 1)), of.n, of.odd), Options{})
	}
	for _, kind := range kinds(b) {
		run := func(name string, f func()) {
			b.Run(kind.name+"/"+name, func(b *testing.B) {
				b.SetBytes(int64(len(kind.text)))
				for b.Loop() {
					f()
				}
			})
		}
		run("lines", func() { bytes.Count(kind.text, []byte{'\n'}) })
		run("matcher", func() { scanners["10000"].matcher.find(kind.text, 0, len(kind.text), func(int, *form) {}) })
		for _, name := range []string{"10000", "10000-odd", "100", "1"} {
			if kind.name != "source" && !strings.HasPrefix(name, "10000") {
				continue
			}
			run("credentials="+name, func() {
				if err := scanners[name].Reader(context.Background(), "-", io.MultiReader(bytes.NewReader(kind.text))); err != nil {
					b.Fatal(err)
				}
			})
		}
	}
}

type kindOfText struct {
	name string
	text []byte
}

// kinds are 8 MB each of what a scan meets.
func kinds(tb testing.TB) []kindOfText {
	const size = 8 << 20
	r := rand.New(rand.NewPCG(7, 7))
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		tb.Fatal(err)
	}
	root := strings.TrimSpace(string(out))
	program, err := os.ReadFile(filepath.Join(root, "bin/go"))
	if err != nil {
		tb.Fatal(err)
	}
	script, err := os.ReadFile(filepath.Join(root, "src/internal/trace/traceviewer/static/webcomponents.min.js"))
	if err != nil {
		tb.Fatal(err)
	}
	noise := make([]byte, size)
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	source := filesUnder(filepath.Join(root, "src/cmd"), ".go", size)
	return []kindOfText{
		{"source", source},
		{"log", repeated(size, func(w *bytes.Buffer) { writeLogLine(w, r) })},
		{"json", repeated(size, func(w *bytes.Buffer) { writeRecord(w, r, "  ") })},
		{"json-lines", repeated(size, func(w *bytes.Buffer) { writeRecord(w, r, "") })},
		{"script", repeated(size, func(w *bytes.Buffer) { w.Write(script) })},
		{"binary", program[:min(len(program), size)]},
		{"noise", noise},
		{"base64", inLines(base64.StdEncoding.EncodeToString(noise[:size*3/4]))},
		{"base64-text", inLines(base64.StdEncoding.EncodeToString(source[:size*3/4]))},
		{"hex", inLines(hex.EncodeToString(noise[:size/2]))},
	}
}

func filesUnder(dir, ext string, size int) (all []byte) {
	_ = filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && strings.HasSuffix(name, ext) && len(all) < size {
			content, _ := os.ReadFile(name)
			all = append(all, content...)
		}
		return nil
	})
	return all[:min(len(all), size)]
}

func repeated(size int, write func(*bytes.Buffer)) []byte {
	var w bytes.Buffer
	for w.Len() < size {
		write(&w)
	}
	return w.Bytes()[:size]
}

func inLines(text string) []byte {
	const width = 76
	var w bytes.Buffer
	for ; len(text) > width; text = text[width:] {
		w.WriteString(text[:width] + "\n")
	}
	w.WriteString(text + "\n")
	return w.Bytes()
}

var words = strings.Fields("account application candidate create delete error expired fetch handler interview invalid job list message " +
	"offer payload position profile queue request response review scope session status token update user version webhook")

func someWords(r *rand.Rand, n int) string {
	var all []string
	for range n {
		all = append(all, words[r.IntN(len(words))])
	}
	return strings.Join(all, " ")
}

func someID(r *rand.Rand) string {
	h := fmt.Sprintf("%016x%016x", r.Uint64(), r.Uint64())
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// writeLogLine writes one of a proxy's or of a program's.
func writeLogLine(w *bytes.Buffer, r *rand.Rand) {
	if r.IntN(2) == 0 {
		query := url.Values{"q": {someWords(r, 3)}, "next": {"https://app.example.com/" + words[r.IntN(len(words))] + "?id=" + someID(r)}}
		fmt.Fprintf(w, "10.%d.%d.%d - - [12/Nov/2026:10:%02d:%02d +0000] ", r.IntN(256), r.IntN(256), r.IntN(256), r.IntN(60), r.IntN(60))
		fmt.Fprintf(w, "\"GET /api/v1/%ss/%d?%s HTTP/1.1\" ", words[r.IntN(len(words))], r.IntN(100_000), query.Encode())
		fmt.Fprintf(w, "%d %d \"-\" \"Mozilla/5.0 (X11; Linux x86_64)\"\n", 200+r.IntN(5)*100, r.IntN(100_000))
		return
	}
	fmt.Fprintf(w, "time=2026-11-12T10:%02d:%02d.%03dZ level=INFO msg=%q trace=%016x%016x user=%s took=%dms\n",
		r.IntN(60), r.IntN(60), r.IntN(1000), someWords(r, 4), r.Uint64(), r.Uint64(), someID(r), r.IntN(1000))
}

// writeRecord writes what an API answers, with texts that hold quotes and line ends.
func writeRecord(w *bytes.Buffer, r *rand.Rand, indent string) {
	e := json.NewEncoder(w)
	e.SetIndent("", indent)
	_ = e.Encode(map[string]any{
		"id": someID(r), "name": someWords(r, 2), "active": r.IntN(2) == 0, "count": r.IntN(1000), "ratio": r.Float64(),
		"description": someWords(r, 12) + "\n\"" + someWords(r, 3) + "\"\tand <b>" + someWords(r, 1) + "</b> & " + someWords(r, 4),
		"links":       []string{"https://example.com/" + someID(r), "https://example.com/a/b?c=" + someWords(r, 1)},
		"tags":        strings.Fields(someWords(r, 5)),
		"position":    map[string]any{"x": r.IntN(100), "y": r.IntN(100), "history": []int{r.IntN(9), r.IntN(99), r.IntN(999)}},
	})
}
