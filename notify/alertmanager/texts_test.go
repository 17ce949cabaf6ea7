package alertmanager

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/notify"
)

var update = flag.Bool("update", false, "write the expected alerts anew")

// What Alertmanager shows of each kind, open and over.
func TestTexts(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	r := &Receiver{o: Options{Now: func() time.Time { return now }}}
	var text strings.Builder
	for _, k := range finding.Kinds() {
		open := notify.Sample(k, now)
		open.ID = 7
		ended := open
		ended.State, ended.ResolvedAt, ended.ResolvedWhy = finding.Resolved, now.Add(10*time.Minute), "the reason in words"
		for _, f := range []finding.Finding{open, ended} {
			a := r.alert(f, notify.Words{})
			fmt.Fprintf(&text, "=== %s, %s\n", k, f.State)
			for _, labels := range []map[string]string{a.Labels, a.Annotations} {
				for _, name := range slices.Sorted(maps.Keys(labels)) {
					fmt.Fprintf(&text, "%s: %s\n", name, labels[name])
				}
			}
			text.WriteByte('\n')
		}
	}
	const path = "testdata/texts.txt"
	if *update {
		if err := os.WriteFile(path, []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), text.String()); d != "" {
		t.Errorf("-update writes it anew:\n%s", d)
	}
}
