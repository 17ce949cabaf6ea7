package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/keyrounds/keyrounds/postgres"
	"github.com/keyrounds/keyrounds/postgres/pgtest"
	"github.com/keyrounds/keyrounds/registry"
	"github.com/keyrounds/keyrounds/sealing"
	"github.com/keyrounds/keyrounds/secret"
	"github.com/keyrounds/keyrounds/test/lasting"
)

// Rotations are killed at random moments, and everything opens after each (docs/promises.md#a-rotation-can-be-killed-at-any-moment).
func TestRotationsAreKilled(t *testing.T) {
	t.Parallel()
	lasting.Test(t, "it kills many commands")
	const n = 3000
	dir := t.TempDir()
	url := pgtest.EmptyURL(t)
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	conf := write("keyrounds.yaml", fmt.Sprintf(
		"data_dir: %s/data\ndatabase: {url: env:DATABASE_URL}\nproviders: {idp: {token_url: https://idp.example/token}}\n", dir))
	var rows strings.Builder
	rows.WriteString("name,provider,client_id,client_secret\n")
	for i := range n {
		fmt.Fprintf(&rows, "c%05d,idp,id-%d,c4n4ry-%d\n", i, i, i)
	}
	command := func(args ...string) *exec.Cmd {
		cmd := exec.Command("keyrounds", append([]string{"-c", conf}, args...)...)
		cmd.Env = append(os.Environ(), "DATABASE_URL="+url)
		return cmd
	}
	if out, err := command("credentials", "import", "--no-check", write("all.csv", rows.String())).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	pool, err := postgres.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	store, file := registry.New(pool, time.UTC), secret.KeyFile{Path: filepath.Join(dir, "data", "sealing.key")}
	allOpens := func(when string) {
		t.Helper()
		keys, err := file.Read(t.Context())
		if err != nil {
			t.Fatalf("%s: %v", when, err)
		}
		cs, err := store.List(t.Context(), false)
		if err != nil || len(cs) != n {
			t.Fatalf("%s: %d credentials, %v", when, len(cs), err)
		}
		for _, c := range cs {
			s := keys.Sealer(secret.SealedWith(c.Sealed))
			if s == nil {
				t.Fatalf("%s: %s is sealed with %s, the file has %v", when, c.Name, secret.SealedWith(c.Sealed), keys.IDs())
			}
			if v, err := s.Open(c.Sealed, c.Name); err != nil || !strings.HasPrefix(v.Reveal(), "c4n4ry-") {
				t.Fatalf("%s: %s: %v", when, c.Name, err)
			}
		}
	}
	begun := time.Now()
	if out, err := command("sealing", "rotate").CombinedOutput(); err != nil || strings.Contains(string(out), "c4n4ry") {
		t.Fatalf("%v: %s", err, out)
	}
	took := time.Since(begun)
	allOpens("after a rotation")
	killed := 0
	for i := range 20 {
		cmd := command("sealing", "rotate")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		kill := time.AfterFunc(time.Duration(rand.Int64N(int64(took))), func() { _ = cmd.Process.Kill() })
		if cmd.Wait() != nil {
			killed++
		}
		kill.Stop()
		allOpens(fmt.Sprint("after rotation ", i))
	}
	if killed == 0 {
		t.Error("none was killed")
	}
	if out, err := command("sealing", "rotate").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	out, err := command("sealing", "status", "-o", "json").Output()
	var st sealing.Status
	if err != nil || json.Unmarshal(out, &st) != nil || len(st.InFile) != 1 || st.Problem != "" ||
		st.Sealed["secrets of credentials"][st.Current] != n {
		t.Errorf("%v: %s", err, out)
	}
	allOpens("at the end")
}
