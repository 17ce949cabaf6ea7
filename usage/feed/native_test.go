package feed

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// These presets are of logs that are read by the million lines: not one of them may fall back to gojq as a whole unnoticed.
func TestBusyPresetsAreNative(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"cloudtrail", "envoy", "nginx-json", "okta", "plain"} {
		if f, err := NewFormat(name, ""); err != nil || f.program.native == nil {
			t.Errorf("%s is run by gojq as a whole; error %v", name, err)
		}
	}
}

// The forms that are native, the ends of what is, and what a part sees of the program around it.
var nativeExpressions = []string{
	`.`, `null`, `true`, `1.5`, `"text"`, `.a`, `.a.b`, `."a-b"`, `.["a"]`, `.a["b"]`, `.[0]`, `.[1].a`, `.a[0]`, `.[1.5]`,
	`.a?`, `.a.b?`, `.a?.b`, `.a.b.c?`, `.[0]?`, `.a??`, `try .a`, `try error("x")`, `.a | .b`, `.a // .b // 3`, `.a.b? // "x"`,
	`(.a | error("x"))? // 3`, `error("x") // 3`, `empty // 3`, `.a and .b`, `.a or .b.c`, `.a == .b`, `.a != 1`, `.a < .b`,
	`.a <= "m"`, `.a > null`, `.a >= [1]`, `error("x") == empty`, `empty == error("x")`, `.a == (1, 2)`, `.a + .b`, `.a + "x"`,
	`. as $x | .a`, `.a as $x | .b as $x | $x`, `.a as $x | (.b as $x | $x) == $x`, `.a as $x | [$x, .b, empty, $x.c?]`,
	`empty as $x | 1`, `{a: .a, "b": .b.c?, c}`, `{a: empty, b: error("x")}`, `{a: error("x"), b: empty}`, `{a: 1, a: 2}`, `{}`, `[]`,
	`[.a]`, `[.[]?]`, `[.a, .b | .c?]`, `[.a, (.b | .. )]`, `if .a then 1 else 2 end`, `if .a then 1 end`,
	`if .a == 1 then 1 elif .b then 2 else empty end`, `if empty then 1 else 2 end`, `if .a.b then 1 else 2 end`,
	`select(.a)`, `select(.a, .b)`, `map(.a)`, `map(.a?)`, `map(select(. != null))`, `.a? // . | map(type)`, `map(.a, .)`,
	`not`, `type`, `.a | type`, `tostring`, `.a | tostring`, `tonumber`, `.a | tonumber`, `.a | tonumber? // 200`, `length`,
	`.a | test("^a")`, `.a | test("A"; "i")`, `.a | test("(")`, `.a | test(["^a", "g"])`, `.a | startswith("a")`, `.a | endswith("b")`,
	`.a | sub("a"; "b")`, `.a | sub("(?<x>a)"; "<\(.x)>")`, `.a | split("b")`, `.a | capture("(?<x>a)")`, `.a | ascii_downcase`,
	`.a | IN("a", "b")`, `.a | IN(1, "b")`, `.a | IN(.b)`, `.a | fromjson`, `error("x")`, `halt`, `[halt]`, `try [halt]`, `[halt] // 1`,
	`[halt_error]`, `try [halt_error]`, `.a as $x | [., halt] | $x`, `def f: .a; f`, `def f: .a; def g: f | .b; g`,
	`def f: f; 1`, `def f: if . == null then 1 else .a? | f end; f`, `def f($x): $x; f(.a)`, `def f(g): g; f(.a)`,
	`def test(r): 1; test("a")`, `def type: 1; type`, `def empty: 1; empty`, `.a as $x | def f: $x; .b as $x | [f, $x]`,
	`.a as $x | def f: $x; .b as $x | [f, $x, (1, 2)]`, `.a as $x | .b as $y | [($x, $y) | tostring]`,
	`def f: 1; def g: [f, (2, 3)]; def f: 4; g`, `.a as $x | map($x)`, `.a as $x | map($x, .)`, `.a as $__slot_0 | $__slot_0`,
	`.a as [$x] | $x`, `.[]`, `.a, .b`, `.a = 1`, `.a |= 1`, `del(.a)`, `reduce .[]? as $x (0; . + 1)`, `label $x | 1, break $x`,
	`{a: 1, x: 2}[.a]?`, `{a: .b}[.a]`, `.[.a]`, `.a[.b]?`, `.["a\("b")"]`, `.["\("a", "b")"]`, `."\("a", "b")"`, `.b[("a","b")]`,
	`.[1:]`, `.[-1]`, `-.a`, `"\(.a)"`, `@base64`, `$__loc__`, `input_line_number`, `first`, `[paths(type == "object")]`,
	`[.a] | map(select(type == "string" and . != "")) | .[0]`, `[.a, .b] | .[1]`, `[.[]?] | .[0].a?`,
	`[paths(objects) as $p | getpath($p)]`, `.b as $b | [paths(objects) as $p | [$p, $b]] | .[0]`, `[paths(objects) as [$p] | $p]`,
	`def objects: .; [paths(objects) as $p | $p]`, `def paths(f): 1, 2; [paths(objects) as $p | $p]`, `[paths(objects) as $p | error("x")]`,
	`.[] | .a`, `.[] | select(.)`, `.a[] | .`, `(.a // [., 1])[] | {x: .}`, `.a?[] | . `, `[{a: 1}, {a: .}][] | {b: .a}`, `.[]? | 1`,
	`[1, 2, 3][] | if . == 2 then [halt] else . end`, `[1, 2, 3][] | if . == 2 then error("x") end`, `error("x")[] | 1`, `empty[] | 1`,
	`[1, halt][] | .`, `def f: .a; .[] | f`, `.[] | .[]`, `.[] as $x | $x`, `.a[] | [paths(objects) as $p | $p]`,
	`1 as $a | 2 as $b | 3 as $c | 4 as $d | 5 as $e | 6 as $f | 7 as $g | 8 as $h | 9 as $i | [$a, $b, $i]`,
}

