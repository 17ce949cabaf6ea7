package feed_test

import (
	"bytes"
	"compress/gzip"
	"errors"
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

// JSON of any layout is read: a value a line, pretty-printed, a list, wrapped as vendors' exports are.
func TestLayouts(t *testing.T) {
	t.Parallel()
	format, err := feed.NewFormat("plain", "")
	if err != nil {
		t.Fatal(err)
	}
	const a, b = `{"client_id":"a","at":"2026-11-02T08:00:00Z"}`, `{"client_id":"b","at":"2026-11-02T08:00:01Z"}`
	for name, text := range map[string]string{
		"lines":             a + "\n" + b + "\n",
		"lines, BOM":        "\xef\xbb\xbf" + a + "\r\n" + b,
		"a list":            "[" + a + "," + b + "]",
		"a list over lines": "[\n" + a + ",\n" + b + "\n]\n",
		"pretty":            "[\n  {\n    \"client_id\": \"a\",\n    \"at\": 1793606401\n  },\n  " + b + "\n]",
		"pretty, each":      "{\n  \"client_id\": \"a\",\n  \"at\": 1793606401\n}\n{\n  \"client_id\": \"b\",\n  \"at\": 1793606402\n}\n",
		"records":           `{"records":[` + a + "," + b + `]}`,
		"value, pretty":     "{\n  \"@odata.context\": \"x\",\n  \"value\": [\n" + a + ",\n" + b + "]\n}",
	} {
		var clients []string
		bad := 0
		err := format.Read(t.Context(), strings.NewReader(text), func(r feed.Reading) error {
			bad += r.BadSeen
			for _, e := range r.Events {
				clients = append(clients, e.ClientID)
			}
			return nil
		})
		if err != nil || bad > 0 || strings.Join(clients, " ") != "a b" {
			t.Errorf("%s: %v, %d bad, %v", name, clients, bad, err)
		}
	}
}

// A compressed text that breaks off is an error, whatever reads it.
func TestCut(t *testing.T) {
	t.Parallel()
	var z, s bytes.Buffer
	text := strings.Repeat(`{"client_id":"a","at":"2026-11-02T08:00:00Z"}`+"\n", 10_000)
	g := gzip.NewWriter(&z)
	_, err1 := io.WriteString(g, text)
	e, err2 := zstd.NewWriter(&s)
	_, err3 := io.WriteString(e, text)
	if err := errors.Join(err1, err2, err3, g.Close(), e.Close()); err != nil {
		t.Fatal(err)
	}
	for _, preset := range []string{"plain", "cloudtrail", "keycloak"} {
		format, err := feed.NewFormat(preset, "")
		if err != nil {
			t.Fatal(err)
		}
		for name, whole := range map[string][]byte{"gzip": z.Bytes(), "zstd": s.Bytes()} {
			for _, share := range []int{2, 3, 10} {
				in, err := feed.Decompress(bytes.NewReader(whole[:len(whole)-len(whole)/share]))
				if err == nil {
					err = format.Read(t.Context(), in, func(feed.Reading) error { return nil })
				}
				if err == nil {
					t.Errorf("%s as %s, without its last %d of %d bytes, is whole", name, preset, len(whole)/share, len(whole))
				}
			}
		}
	}
}
