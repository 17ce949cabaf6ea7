package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/keyrounds/keyrounds/access"
	"github.com/keyrounds/keyrounds/api"
)

// An admin changes who may do what, but not by a token; what is shown once is in that answer alone, and is not kept for a key.
func TestWhoMayDoWhat(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	made := do[api.TemporaryPassword](h, 200, "POST", "/v1/people", `{"name": "ann", "role": "responder"}`)
	if made.Name != "ann" || len(made.Password) < 12 || !strings.HasSuffix(made.Page, "/login") {
		t.Errorf("%+v", made)
	}
	people := into[api.Page[access.Person]](h, "/v1/people")
	if people.Total != 1 || people.Items[0].Role != access.Responder || !people.Items[0].Temporary {
		t.Fatalf("%+v", people)
	}
	if p := do[access.Person](h, 200, "POST", "/v1/people/1/role", `{"role": "viewer"}`); p.Role != access.Viewer {
		t.Errorf("%+v", p)
	}
	if p := do[access.Person](h, 200, "POST", "/v1/people/1/disable", ""); p.DisabledAt.IsZero() {
		t.Errorf("%+v", p)
	}
	p := do[told](h, 422, "POST", "/v1/tokens", `{"name": "t", "role": "viewer", "for": "99y"}`)
	if !strings.Contains(p.Detail, "a year at most") {
		t.Error(p.Detail)
	}
	token := do[api.NewToken](h, 200, "POST", "/v1/tokens", `{"name": "t", "role": "viewer", "for": "7d"}`)
	if !strings.HasPrefix(token.Secret, "kr_") || token.Name != "t" {
		t.Errorf("%+v", token.Token)
	}
	if list := h.ask("GET", "/v1/tokens", "", "Ask", "admin"); strings.Contains(string(list.body), token.Secret) {
		t.Error("the list has the token")
	}
	do[told](h, 404, "POST", "/v1/people/99/enable", "")
	do[told](h, 409, "POST", "/v1/people", `{"name": "ann", "role": "viewer"}`)
	do[told](h, 422, "POST", "/v1/people", `{"name": "bob", "role": "owner"}`)
	for method, path := range map[string]string{"POST": "/v1/first-run-token", "DELETE": "/v1/tokens/1"} {
		if got := h.ask(method, path, "", "Ask", "admin by token"); got.StatusCode != http.StatusForbidden {
			t.Errorf("%s %s by a token: HTTP %d", method, path, got.StatusCode)
		}
	}
	if got := h.ask("POST", "/v1/people/1/reset", "", "Ask", "admin", "Idempotency-Key", "k"); got.StatusCode != 422 {
		t.Errorf("with a key: HTTP %d", got.StatusCode)
	}
	for _, shown := range []string{made.Password, token.Secret} {
		if strings.Contains(h.log.text(), shown) || stored(h, shown) {
			t.Error("what is shown once is elsewhere too")
		}
	}
	do[struct{}](h, 200, "DELETE", "/v1/tokens/1", "")
	do[told](h, 404, "DELETE", "/v1/tokens/1", "")
}

// stored says whether a text is in any table.
func stored(h *house, text string) (found bool) {
	h.Helper()
	rows, err := h.Pool.Query(h.Context(), `SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
			AND has_table_privilege(oid, 'SELECT')`)
	if err != nil {
		h.Fatal(err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		h.Fatal(err)
	}
	for _, name := range names {
		var is bool
		err := h.Pool.QueryRow(h.Context(), fmt.Sprintf(`SELECT EXISTS (SELECT FROM %q t WHERE strpos(t::text, $1) > 0)`, name), text).
			Scan(&is)
		if err != nil {
			h.Fatal(err)
		}
		found = found || is
	}
	return found
}
