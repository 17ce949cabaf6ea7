package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keyrounds/keyrounds/config"
	"github.com/keyrounds/keyrounds/postgres/pgtest"
	"github.com/keyrounds/keyrounds/test/lasting"
)

// What lasts longer than a second says on a terminal what is waited for, and takes that away at its end; elsewhere it says nothing.
func TestLongWaitsAreNamed(t *testing.T) {
	lasting.Test(t, "it waits for a provider that does not answer")
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	dir := t.TempDir()
	file := filepath.Join(dir, "keyrounds.yaml")
	err = os.WriteFile(file, fmt.Appendf(nil, `
data_dir: %s
database: {url: %q}
providers: {hanging: {token_url: "http://%s/token", allow_private_networks: true}}
credentials: [{name: a, provider: hanging, client_id: a, secret: "env:HOME"}]
`, dir, pgtest.EmptyURL(t), silent.Addr()), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	s := at(t, "check", "-c", file)
	s.await("waiting for hanging … ", 2)
	if code := s.ends(); code != exitFound || !strings.Contains(s.shows(), "\r\x1b[KCREDENTIAL") {
		t.Errorf("exit code %d\n%q", code, s.shows())
	}
	if out, code := runKeyrounds(t, dir, "", "check", "-o", "name"); code != exitFound || out != "a\n" {
		t.Errorf("without a terminal: exit code %d: %q", code, out)
	}
}

// Which database is waited for is said, and whether it is made.
func TestOpening(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	made := filepath.Join(dir, "made")
	if err := os.MkdirAll(filepath.Join(made, "postgres", "data"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(made, "postgres", "data", "PG_VERSION"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for want, c := range map[string]*config.Config{
		"waiting for the database":                    {Database: config.Address{Literal: "postgres://h/d"}},
		"waiting for the private Postgres in " + made: {DataDir: made},
		"making the private Postgres in " + dir:       {DataDir: dir},
	} {
		if got := opening(c); got != want {
			t.Errorf("%q instead of %q", got, want)
		}
	}
}
