package app_test

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

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

// A file of the web that nothing can be served by is an error at the start, not a daemon without pages.
func TestAWebFileThatCannotServe(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"basic_auth_users: {ada: ''}":                                        `the password of "ada" is no bcrypt hash`,
		"basic_auth_users: {ada: c4n4ry}":                                    `the password of "ada" is no bcrypt hash`,
		"tls_server_config: {cert_file: nowhere.pem, key_file: nowhere.pem}": "nowhere.pem",
		"http_server_config: {headers: {X-Nothing: x}}":                      "X-Nothing",
		"{{": "not YAML",
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
