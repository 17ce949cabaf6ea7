package main

import (
	"strings"
	"testing"

	"github.com/keyrounds/keyrounds/exposure"
	"github.com/keyrounds/keyrounds/leak/hook"
)

// What the daemon does not take is not sent, and is no push without a secret.
func TestTooLargeForAHook(t *testing.T) {
	t.Parallel()
	id := strings.Repeat("a", 40)
	b := hook.Brought{Texts: []hook.Text{
		{Kind: hook.Blob, Object: id, Size: 10},
		{Kind: hook.Blob, Object: id, Size: exposure.MostSearched + 1},
		{Kind: hook.Blob, Object: id, Size: exposure.MostSearched},
		{Kind: hook.Blob, Object: id, Size: 20},
	}}
	var large []string
	for _, part := range b.Parts(hookPart, hookTexts) {
		large = append(large, tooLarge(part))
	}
	want := "the object aaaaaaaaaaaa has 536 MB, which is more than the daemon searches at once (512 MiB)"
	if len(large) != 4 || strings.Join(large, "") != want || large[1] != want {
		t.Errorf("%q", large)
	}
}
