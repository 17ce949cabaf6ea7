package secret_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/keyrounds/keyrounds/secret"
)

// What only a server writes is found as well: every byte percent-encoded, and UTF-8 that was taken for ISO-8859-1.
func TestOddFormsAreScrubbed(t *testing.T) {
	t.Parallel()
	const plain = `Zq9/Canary+Core="3é`
	var percent, latin strings.Builder
	for i := range len(plain) {
		fmt.Fprintf(&percent, "%%%02x", plain[i])
		latin.WriteRune(rune(plain[i]))
	}
	s := secret.NewScrubber(secret.New([]byte(plain)))
	for _, text := range []string{percent.String(), strings.ToUpper(percent.String()), latin.String()} {
		if got := s.Clean("a "+text+" b", 500); got != "a "+secret.Redacted+" b" {
			t.Errorf("%s is shown as %s", text, got)
		}
	}
}
