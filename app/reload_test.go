package app

import (
	"errors"
	"strings"
	"testing"

	"github.com/keyrounds/keyrounds/config"
)

// What people are told of a configuration that was not taken shows no line of the file: a secret may stand there by mistake.
func TestWhatIsWrongInShort(t *testing.T) {
	t.Parallel()
	_, err := config.Parse("keyrounds.yaml", []byte("provders: {}\nslack: {token: c4n4ry-token}\ncredentials: []\n"))
	if err == nil || !strings.Contains(err.Error(), "provders") {
		t.Fatalf("the file is read: %v", err)
	}
	if got := inShort(err); strings.Contains(got, "c4n4ry") || !strings.HasPrefix(got, `keyrounds.yaml:1:1: unknown key "provders"`) ||
		!strings.Contains(got, "more") {
		t.Errorf("%s", got)
	}
	if got := inShort(errors.New("the database is away")); got != "the database is away" {
		t.Errorf("%s", got)
	}
}
