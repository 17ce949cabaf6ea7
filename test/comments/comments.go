// Package comments holds what describes the keys of a JSON schema against the comments of the fields that they are.
package comments

import (
	"encoding/json"
	"maps"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/invopop/jsonschema"
)

// golden is beside the source, since a binary that prints its schema has no source.
const golden = "comments.json"

// Golden fails the test if comments.json is not what files of the package say of the fields of its structs; update
// writes it anew.
func Golden(t testing.TB, update bool, pkg string, files ...string) {
	t.Helper()
	var r jsonschema.Reflector
	for _, file := range files {
		if err := r.AddGoComments(pkg, file); err != nil {
			t.Fatal(err)
		}
	}
	maps.DeleteFunc(r.CommentMap, func(name, _ string) bool {
		return !strings.Contains(strings.TrimPrefix(name, pkg+"."), ".") // a type, which a schema does not describe
	})
	for name, comment := range r.CommentMap {
		r.CommentMap[name] = strings.Join(strings.Fields(comment), " ")
	}
	var want strings.Builder
	e := json.NewEncoder(&want)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(r.CommentMap); err != nil {
		t.Fatal(err)
	}
	if update {
		if err := os.WriteFile(golden, []byte(want.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.String(), string(got)); diff != "" {
		t.Errorf("%s is not what the source says:\n%s", golden, diff)
	}
}
