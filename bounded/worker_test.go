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
	"syscall"
	"testing"
	"time"

	"github.com/keyrounds/keyrounds/bounded"
)

// Whatever jq makes of a record, it takes no more than it may, and the error says of what; the next record fares as if there had
// been none.
func TestJQTakesNoMoreThanItMay(t *testing.T) {
	t.Parallel()
	const memory, long = "memory", "took more than 1s"
	for text, want := range map[string][]string{
		`[range(.)]`:                                                                 {memory, long},
		`[range(.) | {a: ., b: "x"}]`:                                                {memory, long},
		`[range(.) as $a | range(9)|[$a]]`:                                           {memory, long},
		`reduce range(40) as $i ("xxxxxxxx"; .+.) | length`:                          {memory},
		`reduce range(40) as $i ([1]; .+.) | length`:                                 {memory, long},
		`"x" * 1e9 | length`:                                                         {memory},
		`reduce range(26) as $i ("x"; .+.) | explode | length`:                       {memory, long},
		`[limit(1e8; repeat("x"))] | length`:                                         {memory, long},
		`reduce range(60) as $i (1; [., .]) | tojson | length`:                       {memory, long},
		`reduce range(60) as $i (1; [., .]) | flatten | length`:                      {memory, long},
		`reduce range(60) as $i (1; [., .])`:                                         {memory, long},
		`reduce range(1e7) as $i (1; [.]) | tojson | length`:                         {memory, long},
		`reduce range(20) as $i ("x"; .+.) | [range(9000) as $i | .] | add | length`: {memory, long},
		`def f: f | f; f`:                                                            {memory, long},
		`last(range(.))`:                                                             {long},
		`[range(1e5)] | combinations(4) | .[0]`:                                      {""},
		`until(false; .)`:                                                            {long},
		`[range(1e6)] | map(tostring) | join(",") | test("(a*)*b")`:                  {memory, long, ""},
		`"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" | test("(a+)+$b")`:                   {""},
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			_, _, err := compile(t, text).First(t.Context(), 1e15)
			for _, w := range want {
				if err == nil && w == "" || err != nil && w != "" && strings.Contains(err.Error(), w) {
					return
				}
			}
			t.Errorf("%v", err)
		})
	}
	ordinary := compile(t, ".a")
	for range 20 {
		if got, _, err := ordinary.First(t.Context(), map[string]any{"a": "b"}); err != nil || got != "b" {
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
			_, _, err := compile(t, "until(false; .)").First(ctx, 1)
			var exceeded *bounded.ExceededError
			if !errors.Is(err, context.DeadlineExceeded) && !errors.As(err, &exceeded) {
				t.Errorf("%v", err)
			}
		})
	}
	all.Wait()
}

// A worker that was killed while it waited is replaced, and nobody sees it. Not parallel: it kills the workers.
func TestAKilledWorkerIsReplaced(t *testing.T) {
	p := compile(t, ".")
	for _, signal := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM, syscall.SIGKILL} {
		if _, _, err := p.First(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		for _, pid := range workers(t) {
			_ = syscall.Kill(pid, signal)
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
