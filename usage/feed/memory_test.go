package feed

import (
	"errors"
	"reflect"
	"testing"

	"github.com/keyrounds/keyrounds/bounded"
)

// A record that has a user's jq make very much ends that record, and the error says so; also where most of the program runs in Go.
func TestJQTakesNoMoreMemory(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"a list":         `[range(.n)]`,
		"a product":      `[range(.n) as $a | range(9) | [$a, .]]`,
		"a text":         `reduce range(40) as $i ("xxxxxxxx"; . + .) | length`,
		"within a value": `.n as $x | {client_id: ([range($x)] | length | tostring)}`,
	} {
		p, err := newProgram(text, false)
		if err != nil {
			t.Fatal(err)
		}
		err = p.run(t.Context(), map[string]any{"n": 1_000_000_000_000}, func(any) error { return nil })
		if !errors.Is(err, bounded.ErrMemory) && !errors.Is(err, bounded.ErrTime) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What a user's jq makes in a process of its own is what a preset's makes in ours.
func TestApartIsTheSame(t *testing.T) {
	t.Parallel()
	for _, preset := range Presets() {
		ours, err := NewFormat(preset.Name, "")
		if err != nil {
			t.Fatal(err)
		}
		users, err := NewFormat("", preset.JQ)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range preset.Examples {
			var record any = x.Record
			d := newDecoder()
			if v, err := d.parse([]byte(x.Record)); err == nil {
				record = d.value(v)
			}
			for _, r := range []any{record, nil, 1, "x", []any{record}, map[string]any{"x": record}} {
				want, wantErr := ours.Events(t.Context(), r)
				got, err := users.Events(t.Context(), r)
				if !reflect.DeepEqual(got, want) || (err == nil) != (wantErr == nil) {
					t.Errorf("%s of %v: %v %v; in this process %v %v", preset.Name, r, got, err, want, wantErr)
				}
			}
		}
	}
}
