package app_test

import (
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// A daemon whose people sign in prints a token for the first one, and only where nobody can; scrapers go on with their password.
func TestPeopleOfADaemon(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "web.yaml")
	users := "basic_auth_users:\n"
	for _, user := range []string{"prometheus", "ops"} {
		hash, err := bcrypt.GenerateFromPassword([]byte("c4n4ry-"+user), bcrypt.MinCost)
		if err != nil {
			t.Fatal(err)
		}
		users += fmt.Sprintf("  %s: %s\n", user, hash)
	}
	if err := os.WriteFile(file, []byte(users), 0o600); err != nil {
		t.Fatal(err)
	}
	o := newOffice(t, time.Now(), "access: {people: true, basic: {ops: admin}}\nweb_config: "+file)
	o.await("the token is printed", func() bool { return strings.Contains(o.said.String(), "/first-run with this token") })
	token := regexp.MustCompile(`(?m)^\w{24}$`).FindString(o.said.String())
	if token == "" || strings.Contains(o.log.String(), token) {
		t.Fatalf("the token %q of %s", token, o.said.String())
	}

	for _, k := range []struct {
		user, path string
		want       int
	}{
		{"prometheus", "/metrics", 200},
		{"prometheus", "/people", 403},
		{"ops", "/people", 200},
	} {
		if status := o.ask(http.MethodGet, k.path, as(k.user, "c4n4ry-"+k.user)); status != k.want {
			t.Errorf("%s, %s: %d", k.user, k.path, status)
		}
		if status := o.ask(http.MethodGet, k.path, as(k.user, "c4n4ry-wrong")); status != http.StatusUnauthorized {
			t.Errorf("%s, %s with a wrong password: %d", k.user, k.path, status)
		}
	}
	for _, path := range []string{"/metrics", "/api/v1/credentials", "/"} {
		if status := o.ask(http.MethodGet, path, func(*http.Request) {}); status != http.StatusUnauthorized {
			t.Errorf("%s without anything: %d", path, status)
		}
	}
	if status, answer := o.push(strings.NewReader("")); status != http.StatusOK {
		t.Errorf("a push: %d %v", status, answer)
	}

	jar, _ := cookiejar.New(nil)
	client := &http.Client{Jar: jar}
	base := "http://" + o.app.Addr()
	resp, err := client.PostForm(base+"/first-run", url.Values{
		"token": {token}, "name": {"ann"}, "password": {"c4n4ry correct horse"}, "again": {"c4n4ry correct horse"},
	})
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK || resp.Request.URL.Path != "/people" {
		t.Fatalf("the first admin is led to %s: %d", resp.Request.URL, resp.StatusCode)
	}

	// The toolkit asks nobody where its file has no users any more: then the name of a request proves nothing.
	if err := os.WriteFile(file, []byte("{}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if status := o.ask(http.MethodGet, "/people", as("ops", "c4n4ry-wrong")); status != http.StatusUnauthorized {
		t.Errorf("a user who was not asked for a password: %d", status)
	}
	if said := o.said.String() + o.log.String(); strings.Contains(strings.ReplaceAll(said, token, ""), "c4n4ry") {
		t.Error("a password is in the log")
	}
}
