package secret_test

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
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/keyrounds/keyrounds/secret"
	"github.com/keyrounds/keyrounds/test/lasting"
)

// keyForms are the ways in which one key is written, by name.
func keyForms(t *testing.T, key any) map[string]string {
	t.Helper()
	must := func(b []byte, err error) []byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	blocks := map[string][]byte{"PRIVATE KEY": must(x509.MarshalPKCS8PrivateKey(key))}
	switch k := key.(type) {
	case *rsa.PrivateKey:
		blocks["RSA PRIVATE KEY"] = x509.MarshalPKCS1PrivateKey(k)
	case *ecdsa.PrivateKey:
		blocks["EC PRIVATE KEY"] = must(x509.MarshalECPrivateKey(k))
	}
	forms := map[string]string{"JWK": string(must(jose.JSONWebKey{Key: key, KeyID: "k"}.MarshalJSON()))}
	forms["JWK, pretty"] = string(must(json.MarshalIndent(json.RawMessage(forms["JWK"]), "", "  ")))
	forms[`JWK, \n`] = strings.ReplaceAll(forms["JWK, pretty"], "\n", `\n`)
	for kind, der := range blocks {
		text := string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
		forms[kind] = text
		forms[kind+", CRLF"] = strings.ReplaceAll(text, "\n", "\r\n")
		forms[kind+", indented"] = "    " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n    ")
		forms[kind+`, \n`] = strings.ReplaceAll(text, "\n", `\n`)
		forms[kind+", in one line"] = strings.ReplaceAll(strings.TrimSpace(text), "\n", " ")
		forms[kind+", with words before"] = "Bag Attributes\n    friendlyName: x\n" + text
	}
	return forms
}

func testKeys(t *testing.T) map[string]any {
	t.Helper()
	r, err1 := rsa.GenerateKey(rand.Reader, 2048)
	e, err2 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	_, d, err3 := ed25519.GenerateKey(rand.Reader)
	if err1 != nil || err2 != nil || err3 != nil {
		t.Fatal(err1, err2, err3)
	}
	return map[string]any{"RSA": r, "EC": e, "Ed25519": d}
}

// A key can be read from everywhere, in each way in which it is kept, and is the same key.
func TestKeysAreRead(t *testing.T) {
	dir := t.TempDir()
	for name, key := range testKeys(t) {
		var first secret.Value
		for form, text := range keyForms(t, key) {
			path := filepath.Join(dir, "key")
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			t.Setenv("KR_KEY", text)
			t.Setenv("CREDENTIALS_DIRECTORY", dir)
			for _, ref := range []string{"file:" + path, "env:KR_KEY", "exec:cat " + path, "systemd:key"} {
				v, err := secret.Resolve(t.Context(), must(t, ref))
				if err != nil {
					t.Errorf("%s, %s, %s: %v", name, form, ref[:4], err)
					continue
				}
				number, ok := secret.KeyNumber(v)
				if !ok {
					t.Errorf("%s, %s, %s: no key", name, form, ref[:4])
				}
				if first.IsZero() {
					first = number
				}
				if !number.Equal(first) {
					t.Errorf("%s, %s, %s: another key", name, form, ref[:4])
				}
			}
		}
	}
}

func TestWhatIsNoKey(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"two lines": "a\nb", "broken PEM": "-----BEGIN PRIVATE KEY-----\n!!!\n-----END PRIVATE KEY-----",
		"two ends": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----", "broken JSON": "{\n\"a\":",
		"another document": "{\n  \"client_id\": \"a\",\n  \"client_secret\": \"b\"\n}",
	} {
		if _, err := secret.Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), "more than one line") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, text := range []string{canary, `{"a":1}`, "-----BEGIN"} {
		v, err := secret.Parse([]byte(text))
		if _, ok := secret.KeyNumber(v); err != nil || v.Reveal() != text || ok {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// Whichever way a key is written and broken into lines, nothing of it passes the scrubber.
func TestKeysAreScrubbed(t *testing.T) {
	lasting.Test(t, "it writes each key in each way")
	t.Parallel()
	for name, key := range testKeys(t) {
		forms := keyForms(t, key)
		for kept, text := range forms {
			v, err := secret.Parse([]byte(text))
			if err != nil {
				t.Fatal(err)
			}
			s := secret.NewScrubber(v)
			for shown, out := range forms {
				// Where another container is shown than the kept one, the number goes, and the rest is no secret by itself.
				hidden(t, name+", kept as "+kept+", shown as "+shown, v, s.Redact("an answer: "+out+" and its end"))
			}
			number, _ := secret.KeyNumber(v)
			body := base64.StdEncoding.EncodeToString([]byte("12" + number.Reveal() + "345"))
			for _, width := range []int{19, 40, 64, 76, 1000} {
				for _, end := range []string{"\n", "\r\n", "\n\t  ", `\n`, `\r\n`, `\\n`, "\",\n\""} {
					var broken strings.Builder
					for i := 0; i < len(body); i += width {
						broken.WriteString(body[i:min(len(body), i+width)] + end)
					}
					hidden(t, name+" of "+kept, v, s.Redact("x "+broken.String()+" y"))
				}
			}
		}
	}
}

// hidden reports a test failure where text still has 12 bytes of v's number in base64.
func hidden(t *testing.T, what string, v secret.Value, text string) {
	t.Helper()
	numbers := private(t, v)
	flat := strings.NewReplacer(
		"\n", "", "\r", "", "\t", "", " ", "", `\n`, "", `\r`, "", `"`, "", ",", "", "-", "+", "_", "/",
	).Replace(text)
	for _, number := range numbers {
		for shift := range 3 {
			body := base64.RawStdEncoding.EncodeToString(append(make([]byte, shift), number...))[4:]
			for i := 0; i+16 <= len(body)-4; i++ {
				if strings.Contains(flat, body[i:i+16]) {
					t.Fatalf("%s: %d characters are left", what, len(text))
				}
			}
		}
	}
}

// private is what must not be seen of a key: its number, and the primes of RSA.
func private(t *testing.T, v secret.Value) [][]byte {
	t.Helper()
	var jwk jose.JSONWebKey
	if jwk.UnmarshalJSON([]byte(v.Reveal())) != nil {
		block, _ := pem.Decode([]byte(v.Reveal()))
		for _, parse := range []func([]byte) (any, error){
			x509.ParsePKCS8PrivateKey,
			func(b []byte) (any, error) { return x509.ParsePKCS1PrivateKey(b) },
			func(b []byte) (any, error) { return x509.ParseECPrivateKey(b) },
		} {
			if k, err := parse(block.Bytes); err == nil {
				jwk.Key = k
			}
		}
	}
	if k, ok := jwk.Key.(*rsa.PrivateKey); ok {
		return [][]byte{k.D.Bytes(), k.Primes[0].Bytes(), k.Primes[1].Bytes(), k.Precomputed.Dp.Bytes()}
	}
	number, _ := secret.KeyNumber(v)
	return [][]byte{[]byte(number.Reveal())}
}
