package feed_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/klauspost/compress/zstd"

	"github.com/keyrounds/keyrounds/test/lasting"
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

// The digests of a text are of what was brought and of its content, which are the same where it is plain.
func TestDecompressDigested(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("a line\n", 1000)
	var z bytes.Buffer
	g := gzip.NewWriter(&z)
	_, _ = io.WriteString(g, text)
	_ = g.Close()
	for name, in := range map[string]string{"plain": text, "gzip": z.String(), "empty": ""} {
		packed, plain, err := feed.DecompressDigested(strings.NewReader(in))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		content, err := io.ReadAll(plain)
		if _, restErr := io.Copy(io.Discard, packed); err != nil || restErr != nil {
			t.Fatalf("%s: %v, %v", name, err, restErr)
		}
		if packed.String() != feed.DigestOf([]byte(in)) || plain.String() != feed.DigestOf(content) {
			t.Errorf("%s: packed %s, plain %s of %d bytes", name, packed, plain, len(content))
		}
	}
	if _, _, err := feed.DecompressDigested(strings.NewReader("\x1f\x8bxx")); err == nil {
		t.Error("nonsense after gzip's magic is read without an error")
	}
}

// JSON of any layout is read: a value a line, pretty-printed, a list, wrapped as vendors' exports are.
func TestLayouts(t *testing.T) {
	lasting.Test(t, "it reads each format in each layout")
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
		"concatenated":      a + b,
		"one long list":     "[" + strings.Repeat(`{"kind":"heartbeat","at":"2026-11-02T08:00:00Z"},`, 40_000) + a + "," + b + "]",
		"Records":           `{"Records":[` + a + "," + b + `]}`,
		"data.events":       `{"data":{"events":[` + a + "," + b + `]}}`,
		"hits.hits":         `{"took":3,"hits":{"total":2,"hits":[{"_id":"1","_source":` + a + `},{"_id":"2","_source":` + b + `}]}}`,
		"detail":            `{"version":"0","detail":` + a + `}` + "\n" + `{"version":"0","detail":` + b + `}`,
		"a text within": `{"EventId":"1","CloudTrailEvent":` + strconv.Quote(a) + `}` + "\n" +
			`{"CloudTrailEvent":` + strconv.Quote(b) + `}`,
		"Docker": `{"log":` + strconv.Quote(a+"\n") + `,"stream":"stdout","time":"2026-11-02T08:00:00.1Z"}` +
			"\n" + `{"log":` + strconv.Quote(b) + `}`,
		"CRI":              "2026-11-02T08:00:00.123456789Z stdout F " + a + "\n2026-11-02T08:00:01+01:00 stderr F " + b,
		"CRI, in parts":    "2026-11-02T08:00:00.123456789Z stdout P " + a[:20] + "\n2026-11-02T08:00:00.2Z stdout F " + a[20:] + "\n" + b,
		"syslog, RFC 3164": "<190>Nov  2 08:00:00 gw nginx: " + a + "\n<190>Nov  2 08:00:01 gw nginx: " + b,
		"syslog, RFC 5424": "<165>1 2026-11-02T08:00:00.1Z gw nginx 7 - [m@1 a=\"b\"] " + a +
			"\n<165>1 2026-11-02T08:00:00.1Z gw nginx 7 - - " + b,
		"UTF-16":          inUTF16(a+"\r\n"+b, true),
		"UTF-16, no mark": inUTF16(a+"\r\n"+b, false),
		"pretty, BOM":     "\xef\xbb\xbf[\n  {\n    \"client_id\": \"a\",\n    \"at\": 1793606401\n  },\n  " + b + "\n]",
		"value, pretty":   "{\n  \"@odata.context\": \"x\",\n  \"value\": [\n" + a + ",\n" + b + "]\n}",
	} {
		var clients []string
		bad := 0
		err := format.Read(t.Context(), strings.NewReader(text), func(r feed.Reading) error {
			bad += r.BadSeen
			for _, e := range r.Events {
				if e.Kind != feed.Heartbeat {
					clients = append(clients, e.ClientID)
				}
			}
			return nil
		})
		if err != nil || bad > 0 || strings.Join(clients, " ") != "a b" {
			t.Errorf("%s: %v, %d bad, %v", name, clients, bad, err)
		}
	}
}

func inUTF16(text string, mark bool) string {
	var b strings.Builder
	if mark {
		b.WriteString("\xff\xfe")
	}
	for _, u := range utf16.Encode([]rune(text)) {
		b.WriteByte(byte(u))
		b.WriteByte(byte(u >> 8))
	}
	return b.String()
}

// Whatever a record came in, each format reads it as it reads the record itself.
func TestWrappedExamples(t *testing.T) {
	t.Parallel()
	for _, p := range feed.Presets() {
		format, err := feed.NewFormat(p.Name, "")
		if err != nil {
			t.Fatal(err)
		}
		read := func(text string) (found []string) {
			err := format.Read(t.Context(), strings.NewReader(text), func(r feed.Reading) error {
				for _, e := range r.Events {
					if e.ClientID != "" {
						found = append(found, fmt.Sprint(e.Kind, e.ClientID, e.At, e.OK))
					}
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
			return found
		}
		for _, x := range p.Examples {
			record := strings.TrimSpace(x.Record)
			bare := read(record)
			if len(bare) == 0 || strings.Contains(record, "\n") {
				continue
			}
			quoted, err := json.Marshal(record)
			if err != nil {
				t.Fatal(err)
			}
			for name, text := range map[string]string{
				"Docker":  `{"log":` + string(quoted) + `,"stream":"stdout","time":"2026-11-02T08:00:00.1Z"}`,
				"shipper": `{"@version":"1","message":` + string(quoted) + `,"host":{"name":"a"}}`,
				"CRI":     "2026-11-02T08:00:00.123456789Z stdout F " + record,
				"UTF-16":  inUTF16(record, true),
			} {
				if name == "CRI" && format.Input == feed.Document {
					continue // a document has no lines
				}
				if got := read(text); !slices.Equal(got, bare) {
					t.Errorf("%s in %s: %v, want %v\n%s", p.Name, name, got, bare, text)
				}
			}
		}
	}
}

// Nested without end, a text is a bad record, soon.
func TestDeepNesting(t *testing.T) {
	t.Parallel()
	for _, p := range feed.Presets() {
		format, err := feed.NewFormat(p.Name, "")
		if err != nil {
			t.Fatal(err)
		}
		for _, open := range []string{"[", `{"a":`, `{"message":`, `[{"data":`, `{"log":"{`, "\n[", "[\n"} {
			bad := 0
			began := time.Now()
			err := format.Read(
				t.Context(),
				strings.NewReader(strings.Repeat(open, 60_000)),
				func(r feed.Reading) error { bad += r.BadSeen; return nil },
			)
			var broken *feed.BrokenError
			if errors.As(err, &broken) {
				err = nil
			}
			if took := time.Since(began); err != nil || bad == 0 && format.Input != feed.Any || took > time.Minute {
				t.Errorf("%s, %q: %d bad after %s, %v", p.Name, open, bad, took, err)
			}
		}
	}
}

// A compressed text that breaks off is an error, whatever reads it.
func TestCut(t *testing.T) {
	lasting.Test(t, "it reads each format many times")
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
