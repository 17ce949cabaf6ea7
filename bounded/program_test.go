package bounded_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyrounds/keyrounds/bounded"
)

func compile(t testing.TB, text string, names ...string) *bounded.Program {
	t.Helper()
	p, err := bounded.Compile(text, names...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestRun(t *testing.T) {
	t.Parallel()
	same := map[string]any{"a": []any{nil, true, 1, -2.5, "é\u0000"}}
	for _, k := range []struct {
		text string
		in   any
		most int
		want []any
		err  error
	}{
		{".", same, 9, []any{same}, nil},
		{".[]", []any{1, 2, 3}, 2, []any{1, 2}, nil},
		{".[], error", []any{1, 2}, 9, []any{1, 2}, bounded.ErrFailed},
		{"1, halt", nil, 9, []any{1}, bounded.ErrHalted},
		{"repeat(1)", nil, 3, []any{1, 1, 1}, nil},
		{"empty", nil, 9, []any{}, nil},
		{"env | length", nil, 9, []any{0}, nil},
	} {
		got, err := compile(t, k.text).Run(t.Context(), k.most, k.in)
		if !errors.Is(err, k.err) || !cmp.Equal(got, k.want) {
			t.Errorf("%s: %v %v", k.text, got, err)
		}
	}
	got, err := compile(t, "$x + .", "$x").Run(t.Context(), 1, 1, 2)
	if err != nil || !cmp.Equal(got, []any{3}) {
		t.Errorf("with a variable: %v %v", got, err)
	}
	if _, err := bounded.Compile("nothing_like_this"); err == nil {
		t.Error("an unknown name compiles")
	}
}

// Whatever jq makes of a record, it takes no more than it may, and the error says of what; the next record fares as if there had
// been none.
func TestJQTakesNoMoreThanItMay(t *testing.T) {
	t.Parallel()
	memory, long := bounded.ErrMemory, bounded.ErrTime
	for text, want := range map[string][]error{
		`[range(.)]`:                                                                 {memory, long},
		`[range(.) | {a: ., b: "x"}]`:                                                {memory, long},
		`[range(.) as $a | range(9)|[$a]]`:                                           {memory, long},
		`reduce range(40) as $i ("xxxxxxxx"; .+.) | length`:                          {memory},
		`reduce range(40) as $i ([1]; .+.) | length`:                                 {memory, long},
		`"x" * 1e9 | length`:                                                         {memory, bounded.ErrFailed},
		`reduce range(26) as $i ("x"; .+.) | explode | length`:                       {memory, long},
		`[limit(1e8; repeat("x"))] | length`:                                         {memory, long},
		`reduce range(60) as $i (1; [., .]) | tojson | length`:                       {memory, long},
		`reduce range(60) as $i (1; [., .]) | flatten | length`:                      {memory, long},
		`reduce range(60) as $i (1; [., .])`:                                         {memory, long},
		`reduce range(1e7) as $i (1; [.]) | tojson | length`:                         {memory, long},
		`reduce range(20) as $i ("x"; .+.) | [range(9000) as $i | .] | add | length`: {memory, long},
		`def f: f | f; f`:                                                            {memory, long},
		`last(range(.))`:                                                             {long},
		`[range(1e5)] | combinations(4) | .[0]`:                                      {nil},
		`until(false; .)`:                                                            {long},
		`[range(1e6)] | map(tostring) | join(",") | test("(a*)*b")`:                  {memory, long, nil},
		`"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" | test("(a+)+$b")`:                   {nil},
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			_, err := compile(t, text).Run(t.Context(), 1, 1e15)
			for _, w := range want {
				if errors.Is(err, w) || err == nil && w == nil {
					return
				}
			}
			t.Errorf("%v", err)
		})
	}
	ordinary := compile(t, ".a")
	for range 20 {
		if got, err := ordinary.Run(t.Context(), 1, map[string]any{"a": "b"}); err != nil || !cmp.Equal(got, []any{"b"}) {
			t.Fatalf("an ordinary record: %v %v", got, err)
		}
	}
}

// A run ends with its context, one that the processes are busy for too.
func TestARunEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if _, err := compile(t, "until(false; .)").Run(ctx, 1, 1); !errors.Is(err, context.DeadlineExceeded) &&
				!errors.Is(err, bounded.ErrTime) {
				t.Errorf("%v", err)
			}
		})
	}
	all.Wait()
}

// A worker that was killed while it waited is replaced, and nobody sees it. Not parallel: it kills the workers.
func TestAKilledWorkerIsReplaced(t *testing.T) {
	p := compile(t, ".")
	for range 3 {
		if _, err := p.Run(t.Context(), 1, 1); err != nil {
			t.Fatal(err)
		}
		for _, pid := range workers(t) {
			process, _ := os.FindProcess(pid)
			_ = process.Kill()
		}
	}
}

// workers are the processes that are ours and workers. None has anything of our environment, and nobody reads their memory.
func workers(t *testing.T) (pids []int) {
	t.Helper()
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range files {
		line, _ := os.ReadFile(file)
		stat, _ := os.ReadFile(filepath.Join(filepath.Dir(file), "status"))
		if string(line) != "keyrounds-jq\x00" || !strings.Contains(string(stat), fmt.Sprintf("\nPPid:\t%d\n", os.Getpid())) {
			continue
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		pids = append(pids, pid)
		if env, err := os.ReadFile(filepath.Join(filepath.Dir(file), "environ")); err == nil && strings.Contains(string(env), "HOME=") {
			t.Errorf("a worker has our environment: %q", env)
		}
	}
	if len(pids) == 0 {
		t.Fatal("there is no worker")
	}
	return pids
}

func BenchmarkRun(b *testing.B) {
	p := compile(b, "{client_id: .a, at: .b}")
	record := map[string]any{"a": "client", "b": 1764000000, "c": "Mozilla/5.0 (X11; Linux x86_64)", "d": map[string]any{"e": "GET"}}
	for b.Loop() {
		if _, err := p.Run(b.Context(), 10, record); err != nil {
			b.Fatal(err)
		}
	}
}
