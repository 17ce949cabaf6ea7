package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/keyrounds/keyrounds/config"
)

// What root has in his environment is another user's only where the configuration refers to it, and all files that the
// configuration names are tried.
func TestWhatTheCheckReads(t *testing.T) {
	nowhere := filepath.Join(t.TempDir(), "nowhere")
	c, err := config.Parse("keyrounds.yaml", []byte(`
web_config: `+nowhere+`
exec_env: [KEPT_TOO]
sealing: {key: "file:`+nowhere+`"}
providers: {idp: {token_url: "https://idp.example/token"}}
credentials: [{name: a, provider: idp, client_id: a, secret: "env:A_SECRET", schedule: "@daily"}]
`))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"A_SECRET": "c4n4ry-a", "KEPT_TOO": "kept", "ANOTHER_SECRET": "c4n4ry-other"} {
		t.Setenv(name, value)
	}
	t.Setenv("VAULT_TOKEN", "c4n4ry-token")
	env := environmentFor(c)
	for _, want := range []string{"A_SECRET=c4n4ry-a", "KEPT_TOO=kept"} {
		if !slices.Contains(env, want) {
			t.Errorf("the environment lacks %s", want)
		}
	}
	if strings.Contains(strings.Join(env, "\n"), "c4n4ry-other") {
		t.Error("another user gets a secret of root's that the configuration does not name")
	}
	for text, want := range map[string]bool{
		`{}`:                                    false,
		`{sealing: {kms: {transit: {key: k}}}}`: true,
		`{heartbeat: {url: "vault:kv/a#b"}}`:    true,
		`{vault: {address: "https://vault.example", auth: {token: "env:A_SECRET"}}, heartbeat: {url: "vault:kv/a#b"}}`: false,
	} {
		c, err := config.Parse("keyrounds.yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if got := slices.Contains(environmentFor(c), "VAULT_TOKEN=c4n4ry-token"); got != want {
			t.Errorf("%s: another user gets root's token of Vault: %v", text, got)
		}
	}
	var places []string
	for _, bad := range unread(t.Context(), c) {
		places = append(places, bad.Path)
	}
	slices.Sort(places)
	if want := []string{"web_config"}; !slices.Equal(places, want) {
		t.Errorf("unreadable: %v, want %v", places, want)
	}
}
