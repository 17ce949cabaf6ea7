package checker_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/keyrounds/keyrounds/checker"
)

// Declared scopes that nothing shows are not proven. That is said, and says nothing against the credential.
func TestNotAskedIsNotProven(t *testing.T) {
	t.Parallel()
	api := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/introspect":
			fmt.Fprint(w, `{"active":true,"scope":"read write"}`)
		case r.Method == http.MethodGet:
			fmt.Fprint(w, `{}`)
		case r.FormValue("client_id") == "says":
			fmt.Fprint(w, `{"access_token":"t","scope":"read write"}`)
		case r.FormValue("client_id") == "jwt":
			fmt.Fprintf(w, `{"access_token":%q}`, unsigned(`{"scope":"read write"}`))
		default:
			fmt.Fprint(w, `{"access_token":"t"}`)
		}
	})
	for name, c := range map[string]struct {
		id     string
		change func(*checker.Provider, string)
		want   []string
	}{
		"nothing says":  {"c", func(*checker.Provider, string) {}, []string{"read", "write"}},
		"requested":     {"c", func(p *checker.Provider, _ string) { p.RequestScopes = true }, nil},
		"the answer":    {"says", func(*checker.Provider, string) {}, nil},
		"the token":     {"jwt", func(*checker.Provider, string) {}, nil},
		"introspection": {"c", func(p *checker.Provider, at string) { p.IntrospectionURL = at + "/introspect" }, nil},
		"a probe of one": {"c", func(p *checker.Provider, at string) {
			p.Probes = []checker.Probe{{Scope: "read", Get: at + "/me"}}
		}, []string{"write"}},
	} {
		p := serve(t, api, nil)
		c.change(&p, strings.TrimSuffix(p.TokenURL, "/identity/oauth/token"))
		r := checker.New(checker.Options{}).Check(t.Context(), p, target(c.id, "s3cretvalue", "read", "write"))
		if r.Outcome != checker.OK || !slices.Equal(r.Unproven, c.want) || strings.Contains(r.Message, "not proven") != (len(c.want) > 0) {
			t.Errorf("%s: %s, %v: %s", name, r.Outcome, r.Unproven, r.Message)
		}
	}
}
