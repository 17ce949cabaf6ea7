package feed

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/keyrounds/keyrounds/bounded"
	"github.com/keyrounds/keyrounds/test/lasting"
)

// A record that has jq take very much ends that record, by what it took too much of, and no other one: also what runs natively, or in
// parts. Not parallel: it looks at the memory of the process.
func TestJQTakesNoMoreMemory(t *testing.T) {
	lasting.Test(t, "it takes what time there is")
	doubled := strings.Repeat(" | . + .", 40)
	var calls strings.Builder
	for _, name := range strings.Split("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", "") {
		calls.WriteString(" def f" + name + ": f0 | f0; def f0: f" + name + ";")
	}
	for name, x := range map[string]struct{ text, what string }{
		"a list":             {`[range(.n)]`, "took"}, // whichever bound comes first here
		"objects":            {`[range(.n) | {a: ., b: "x"}]`, "took"},
		"a product":          {`[range(.n) as $a | range(9) | [$a, .]]`, "took"},
		"a text, doubled":    {`reduce range(40) as $i ("xxxxxxxx"; . + .) | length`, "memory"},
		"characters":         {`reduce range(25) as $i ("xxxxxxxx"; . + .) | explode | length`, "memory"},
		"a text, repeated":   {`"x" * 1e9 | length`, "memory"},
		"a list without end": {`[limit(1e8; repeat(1))] | length`, "took"},
		"differences":        {`[range(2e5)] - [range(2e5)]`, "took more than 1s"},
		"sums in Go":         {`"xxxxxxxx"` + doubled, "m"},
		"calls in Go":        {"def f0: .;" + calls.String() + " f0", "took more than 1s"},
		"a part":             {`{client_id: (.c | fromjson | tostring), at: [range(1e12)]}`, "took"},
		"a part, caught":     {`{client_id: ([range(1e12)]? // 1)}`, "took"},
		"many parts":         {`.l[] | {client_id: ([range(1e5)] | last | tostring)}`, "took more than 1s"},
	} {
		p, err := newProgram(x.text, false)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		list := make([]any, 1000)
		began := time.Now()
		err = p.run(context.Background(), map[string]any{"n": 1_000_000_000_000, "c": "1", "l": list}, func(any) error { return nil })
		var exceeded *bounded.ExceededError
		if !errors.As(err, &exceeded) || !strings.Contains(err.Error(), x.what) {
			t.Errorf("%s: %v", name, err)
		}
		if took := time.Since(began); took > 15*time.Second {
			t.Errorf("%s: it took %v", name, took)
		}
	}
	for name, x := range map[string]struct{ text, what string }{
		"a list": {`[range(.n)]`, "took"}, "no end": {`last(range(.n))`, "took more than 1s"},
	} {
		p, err := newProgram(x.text, true) // in this process
		if err != nil {
			t.Fatal(err)
		}
		err = p.run(context.Background(), map[string]any{"n": 1_000_000_000_000}, func(any) error { return nil })
		if err == nil || !strings.Contains(err.Error(), x.what) {
			t.Errorf("%s, of keyrounds' own: %v", name, err)
		}
	}
	p, err := newProgram(`.client_id`, false)
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	err = p.run(context.Background(), map[string]any{"client_id": "a"}, func(v any) error { got, _ = v.(string); return nil })
	if err != nil || !strings.HasPrefix(got, "a") {
		t.Errorf("an ordinary record: %q, %v", got, err)
	}
}
