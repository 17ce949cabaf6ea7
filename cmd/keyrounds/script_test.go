package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/keyrounds/keyrounds/postgres/pgtest"
	"github.com/keyrounds/keyrounds/sim"
)

// The tests run this program as a process of its own, under the name keyrounds.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) != "keyrounds" && len(os.Args) > 1 && os.Args[1] == confined {
		os.Exit(exitError) // a test that started itself in place of keyrounds would run all tests, and so on
	}
	testscript.Main(pgtest.Suite{M: m}, map[string]func(){"keyrounds": main})
}

// The secrets of the scripts. None of them is ever shown.
const (
	goodSecret  = "c4n4ry-good-s3cret"
	otherSecret = "c4n4ry-other-s3cret"
)

// vaultOfScripts is a Vault in which secret/ats has the secret of good as its value. Its token is c4n4ry-vault-token; the secret id
// c4n4ry-secret-id gets that. Its transit engine has the key keyrounds.
func vaultOfScripts(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	switch {
	case r.URL.Path == "/v1/auth/approle/login" && strings.Contains(string(body), `"secret_id":"c4n4ry-secret-id"`):
		fmt.Fprint(w, `{"auth": {"client_token": "c4n4ry-vault-token", "lease_duration": 3600}}`)
	case r.Header.Get("X-Vault-Token") != "c4n4ry-vault-token":
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(w, `{"errors": ["permission denied, not for %s"]}`, r.Header.Get("X-Vault-Token"))
	case r.URL.Path == "/v1/transit/encrypt/keyrounds" || r.URL.Path == "/v1/transit/decrypt/keyrounds":
		var in struct{ Plaintext, Ciphertext string }
		_ = json.Unmarshal(body, &in)
		text := []byte(in.Plaintext + strings.TrimPrefix(in.Ciphertext, "vault:v1:")) // one of them
		slices.Reverse(text)
		fmt.Fprintf(w, `{"data": {"plaintext": %q, "ciphertext": %q}}`, text, "vault:v1:"+string(text))
	case r.URL.Path == "/v1/secret/data/ats":
		fmt.Fprintf(w, `{"data": {"data": {"value": %q}, "metadata": {"version": 1}}}`, goodSecret)
	default:
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"errors": []}`)
	}
}

// Each script has a provider at $IDP, which knows the clients good and other, and an empty database
// at $DATABASE_URL and $EMPTY_URL; $LISTEN is an address for a daemon; $DATA is for a private one.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "",
		Setup: func(env *testscript.Env) error {
			tb := env.T().(testing.TB)
			idp := sim.NewProvider(
				sim.Client{ID: "good", Name: "good", Secret: goodSecret, Scopes: []string{"company_read"}},
				sim.Client{ID: "other", Name: "other", Secret: otherSecret, Scopes: []string{"company_read"}},
			)
			server := httptest.NewServer(idp)
			env.Defer(server.Close)
			env.Values["idp"] = idp
			vault := httptest.NewServer(http.HandlerFunc(vaultOfScripts))
			env.Defer(vault.Close)
			env.Setenv("VAULT", vault.URL)
			env.Setenv("IDP", server.URL)
			free, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return err
			}
			env.Setenv("LISTEN", free.Addr().String()) // for a daemon; nobody takes it meanwhile but by bad luck
			_ = free.Close()
			env.Setenv("GOOD", goodSecret)
			env.Setenv("OTHER", otherSecret)
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("GORACE", os.Getenv("GORACE"))
			env.Setenv("DATA", pgtest.Dir(tb))
			env.Setenv("DATABASE_URL", pgtest.EmptyURL(tb))
			env.Setenv("EMPTY_URL", pgtest.EmptyURL(tb))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			// idp revoke|restore CLIENT, idp secret|renew|revoke-secret CLIENT SECRET, idp break FAULT
			"idp": func(ts *testscript.TestScript, _ bool, args []string) {
				idp := ts.Value("idp").(*sim.Provider)
				switch args[0] {
				case "revoke":
					idp.Revoke(args[1])
				case "restore":
					idp.Restore(args[1])
				case "renew":
					idp.Renew(args[1], args[2])
				case "revoke-secret":
					idp.RevokeSecret(args[1], args[2])
				case "secret":
					idp.SetSecret(args[1], args[2])
				case "break":
					idp.Break(sim.Fault(args[1]))
				default:
					ts.Fatalf("idp: unknown %q", args[0])
				}
			},
			// await-daemon: until a daemon leads on DATABASE_URL
			"await-daemon": func(ts *testscript.TestScript, _ bool, _ []string) {
				ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
				defer cancel()
				db, err := pgx.Connect(ctx, ts.Getenv("DATABASE_URL"))
				ts.Check(err)
				defer db.Close(context.Background())
				for leads := false; !leads; time.Sleep(20 * time.Millisecond) { // between two looks
					_ = db.QueryRow(ctx, `SELECT EXISTS (SELECT FROM river_leader WHERE expires_at > now())`).Scan(&leads)
					ts.Check(ctx.Err())
				}
			},
			// expand FILE: $NAME becomes the variable's value
			"expand": func(ts *testscript.TestScript, _ bool, args []string) {
				text := os.Expand(ts.ReadFile(args[0]), ts.Getenv)
				ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
			},
		},
	})
}
