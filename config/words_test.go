package config

import (
	"strings"
	"testing"
)

// No words of the library that reads YAML reach a person, whatever is wrong.
func TestYAMLMistakesInOurWords(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"a:\n\tb: 1\n":       "a tab is here",
		"a: b: c\n":          "“key:” is not expected here",
		"a: [1, 2\n":         "a list that begins with [ does not end",
		"a: {b: 1\n":         "a mapping that begins with { does not end",
		"a: \"x\n":           "a quote does not end",
		"a: 'x\n":            "a quote does not end",
		"a: @x\n":            "goes in quotes",
		"a: `x\n":            "goes in quotes",
		"a: &b &c d\n":       "",
		"a: 1\n b: 2\n":      "begin in one column",
		"a:1\nb: 2\n":        "is this indented",
		"- a\nb: 1\n":        "",
		"a: |\n x\n  y\n z:": "",
		"%YAML 9\n---\na: 1": "",
		"a: !!x b\n":         "",
		"? a\n: b\n":         "",
		"a: *b\n":            "no anchor of this name",
	} {
		_, err := Parse("k.yaml", []byte(text))
		if err == nil {
			t.Errorf("%q is taken", text)
			continue
		}
		said := err.Error()
		if !strings.Contains(said, want) {
			t.Errorf("%q: %s", text, said)
		}
		for _, word := range []string{"token", "ErrSyntax", "mapping value is not", "map-key", "scalar", "[0:", "context", "sequence"} {
			if strings.Contains(said, word) {
				t.Errorf("%q: %s", text, said)
			}
		}
	}
}
