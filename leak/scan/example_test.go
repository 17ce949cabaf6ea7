package scan_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/keyrounds/keyrounds/leak/scan"
)

// A tree is searched for a registered secret. Hits say where it stands and how it is written, never what it is.
func Example() {
	dir, err := os.MkdirTemp("", "scan")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	const value = "s3cret-of-the-example"
	for name, content := range map[string]string{
		"deploy.env":  "URL=https://idp.example.com\nCLIENT_SECRET=" + value + "\n",
		"secret.yaml": "kind: Secret\ndata: {client_secret: czNjcmV0LW9mLXRoZS1leGFtcGxl}\n",
		"README":      "Ask the operators for the secret.\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			panic(err)
		}
	}

	s, _ := scan.NewScanner([]scan.Term{{Credential: "ats-sync", Kind: scan.Secret, Value: value}}, scan.Options{})
	if err := s.Tree(context.Background(), dir); err != nil {
		panic(err)
	}
	for _, h := range s.Found().Hits {
		fmt.Printf("%s: its %s stands in %s, line %d, as %s\n", h.Credential, h.Kind, h.Path, h.Line, h.Encoding)
	}
	// Output:
	// ats-sync: its secret stands in deploy.env, line 2, as plain
	// ats-sync: its secret stands in secret.yaml, line 2, as base64
}
