package config_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/keyrounds/keyrounds/config"
	"github.com/keyrounds/keyrounds/test/comments"
)

// With -update it writes comments.json, of which a binary makes the schema.
func TestComments(t *testing.T) {
	t.Parallel()
	comments.Golden(t, *update, reflect.TypeFor[config.File]().PkgPath(), "file.go", "feedfile.go")
}

func TestEveryKeyIsDescribed(t *testing.T) {
	t.Parallel()
	printed, err := config.Schema()
	if err != nil {
		t.Fatal(err)
	}
	var schema any
	if err := json.Unmarshal(printed, &schema); err != nil {
		t.Fatal(err)
	}
	keys := 0
	var look func(place string, v any)
	look = func(place string, v any) {
		m, ok := v.(map[string]any)
		if !ok {
			return
		}
		properties, _ := m["properties"].(map[string]any)
		for key, p := range properties {
			keys++
			if said, _ := p.(map[string]any)["description"].(string); said == "" {
				t.Errorf("%s: the key %s has no description", place, key)
			}
		}
		for name, inner := range m {
			look(place+"/"+name, inner)
		}
	}
	look("", schema)
	if keys < 150 {
		t.Errorf("the schema has only %d keys", keys)
	}
}
