package feed

import (
	"context"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// Whatever a record holds, reading it ends, says what is wrong without repeating it, and gives only
// addresses and samples that can be stored.
func FuzzRecords(f *testing.F) {
	var formats []Format
	for _, p := range Presets() {
		format, err := NewFormat(p.Name, "")
		if err != nil {
			f.Fatal(err)
		}
		formats = append(formats, format)
		for _, x := range p.Examples {
			f.Add(x.Record)
		}
	}
	f.Add(`{"client_id":"a","at":1e400}`)
	f.Add("{\"client_id\":\"\x00\xff\u202e\",\"at\":\"2026-11-02T08:00:01Z\",\"source_ip\":\"::ffff:1.2.3.4%eth0\"}")
	f.Fuzz(func(t *testing.T, text string) {
		for _, format := range formats {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			var r Reading
			if format.Input == Document {
				_ = documents(strings.NewReader(text), func(v any) { format.value(ctx, v, nil, &r) })
			} else {
				r = format.lines(ctx, newDecoder(), []byte(text), nil)
			}
			cancel()
			for _, e := range r.Events {
				if e.Address.IsValid() && (e.Address.Zone() != "" || e.Address.Is4In6()) {
					t.Errorf("%s: the address %s is not plain", format.Name, e.Address)
				}
			}
			for _, b := range r.Bad {
				if !utf8.ValidString(b.Sample) || strings.ContainsAny(b.Sample, "\x00\n\x1b") ||
					utf8.RuneCountInString(b.Sample) > maxSample {
					t.Errorf("%s: the sample %q is not clean", format.Name, b.Sample)
				}
			}
		}
	})
}
