// Package cards reads Adaptive Cards for the tests as Microsoft's library does (adaptivecards of npm).
package cards

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/keyrounds/keyrounds/sim/authserver"
	"github.com/keyrounds/keyrounds/test/lasting"
)

// Read is a card as the library read it.
type Read struct {
	Objections []string       // what is not as the schema says
	Card       map[string]any // what the library understood of it
}

// Parse has the library read cards.
func Parse(t testing.TB, list []json.RawMessage) (read []Read) {
	t.Helper()
	lasting.Test(t, "it installs and runs the library of Adaptive Cards")
	_, file, _, _ := runtime.Caller(0)
	here := filepath.Dir(file)
	home, err := authserver.Packages(here, filepath.Join(here, "..", "..", "bin", "npm"))
	if err != nil {
		t.Fatalf("adaptivecards: %v", err)
	}
	in, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", filepath.Join(here, "main.js"))
	cmd.Env = append(os.Environ(), "NODE_PATH="+filepath.Join(home, "node_modules"))
	cmd.Stdin = strings.NewReader(string(in))
	out, err := cmd.Output()
	if err == nil {
		err = json.Unmarshal(out, &read)
	}
	if err != nil || len(read) != len(list) {
		t.Fatalf("adaptivecards: %v: %.300s", err, out)
	}
	return read
}
