package app_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keyrounds/keyrounds/app"
	"github.com/keyrounds/keyrounds/config"
	"github.com/keyrounds/keyrounds/leak"
	"github.com/keyrounds/keyrounds/leak/scan"
	"github.com/keyrounds/keyrounds/postgres/pgtest"
	"github.com/keyrounds/keyrounds/test/lasting"
)

// Of a source that is scanned again only what is new is read, and all of it once something else is looked for (docs/leaks.md).
func TestAScanOfASourceReadsWhatIsNew(t *testing.T) {
	lasting.Test(t, "it runs git many times")
	t.Parallel()
	const first, second = "c4n4ry-the-first-secret", "c4n4ry-the-second-secret"
	dir := t.TempDir()
	repository := filepath.Join(dir, "repository")
	put := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	git := func(args ...string) {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-C", repository, "-c", "user.name=a", "-c", "user.email=a@example.com"}, args...)...)
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	// A commit of a file, and one that removes it: it is in the history only.
	commit := func(name, text string) {
		t.Helper()
		put("repository/"+name, text)
		git("add", "-A")
		git("commit", "-q", "-m", "add "+name)
		git("rm", "-q", name)
		git("commit", "-q", "-m", "remove "+name)
	}
	if err := os.Mkdir(repository, 0o700); err != nil {
		t.Fatal(err)
	}
	git("init", "-q", "-b", "main")
	put("repository/README", "what stays\n")
	put("secret", first)
	const large = 1 << 20
	commit("old.env", first+"\n"+second+"\n"+strings.Repeat("a line that was there before\n", large/29))

	c, err := config.Parse("keyrounds.yaml", fmt.Appendf(nil, `
data_dir: %[1]s/d
database: %[2]s
listen: 127.0.0.1:0
providers: {idp: {token_url: "https://idp.example.com/token"}}
credentials: [{name: a, provider: idp, client_id: the-client-of-a, secret: "file:%[1]s/secret"}]
leaks: {sources: [{name: tree, path: %[3]s}]}
`, dir, pgtest.Section(t), repository))
	if err != nil {
		t.Fatal(err)
	}
	a, err := app.Open(t.Context(), app.Options{Config: c, Version: "test", Log: slog.New(slog.DiscardHandler)})
	if err == nil {
		t.Cleanup(a.Close)
		err = a.Prepare(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	// due scans what is due, as the daemon does, and returns how many bytes were read and in which files the secret was found.
	due := func() (bytes int64, files []string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		a.Exposure.ScanSources(ctx, func(_ string, f scan.Found, err error) {
			if err != nil {
				t.Error(err)
			}
			for _, h := range f.Hits {
				files = append(files, h.Path)
			}
			bytes = f.Bytes
			cancel()
		})
		again := leak.SourceState{Next: time.Now().Add(-time.Second)}
		if err := a.Leaks.Scanned(t.Context(), "tree", again, false); err != nil {
			t.Fatal(err)
		}
		return bytes, files
	}
	whole, files := due()
	if whole < large || !slices.Equal(files, []string{"old.env"}) {
		t.Fatalf("the first scan read %d bytes, and found %q", whole, files)
	}
	if read, files := due(); read >= large/2 || len(files) > 0 {
		t.Errorf("a scan of what did not change read %d bytes of %d, and found %q", read, whole, files)
	}
	commit("new.env", first)
	if read, files := due(); read >= large/2 || !slices.Equal(files, []string{"new.env"}) {
		t.Errorf("a scan of what is new read %d bytes of %d, and found %q", read, whole, files)
	}
	put("secret", second)
	if read, files := due(); read < whole || !slices.Equal(files, []string{"old.env"}) {
		t.Errorf("a scan for another secret read %d bytes of %d, and found %q", read, whole, files)
	}
	// All places of it are still counted, also those that later scans did not read.
	states, err := a.Leaks.Sources(t.Context())
	if st := states["tree"]; err != nil || st.Found != 1 || len(st.Tips) != 1 {
		t.Errorf("%v: %+v", err, st)
	}
}
