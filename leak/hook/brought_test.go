package hook_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/keyrounds/keyrounds/leak/hook"
)

const (
	some = "0123456789abcdef0123456789abcdef01234567"
	none = "0000000000000000000000000000000000000000"
)

// What git does not give a hook is refused: nothing of it reaches git as an option, and nothing passes for a push without objects.
func TestWhatGitDoesNotGive(t *testing.T) {
	t.Parallel()
	for _, in := range []string{
		"x", some + " --all refs/heads/a\n", none + " " + some[:39] + " refs/heads/a\n", none + " HEAD refs/heads/a\n",
		none + " " + strings.ToUpper(some) + " refs/heads/a\n", none + " " + some + "\n", none + " " + some + " a b\n", "\n",
	} {
		if b, err := hook.PreReceive(t.Context(), strings.NewReader(in)); err == nil {
			t.Errorf("%q: %+v", in, b)
		}
	}
	if b, err := hook.PrePush(t.Context(), "origin", strings.NewReader(none+" "+some+" refs/heads/a\n")); err == nil {
		t.Errorf("of another hook: %+v", b)
	}
}

// Refs that are deleted bring nothing, and neither does an empty push.
func TestNothingIsBrought(t *testing.T) {
	t.Parallel()
	for _, in := range []string{"", some + " " + none + " refs/heads/a\n"} {
		b, err := hook.PreReceive(t.Context(), strings.NewReader(in))
		if err != nil || len(b.Texts) != 0 || len(b.Parts(1, 1)) != 0 {
			t.Errorf("%q: %+v %v", in, b, err)
		}
	}
}

// Portions have as much as they may, keep the order, and leave nothing out.
func TestParts(t *testing.T) {
	t.Parallel()
	for want, sizes := range map[string][]int64{
		"[[5 5] [5]]":        {5, 5, 5},
		"[[10] [11] [1 2]]":  {10, 11, 1, 2},
		"[[99] [1 1 1] [1]]": {99, 1, 1, 1, 1},
		"[[0 0 0] [0]]":      {0, 0, 0, 0},
	} {
		b := hook.Brought{}
		for _, n := range sizes {
			b.Texts = append(b.Texts, hook.Text{Size: n})
		}
		var got [][]int64
		for _, part := range b.Parts(10, 3) {
			var all []int64
			for _, text := range part {
				all = append(all, text.Size)
			}
			got = append(got, all)
		}
		if fmt.Sprint(got) != want {
			t.Errorf("%v: %v, want %s", sizes, got, want)
		}
	}
}