// What native expressions make of a record is what gojq makes of it.
func TestNativeIsGojq(t *testing.T) {
	t.Parallel()
	texts := nativeExpressions
	for _, p := range Presets() {
		texts = append(texts, p.JQ)
	}
	values := []any{
		nil, true, false, 0, 1, -1, 2.5, 1e300, "", "a", "ab", "200", "0x1", " 1", "nan", `{"a":1}`,
		[]any{},
		[]any{nil, "a", 1},
		map[string]any{},
		[]any{map[string]any{"a": 1}, map[string]any{"a": "b"}},
		json.Number("17"), json.Number("1e400"),
	}
	for _, v := range slices.Clone(values) {
		for _, w := range values[:14] {
			values = append(values, map[string]any{"a": v, "b": w})
			values = append(values, map[string]any{"a": map[string]any{"b": v}, "b": map[string]any{"c": w}})
		}
	}
	for _, text := range texts {
		p, err := newProgram(text, true)
		if err != nil {
			continue // such as an unknown name
		}
		for _, v := range values {
			sameAsGojq(t, text, p, v)
		}
	}
}

// It is so of every preset's examples, too, of every preset's, and of what they become by chance.
func TestNativeIsGojqForPresets(t *testing.T) {
	t.Parallel()
	rounds := 200
	if testing.Short() {
		rounds = 20
	}
	var samples []any
	for _, p := range Presets() {
		for _, x := range p.Examples {
			samples = append(samples, x.Record)
			d := newDecoder()
			if v, err := d.parse([]byte(x.Record)); err == nil {
				samples = append(samples, d.value(v))
			}
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	for _, p := range Presets() {
		program, err := newProgram(p.JQ, true)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range samples {
			sameAsGojq(t, p.Name, program, s)
			for range rounds / len(Presets()) {
				sameAsGojq(t, p.Name, program, mutated(r, s, samples))
			}
		}
	}
}

// mutated is a value in which about one of eight is another: one of elsewhere, or one at the edge of its type.
func mutated(r *rand.Rand, v any, from []any) any {
	if r.IntN(8) == 0 {
		edges := []any{
			nil, true, false, 0, 401, 403, -1, 1e300, 0.5, "", "-", "200", "401", "x", []any{}, map[string]any{}, from[r.IntN(len(from))],
		}
		return edges[r.IntN(len(edges))]
	}
	switch v := v.(type) {
	case map[string]any:
		m := map[string]any{}
		for _, name := range slices.Sorted(maps.Keys(v)) { // so that a seed is a run
			m[name] = mutated(r, v[name], from)
		}
		return m
	case []any:
		list := make([]any, 0, len(v))
		for _, e := range v {
			list = append(list, mutated(r, e, from))
		}
		return list
	case string:
		if r.IntN(4) == 0 && v != "" {
			return v[:r.IntN(len(v))]
		}
	}
	return v
}

func sameAsGojq(t *testing.T, text string, p program, record any) {
	t.Helper()
	if p.native == nil {
		return
	}
	var want []any
	wantErr := program{code: p.code}.run(t.Context(), record, func(v any) error { want = append(want, v); return nil })
	n := 0
	err := p.run(t.Context(), record, func(v any) error {
		if n++; n > len(want) || !cmp.Equal(v, want[n-1]) {
			t.Errorf("%s of %#v: %#v; gojq has %#v", text, record, v, want)
		}
		return nil
	})
	if n < len(want) || (err == nil) != (wantErr == nil) {
		t.Errorf("%s of %#v: %d values, error %v; gojq has %#v, error %v", text, record, n, err, want, wantErr)
	}
}

// A program that calls its functions without end in sight ends with its context.
func TestNativeEndsWithItsContext(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	text.WriteString("def f0: .;")
	for _, name := range strings.Split("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", "") {
		text.WriteString(" def f" + name + ": f0 | f0; def f0: f" + name + ";")
	}
	p, err := newProgram(text.String()+" f0", true)
	if err != nil || p.native == nil {
		t.Fatalf("it is not native; error %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.run(ctx, 1, func(any) error { return nil }); !errors.Is(err, errUnfit) {
		t.Errorf("error %v", err)
	}
}

// FuzzNative: no program makes of any record what gojq does not.
func FuzzNative(f *testing.F) {
	var programs []program
	texts := nativeExpressions
	for _, p := range Presets() {
		texts = append(texts, p.JQ)
		for _, x := range p.Examples {
			f.Add(x.Record)
		}
	}
	for _, text := range texts {
		p, _ := newProgram(text, true) // of one that is no program nothing is native
		programs = append(programs, p)
	}
	f.Add(`{"a":"ab","b":{"c":1}}`)
	f.Fuzz(func(t *testing.T, record string) {
		var v any
		if json.Unmarshal([]byte(record), &v) != nil {
			v = record
		}
		for i, p := range programs {
			sameAsGojq(t, texts[i], p, v)
		}
	})
}
