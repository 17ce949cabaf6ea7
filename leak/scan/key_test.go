package scan_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/keyrounds/keyrounds/leak/scan"
	"github.com/keyrounds/keyrounds/test/lasting"
)

// A private key is found however a file has it: in another container, in PEM or DER, as a JWK, broken into lines in
// any way.
func TestKeysAreFound(t *testing.T) {
	lasting.Test(t, "it writes each key in each way")
	t.Parallel()
	r, err1 := rsa.GenerateKey(rand.Reader, 2048)
	e, err2 := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	_, d, err3 := ed25519.GenerateKey(rand.Reader)
	if err1 != nil || err2 != nil || err3 != nil {
		t.Fatal(err1, err2, err3)
	}
	for name, key := range map[string]any{"RSA": r, "EC": e, "Ed25519": d} {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		files := map[string]string{"PKCS #8": string(der)}
		switch k := key.(type) {
		case *rsa.PrivateKey:
			files["PKCS #1"] = string(x509.MarshalPKCS1PrivateKey(k))
		case *ecdsa.PrivateKey:
			sec1, err := x509.MarshalECPrivateKey(k)
			if err != nil {
				t.Fatal(err)
			}
			files["SEC 1"] = string(sec1)
		}
		registered := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
		jwk, err := jose.JSONWebKey{Key: key}.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		for container, der := range maps.Clone(files) {
			body := base64.StdEncoding.EncodeToString([]byte(der))
			files[container+" in base64"] = body
			for what, end := range map[string]string{"LF": "\n", "CRLF": "\r\n", "indented": "\n      ", `\n`: `\n`, "one line": " "} {
				for _, width := range []int{64, 76} {
					var b strings.Builder
					for i := 0; i < len(body); i += width {
						b.WriteString(body[i:min(len(body), i+width)] + end)
					}
					files[container+" "+what] = "-----BEGIN KEY-----" + end + b.String() + "-----END KEY-----\n"
				}
			}
		}
		pretty, _ := json.MarshalIndent(json.RawMessage(jwk), "", "  ")
		files["JWK"], files["JWK, pretty"] = string(jwk), string(pretty)
		s, short := scan.NewScanner([]scan.Term{{Credential: "c", Kind: scan.Secret, Value: registered, Partner: "id"}}, scan.Options{})
		if len(short) > 0 {
			t.Fatal("too short")
		}
		for file, text := range files {
			if err := s.Reader(t.Context(), file, strings.NewReader("head\n"+text+"\ntail\n")); err != nil {
				t.Fatal(err)
			}
		}
		found := map[string]bool{}
		for _, h := range s.Found().Hits {
			found[h.Source] = true
		}
		for file := range files {
			if !found[file] {
				t.Errorf("%s: %s is not found", name, file)
			}
		}
		// Another key of the same kind is not.
		other, _, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		before := len(s.Found().Hits)
		if err := s.Reader(t.Context(), "other", strings.NewReader(base64.StdEncoding.EncodeToString(other))); err != nil {
			t.Fatal(err)
		}
		if after := len(s.Found().Hits); after != before {
			t.Errorf("%s: another key is found", name)
		}
	}
}
