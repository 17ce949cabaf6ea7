package app_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// ask sends a request, as edit makes it, and returns the status of the answer.
func (o *office) ask(method, path string, edit func(*http.Request)) int {
	o.Helper()
	r, err := http.NewRequestWithContext(o.Context(), method, "http://"+o.app.Addr()+path, http.NoBody)
	if err != nil {
		o.Fatal(err)
	}
	edit(r)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		o.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

func as(user, password string) func(*http.Request) {
	return func(r *http.Request) { r.SetBasicAuth(user, password) }
}

// What carries a token or a signature of its own passes outside of sign-in; who guesses passwords is slowed, logged and
// counted, and shuts the door for nobody else.
func TestTheDoorWithSignIn(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "web.yaml")
	users := "basic_auth_users:\n"
	for user, password := range map[string]string{"prometheus": "c4n4ry-scrape", "ada": "c4n4ry-ada"} {
		hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
		if err != nil {
			t.Fatal(err)
		}
		users += fmt.Sprintf("  %s: %s\n", user, hash)
	}
	if err := os.WriteFile(file, []byte(users), 0o600); err != nil {
		t.Fatal(err)
	}
	o := newOffice(t, time.Now(), "web_config: "+file)
	for _, path := range []string{"/", "/metrics", "/api/v1/credentials", "/api/v1/usage", "/readyz"} {
		if status := o.ask(http.MethodGet, path, func(*http.Request) {}); status != http.StatusUnauthorized {
			t.Errorf("%s without a password: %d", path, status)
		}
	}
	o.await("ready", func() bool {
		return o.ask(http.MethodGet, "/readyz", as("prometheus", "c4n4ry-scrape")) == http.StatusOK
	})
	if status, answer := o.push(strings.NewReader("")); status != http.StatusOK {
		t.Errorf("a push without a password: %d %v", status, answer)
	}
	for path, header := range map[string]string{"/v1/logs": "Bearer ", "/services/collector/raw": "Splunk "} {
		body := request(t) // no record
		if path != "/v1/logs" {
			body = o.lines(1, time.Now().Add(-time.Hour))
		}
		own := []string{"Authorization", header + pushToken, "Content-Type", "application/x-protobuf"}
		if resp, answer := o.post(path, strings.NewReader(body), own...); resp.StatusCode != http.StatusOK {
			t.Errorf("%s without a password: %d %s", path, resp.StatusCode, answer)
		}
		own[1] = header + "wrong"
		if resp, _ := o.post(path, strings.NewReader(body), own...); resp.StatusCode < 401 || resp.StatusCode > 403 {
			t.Errorf("%s with another token: %d", path, resp.StatusCode)
		}
	}
	if status := o.ask(http.MethodPost, "/api/v1/leaks/nobody", func(*http.Request) {}); status != http.StatusNotFound {
		t.Errorf("a report without a password: %d", status)
	}
	for _, path := range []string{"/api/v1/usage", "/api/v1/leaks/../credentials", "/api/v1/leaks/nobody"} {
		if status := o.ask(http.MethodGet, path, func(*http.Request) {}); status != http.StatusUnauthorized &&
			status != http.StatusNotFound {
			t.Errorf("GET %s without a password: %d", path, status)
		}
	}

	for i := range 12 {
		want := http.StatusUnauthorized
		if status := o.ask(http.MethodGet, "/", as("ada", fmt.Sprintf("c4n4ry-guess-%d", i))); status != want {
			t.Errorf("guess %d: %d", i, status)
		}
	}
	if status := o.ask(http.MethodGet, "/readyz", as("ada", "c4n4ry-ada")); status != http.StatusOK {
		t.Errorf("a right password after wrong guesses: %d", status)
	}
	answers := make(chan int)
	for i := range 20 { // together: some wait for their turn in vain
		go func() { answers <- o.ask(http.MethodGet, "/", as("ada", fmt.Sprintf("c4n4ry-more-%d", i))) }()
	}
	for range 50 { // what was let in before does not wait for a turn
		if status := o.ask(http.MethodGet, "/readyz", as("prometheus", "c4n4ry-scrape")); status != http.StatusOK {
			t.Fatalf("a scrape beside guesses: %d", status)
		}
	}
	got := map[int]int{}
	for range 20 {
		got[<-answers]++
	}
	if got[http.StatusTooManyRequests] < 5 || got[http.StatusTooManyRequests]+got[http.StatusUnauthorized] != 20 {
		t.Errorf("the answers to 20 guesses: %v", got)
	}
	log := o.log.String()
	if n := strings.Count(log, "a sign-in was refused"); n != 10 || !strings.Contains(log, `"user":"ada"`) ||
		!strings.Contains(log, `"address":"127.0.0.1"`) {
		t.Errorf("%d lines of the log", n)
	}
	if strings.Contains(log, "c4n4ry") {
		t.Error("a password is in the log")
	}
}

// Who is written into the file of the web while the daemon runs is asked for his password from then on.
func TestTheDoorOfAFileThatChanges(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "web.yaml")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	headers := "http_server_config:\n  headers:\n    X-Frame-Options: deny\n"
	write(headers)
	o := newOffice(t, time.Now(), "web_config: "+file)
	if status := o.ask(http.MethodGet, "/healthz", func(*http.Request) {}); status != http.StatusOK {
		t.Errorf("without users: %d", status)
	}
	hash, err := bcrypt.GenerateFromPassword([]byte("c4n4ry-ada"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	write(fmt.Sprintf("%sbasic_auth_users:\n  ada: %s\n", headers, hash))
	if status := o.ask(http.MethodGet, "/healthz", func(*http.Request) {}); status != http.StatusUnauthorized {
		t.Errorf("with a user: %d", status)
	}
	if status := o.ask(http.MethodGet, "/healthz", as("ada", "c4n4ry-ada")); status != http.StatusOK {
		t.Errorf("with his password: %d", status)
	}
}

// Where nobody signs in, the pages answer to our own names only: a web page that has a browser ask for them under a name of its
// own (DNS rebinding) reads nothing.
func TestTheDoorWithoutSignIn(t *testing.T) {
	t.Parallel()
	o := newOffice(t, time.Now(), "external_url: https://keyrounds.example.com:8443\nhosts: [Proxy.internal]")
	to := func(host string) func(*http.Request) { return func(r *http.Request) { r.Host = host } }
	hosts := map[string]bool{}
	for _, ours := range []string{
		"localhost", "localhost:80", "127.0.0.1", "[::1]", "[::1]:8181", "LOCALHOST.", "keyrounds.example.com",
		"keyrounds.example.com:8443",
		"proxy.internal",
	} {
		hosts[ours] = true
	}
	for _, others := range []string{
		"evil.example", "evil.example:8181", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1", "0.0.0.0",
	} {
		hosts[others] = false
	}
	for host, ours := range hosts {
		for _, path := range []string{"/", "/metrics", "/api/v1/findings", "/readyz", "/healthz", "/nothing"} {
			status := o.ask(http.MethodGet, path, to(host))
			if (status == http.StatusMisdirectedRequest) == ours {
				t.Errorf("%s of %s: %d", path, host, status)
			}
		}
	}
	if status, answer := o.push(strings.NewReader(""), "Host", "hooks.example"); status != http.StatusOK {
		t.Errorf("a push by a name of the proxy's: %d %v", status, answer)
	}
}
