package api_test

import (
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/keyrounds/keyrounds/access"
)

// document is what of the OpenAPI document the tests walk by.
type document struct {
	Paths map[string]map[string]operation
	Tags  []struct{ Name string }
}

type operation struct {
	ID          string      `json:"operationId"`
	Deed        access.Deed `json:"x-keyrounds-deed"`
	Summary     string
	Tags        []string
	RequestBody *struct{} `json:"requestBody"`
}

// operations calls do for every operation of the document, its path filled with things of ops.
func (h *house) operations(do func(method, path string, op operation)) {
	h.Helper()
	d := into[document](h, "/openapi.json", "Ask", "nobody")
	if len(d.Paths) == 0 {
		h.Fatal("the document has no paths")
	}
	for path, methods := range d.Paths {
		for method, op := range methods {
			do(strings.ToUpper(method), path, op)
		}
	}
}

// Every operation has a deed, and asks for it: who may not is refused, and nobody is told to sign in.
func TestEveryOperationAsksWhoMay(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	if path := os.Getenv("KEYROUNDS_OPENAPI"); path != "" {
		if err := os.WriteFile(path, h.ask(http.MethodGet, "/openapi.json", "").body, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	deeds := []access.Deed{access.Enter, access.Scan, access.See, access.Respond, access.Decide, access.Administer}
	h.operations(func(method, path string, op operation) {
		if !slices.Contains(deeds, op.Deed) || op.ID == "" || op.Summary == "" || len(op.Tags) != 1 {
			t.Errorf("%s %s lacks something: %+v", method, path, op)
		}
		path = strings.NewReplacer("{name}", "web-a", "{id}", "999", "{month}", "2020-01").Replace(path)
		if strings.HasSuffix(path, "/events") {
			return // it does not end; events_test.go asks who may
		}
		body := ""
		if op.RequestBody != nil {
			body = "{"
		}
		for _, role := range append([]access.Role{"nobody"}, access.TokenRoles()...) {
			got := h.ask(method, path, body, "Ask", string(role)+" nobody-has-this").StatusCode
			refused := 0
			switch may := (access.Who{Role: role}).May(op.Deed); {
			case role == "nobody":
				refused = http.StatusUnauthorized
			case !may:
				refused = http.StatusForbidden
			}
			if refused != 0 && got != refused {
				t.Errorf("%s %s as %s: HTTP %d, want %d", method, path, role, got, refused)
			}
			if refused == 0 && (got == http.StatusUnauthorized || got == http.StatusForbidden || got >= 500) {
				t.Errorf("%s %s as %s: HTTP %d", method, path, role, got)
			}
		}
	})
}
