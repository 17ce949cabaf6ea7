package feed_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/keyrounds/keyrounds/usage/feed"
)

// Plain, gzip and zstd are told by their content; broken ones are an error.
func TestDecompress(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("a line\n", 1000)
	var z, s bytes.Buffer
	g := gzip.NewWriter(&z)
	_, _ = io.WriteString(g, text)
	_ = g.Close()
	e, err := zstd.NewWriter(&s)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(e, text)
	_ = e.Close()
	for name, in := range map[string]string{
		"plain": text, "gzip": z.String(), "two gzips": z.String() + z.String(),
		"zstd": s.String(), "empty": "",
	} {
		r, err := feed.Decompress(strings.NewReader(in))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got, err := io.ReadAll(r)
		if want := map[string]int{"empty": 0, "two gzips": 2 * len(text)}[name]; err != nil ||
			name != "empty" && want == 0 && string(got) != text || want > 0 && len(got) != want {
			t.Errorf("%s: %d bytes, error %v", name, len(got), err)
		}
	}
	for name, in := range map[string]string{
		"half a gzip": z.String()[:20],
		"half a zstd": s.String()[:len(s.String())-3], "nonsense after gzip's magic": "\x1f\x8bxx",
	} {
		r, err := feed.Decompress(strings.NewReader(in))
		if err == nil {
			_, err = io.ReadAll(r)
		}
		if err == nil {
			t.Errorf("%s is read without an error", name)
		}
	}
}
