package bounded_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyrounds/keyrounds/bounded"
	"github.com/keyrounds/keyrounds/test/lasting"
)

func compile(t testing.TB, text string, variables ...string) bounded.JQ {
	t.Helper()
	q, err := bounded.Compile(text, variables...)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return q
}

// No program takes more than a second or 256 MiB, whichever way; which of the two, and by which expression, is said, and what comes
// after it is not hurt.
func TestJQIsBounded(t *testing.T) {
	lasting.Test(t, "it takes what time there is")
	t.Parallel()
	for text, what := range map[string]string{
		`reduce range(40) as $i ("xxxxxxxx"; .+.) | length`:           "memory",
		`reduce range(40) as $i ([0]; .+.) | length`:                  "memory",
		`reduce range(27) as $i ("xxxxxxxx"; .+.) | explode | length`: "memory",
		`reduce range(24) as $i ("xxxxxxxx"; .+.) | explode | length`: "memory",
		`"x" * 1e9 | length`:                                     "memory",
		`[limit(1e8; repeat(1))] | length`:                       "",
		`[range(1e12)]`:                                          "",
		`null | .[100000000] = 1 | length`:                       "memory",
		`reduce range(60) as $i (10; . * .) | tostring | length`: "",
		`[range(1e5)] - [range(1e5)] | length`:                   "1s",
		`def f: f; f`:                                            "1s",
		`last(range(1e12))`:                                      "1s",
		`reduce range(1e7) as $i (null; [.]) | tojson | length`:  "",
		`reduce range(2e4) as $i (null; [.])`:                    "deep",
		`range(1e12)`:                                            "",
		`[match("";"g")] | length`:                               "ok",
		`"x" * 5e6`:                                              "made more than",
		`[range(300)] as $a | [range(300)] | map($a) | transpose | length`: "ok",
		`def r: [.,.] | r; r`:                                                "",
		`"x" * 1e8 | test("(x+x+)+y")`:                                       "",
		`"a,b" * 1e7 | split(",") | length`:                                  "memory",
		`[range(9)] | [., .] | [combinations] | length`:                      "ok",
		`try error("x") catch .`:                                             "ok",
		`reduce range(1e6) as $i ({}; .[$i|tostring] = "xxxxxxxxxx" * 1000)`: "",
	} {
		began := time.Now()
		err := compile(t, text).Run(t.Context(), "x,y", nil, func(any) error { return nil })
		var exceeded *bounded.ExceededError
		if what == "ok" {
			if errors.As(err, &exceeded) {
				t.Errorf("%s: %v", text, err)
			}
			continue
		}
		if !errors.As(err, &exceeded) || !strings.Contains(err.Error(), what) || !strings.Contains(err.Error(), text[:8]) {
			t.Errorf("%s: %v", text, err)
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("%s: took %v", text, took)
		}
		if v, is, err := compile(t, `.a`).First(t.Context(), map[string]any{"a": 7}); err != nil || !is || v != 7 {
			t.Errorf("after %s: %v, %v", text, v, err)
		}
	}
	var of syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_CHILDREN, &of); err != nil {
		t.Fatal(err)
	}
	if most := of.Maxrss << 10; most > bounded.MaxMemory {
		t.Errorf("a process took %d MiB", most>>20)
	}
}

// What a program makes is the same as in this process.
func TestJQIsTheSameApart(t *testing.T) {
	t.Parallel()
	in := map[string]any{
		"a": 1, "b": 2.5, "c": "ä\u2028\n\"", "d": []any{nil, true, false, -1}, "e": map[string]any{}, "f": 9007199254740993, "g": "",
	}
	for _, text := range []string{
		`.`, `.a`, `.[]`, `empty`, `.b * 2`, `.d[]`, `.a, error("x"), .b`, `.a, halt, .b`, `.a, halt_error, .b`, `$v + .a`, `[.f]`,
		`1e1000`, `nan`,
		`.c | length`,
		`. as {$a} | {a: $a, "x": [.d[1:]]}`, `env`, `100000000000000000000`,
	} {
		q := compile(t, text, "$v")
		run := func(q bounded.JQ) (values []any, err error) {
			err = q.Run(t.Context(), in, []any{41}, func(v any) error { values = append(values, v); return nil })
			return values, err
		}
		want, wantErr := run(q.Inside())
		got, err := run(q)
		if fmt.Sprint(want) != fmt.Sprint(got) && text != `nan` && text != `1e1000` || !errors.Is(err, wantErr) {
			t.Errorf("%s: %#v, %v; inside it is %#v, %v: %s", text, got, err, want, wantErr, cmp.Diff(want, got))
		}
	}
}

// Many at once, some of which are ended, do not mix.
func TestJQAtOnce(t *testing.T) {
	t.Parallel()
	q, bad := compile(t, `{n: .}`), compile(t, `"x" * 1e9`)
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			for j := range 50 {
				if i == 0 && j%10 == 0 {
					_, _, _ = bad.First(t.Context(), nil)
				}
				v, _, err := q.First(t.Context(), i*1000+j)
				if m, _ := v.(map[string]any); err != nil || m["n"] != i*1000+j {
					t.Errorf("%d: %v, %v", i*1000+j, v, err)
				}
			}
		})
	}
	all.Wait()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, _, err := compile(t, `last(range(1e12))`).First(ctx, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("at the end of its context: %v", err)
	}
}

// Neither our environment nor our open files are in the process; what it reads is in no error.
func TestJQGetsNothingOfOurs(t *testing.T) {
	t.Setenv("C4N4RY", "c4n4ry")
	v, _, err := compile(t, `env`).First(t.Context(), nil)
	if err != nil || fmt.Sprint(v) != "map[]" {
		t.Errorf("%v, %v", v, err)
	}
	_, _, err = compile(t, `error`).First(t.Context(), "c4n4ry")
	if err == nil || strings.Contains(err.Error(), "c4n4ry") {
		t.Errorf("error %v", err)
	}
}

func BenchmarkRun(b *testing.B) {
	record := map[string]any{
		"time_iso8601": "2026-11-02T08:00:01+00:00", "remote_addr": "203.0.113.7", "client_id": "82e4424135fe01c1", "status": 200,
		"request_uri": "/candidates?limit=100", "http_user_agent": "Go-http-client/1.1", "request_id": "b7e1f3c09a8d4f6e8d2a1c3b5e7f9a0b",
	}
	q := compile(b, `select(.client_id != "-") | {client_id, at: .time_iso8601, ok: (.status < 400), source_ip: .remote_addr}`)
	for name, q := range map[string]bounded.JQ{"apart": q, "inside": q.Inside()} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, _, err := q.First(b.Context(), record); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
