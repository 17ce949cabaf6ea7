package feed

import (
	"context"
	"errors"
	"strings"
	"testing"
)

// A record that has jq make very much ends that record, also where no time does. Not parallel: it looks at the memory of the process.
func TestJQTakesNoMoreMemory(t *testing.T) {
	for name, text := range map[string]string{
		"a list":    `[range(.n)]`,
		"objects":   `[range(.n) | {a: ., b: "x"}]`,
		"a product": `[range(.n) as $a | range(9) | [$a, .]]`,
	} {
		p, err := newProgram(text)
		if err != nil {
			t.Fatal(err)
		}
		err = p.run(context.Background(), map[string]any{"n": 1_000_000_000_000}, func(any) error { return nil })
		if !errors.Is(err, errUnfit) {
			t.Errorf("%s: %v", name, err)
		}
	}
	p, err := newProgram(`.client_id`)
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	err = p.run(context.Background(), map[string]any{"client_id": "a"}, func(v any) error { got, _ = v.(string); return nil })
	if err != nil || !strings.HasPrefix(got, "a") {
		t.Errorf("an ordinary record: %q, %v", got, err)
	}
}
