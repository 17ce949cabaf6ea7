package pages_test

import (
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	"github.com/keyrounds/keyrounds/access"
	"github.com/keyrounds/keyrounds/test/lasting"
)

// What each role may see and do in the pages of credentials: an owner sees his own, and nobody learns that there are others.
func TestRolesOnPagesOfCredentials(t *testing.T) {
	t.Parallel()
	lasting.Test(t, "it runs a daemon")
	h := newHouse(t, names[:3]...) // of web, talent-platform and finance
	h.admin()
	h.checked(3)
	tokens := map[access.Role]string{}
	for _, role := range access.Roles() {
		grant := access.Grant{Role: role}
		if role == access.Owner {
			grant.Owners = []string{"web"}
		}
		v, _, err := h.app.Access.MakeToken(t.Context(), access.Visit{Who: access.Who{Name: "test", Role: access.Admin}},
			access.NewToken{Name: string(role), Grant: grant})
		if err != nil {
			t.Fatal(err)
		}
		tokens[role] = v.Reveal()
	}
	ask := func(role access.Role, method, path string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, h.base+path, strings.NewReader(url.Values{}.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Accept", "text/html")
		if role != "" {
			req.Header.Set("Authorization", "Bearer "+tokens[role])
		}
		client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		return resp.StatusCode, resp.Header.Get("Location")
	}
	for _, c := range []struct {
		method, path                            string
		nobody, viewer, responder, owner, admin int
	}{
		{"GET", "/credentials", 303, 200, 200, 403, 200},
		{"GET", "/credentials.csv", 303, 200, 200, 403, 200},
		{"GET", "/credentials/ats-sync", 303, 200, 200, 200, 200},
		{"GET", "/credentials/careers-site", 303, 200, 200, 404, 200},
		{"GET", "/credentials/none", 303, 404, 404, 404, 404},
		{"GET", "/credentials/-/new", 303, 403, 403, 403, 200},
		{"GET", "/credentials/ats-sync/rotate", 303, 403, 403, 403, 200},
		{"GET", "/credentials/ats-sync/edit", 303, 403, 403, 403, 200},
		{"GET", "/credentials/-/retire?id=ats-sync", 303, 403, 403, 403, 200},
		{"POST", "/credentials/ats-sync/check", 401, 403, 303, 303, 303},
		{"POST", "/credentials/careers-site/check", 401, 403, 303, 404, 303},
		{"POST", "/credentials/-/bulk", 401, 403, 303, 403, 303},
		{"POST", "/credentials/-/new", 401, 403, 403, 403, 422},
		{"POST", "/findings/999/acknowledge", 401, 403, 404, 404, 404},
	} {
		for role, want := range map[access.Role]int{
			"": c.nobody, access.Viewer: c.viewer, access.Responder: c.responder, access.Owner: c.owner, access.Admin: c.admin,
		} {
			if got, to := ask(role, c.method, c.path); got != want {
				t.Errorf("%s %s as %q: %d %s, want %d", c.method, c.path, role, got, to, want)
			}
		}
	}
}

// A one-time link lets in once, as whom it is for; the second time it says so.
func TestAOneTimeLink(t *testing.T) {
	t.Parallel()
	lasting.Test(t, "it runs a daemon")
	h := newHouse(t, "a")
	h.admin()
	enter := func() (*http.Client, int) {
		jar, _ := cookiejar.New(nil)
		client := &http.Client{Jar: jar}
		status, _ := h.ask(client, "/enter/c4n4ry-link")
		return client, status
	}
	first, status := enter()
	if status != http.StatusOK {
		t.Fatalf("the link: %d", status)
	}
	if status, body := h.ask(first, "/account"); status != http.StatusOK || !strings.Contains(body, "You are <b>ann</b>") {
		t.Errorf("after the link: %d %s", status, body)
	}
	second, status := enter()
	if status != http.StatusForbidden {
		t.Errorf("the link again: %d", status)
	}
	if _, body := h.ask(second, "/account"); strings.Contains(body, "You are <b>ann</b>") {
		t.Error("it let in twice")
	}
}
