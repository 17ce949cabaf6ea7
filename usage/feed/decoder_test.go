package feed

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/valyala/fastjson"
)

// A decoder that has read many lines reads the next as a new one does: what lines have in common is the same memory, and
// nothing of one is in another.
func TestDecoderForgets(t *testing.T) {
	t.Parallel()
	lines := []string{
		`{"a":1,"a":2}`, `{}`, `{"b":{"a":"x"}}`, `[{"a":"x"},{"a":"y"}]`, `"x"`, `null`, "\"\xff\xfe\"", `"\ud800"`,
		`{"` + strings.Repeat("n", 65) + `":"` + strings.Repeat("v", 65) + `"}`,
	}
	for range 5000 {
		lines = append(lines, `{"id":"`+strings.Repeat("i", rand.IntN(70))+string(rune('a'+rand.IntN(26)))+`","n":0.5}`)
	}
	many := map[string]int{}
	for i := range 1000 {
		many[strings.Repeat("m", i)] = i
	}
	b, err := json.Marshal(many)
	if err != nil {
		t.Fatal(err)
	}
	lines = append(lines, string(b), `{"a":true}`)
	old := newDecoder()
	for range 2 {
		for _, line := range lines {
			got, want := old.read(t, line), newDecoder().read(t, line)
			if !cmp.Equal(got, want) {
				t.Fatalf("%q is %#v after others, %#v alone", line, got, want)
			}
		}
	}
}

func (d *decoder) read(t *testing.T, line string) any {
	t.Helper()
	v, err := d.parse([]byte(line))
	if err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	return d.value(v)
}

// A number that is written as an integer and fits is an int, and any other a float64.
func TestNumbers(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]any{
		"0": 0, "-0": 0, "7": 7, "-7": -7, "0.0": 0.0, "0.5": 0.5, "-0.5": -0.5, "1e3": 1e3, "0e3": 0.0, "1.0": 1.0, "1e-400": 0.0,
		"9223372036854775807": 9223372036854775807, "9223372036854775808": 9223372036854775808.0, "00": 0,
		"-9223372036854775808": -9223372036854775808, "123456789012345678901234567890": 123456789012345678901234567890.0,
	} {
		if got := number(fastjson.MustParse(text)); got != want {
			t.Errorf("%s is %#v, want %#v", text, got, want)
		}
	}
	for range 200_000 { // also what only fastjson calls a number
		text := make([]byte, 1+rand.IntN(22))
		for i := range text {
			text[i] = "0123456789012345.-eE+infa"[rand.IntN(25)]
		}
		v, err := fastjson.ParseBytes(text)
		if err != nil || v.Type() != fastjson.TypeNumber {
			continue
		}
		got := number(v)
		want, _ := v.Float64()
		if i, err := v.Int(); err == nil && got != i || err != nil && got != want && !math.IsNaN(want) {
			t.Fatalf("%q is %#v; fastjson has %v and %v", text, got, i, want)
		}
	}
}
