package feed

import (
	"testing"
)

// BenchmarkFormats is what each preset takes for a record of its examples, beside what gojq alone takes.
func BenchmarkFormats(b *testing.B) {
	for _, p := range Presets() {
		f, err := NewFormat(p.Name, "")
		if err != nil {
			b.Fatal(err)
		}
		interpreted := f
		interpreted.program.native = nil
		var records []any
		for _, x := range p.Examples {
			d := newDecoder()
			if v, err := d.parse([]byte(x.Record)); err == nil {
				records = append(records, d.value(v))
			} else {
				records = append(records, x.Record)
			}
		}
		if p.Name == "nginx-json" { // whom most lines are of
			records = []any{map[string]any{"time_iso8601": "2026-11-02T08:00:01+00:00", "client_id": "-", "status": 200}}
		}
		for name, f := range map[string]Format{"": f, "-gojq": interpreted} {
			b.Run(p.Name+name, func(b *testing.B) {
				for i := 0; b.Loop(); i++ {
					_, _ = f.Events(b.Context(), records[i%len(records)])
				}
			})
		}
	}
}
