package app_test

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/keyrounds/keyrounds/app"
	"github.com/keyrounds/keyrounds/config"
	"github.com/keyrounds/keyrounds/postgres/pgtest"
	"github.com/keyrounds/keyrounds/safefile"
)

// startIn starts a daemon in dataDir, beside a database of one's own, and returns why it does not start.
func startIn(t *testing.T, dataDir, top string) error {
	t.Helper()
	c, err := config.Parse("keyrounds.yaml", []byte("data_dir: "+dataDir+"\nlisten: 127.0.0.1:0\ndatabase: "+pgtest.Section(t)+"\n"+top))
	if err != nil {
		t.Fatal(err)
	}
	a, err := app.Open(t.Context(), app.Options{Config: c, Version: "test", Log: slog.New(slog.DiscardHandler), Daemon: true})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Stop()
	return a.Start(t.Context())
}

// Root works in no data_dir of another user, also where the database is elsewhere.
func TestRootLeavesDataDirsOfOthersAlone(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	dir := t.TempDir()
	if err := os.Chown(dir, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	err := startIn(t, dir, "debug: {listen: \"127.0.0.1:0\"}")
	var others *safefile.NotOursError
	if !errors.As(err, &others) {
		t.Errorf("it starts: %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("root left %v %v", left, err)
	}
}

// A reload opens nothing that is listened on for others: where people do not sign in any more, and the file of the web that would ask
// instead came since, its users sign in; without one nobody does.
func TestAReloadOpensNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "web.yaml")
	hash, err := bcrypt.GenerateFromPassword([]byte("c4n4ry"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, fmt.Appendf(nil, "basic_auth_users: {ada: %s}\n", hash), 0o600); err != nil {
		t.Fatal(err)
	}
	common := "data_dir: " + dir + "\nexternal_url: https://k.example.com\ndatabase: " + pgtest.Section(t) + "\n"
	parse := func(text string) *config.Config {
		t.Helper()
		c, err := config.Parse("keyrounds.yaml", []byte(common+text))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	a, err := app.Open(t.Context(), app.Options{
		Config: parse("listen: 0.0.0.0:0\naccess: {people: true, socket: off}"), Version: "test", Log: slog.New(slog.DiscardHandler),
		Daemon: true, Stderr: io.Discard,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Stop()
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(a.Addr())
	ask := func(password string) int {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1:"+port+"/api/v1/credentials", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if password != "" {
			r.SetBasicAuth("ada", password)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	for _, k := range []struct {
		text              string
		without, password int
	}{
		{"", http.StatusUnauthorized, 0},
		{"listen: 0.0.0.0:0\nweb_config: " + file, http.StatusUnauthorized, http.StatusOK},
		{"listen: 127.0.0.1:0", http.StatusServiceUnavailable, http.StatusServiceUnavailable},
		{"listen: 0.0.0.0:0\naccess: {people: true, socket: off}", http.StatusUnauthorized, 0},
	} {
		if k.text != "" {
			if err := a.Reload(t.Context(), parse(k.text)); err != nil {
				t.Fatal(err)
			}
		}
		if got := ask(""); got != k.without {
			t.Errorf("%q: HTTP %d without a password, want %d", k.text, got, k.without)
		}
		if got := ask("c4n4ry"); k.password != 0 && got != k.password {
			t.Errorf("%q: HTTP %d with it, want %d", k.text, got, k.password)
		}
	}
}

// A file of the web that nothing can be served by is an error at the start, not a daemon without pages.
func TestAWebFileThatCannotServe(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"basic_auth_users: {ada: ''}":                                        `the password of "ada" is no bcrypt hash`,
		"basic_auth_users: {ada: c4n4ry}":                                    `the password of "ada" is no bcrypt hash`,
		"tls_server_config: {cert_file: nowhere.pem, key_file: nowhere.pem}": "nowhere.pem",
		"http_server_config: {headers: {X-Nothing: x}}":                      "X-Nothing",
		"x: " + strings.Repeat("y", 2<<20):                                   "no file of settings",
		"{{":                                                                 "not YAML",
	} {
		file := filepath.Join(t.TempDir(), "web.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		err := startIn(t, t.TempDir(), "web_config: "+file)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "c4n4ry") {
			t.Errorf("%s: %v", text, err)
		}
	}
}
