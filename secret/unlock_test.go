package secret_test

import (
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keyrounds/keyrounds/secret"
)

// openssl makes what people have; it is not ours.
func openssl(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.Command("openssl", args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("openssl %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

// An encrypted key is opened from everywhere, in each way in which OpenSSL writes one, and is the key that was
// encrypted; without its passphrase, or with another one, the error says so and holds neither.
func TestEncryptedKeysAreOpened(t *testing.T) {
	dir := t.TempDir()
	const phrase = "c4n4ry passphrase"
	for _, kind := range []string{"rsa", "ec", "ed25519"} {
		generate := map[string][]string{
			"rsa":     {"genpkey", "-algorithm", "RSA", "-out", "plain.pem"},
			"ec":      {"genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "plain.pem"},
			"ed25519": {"genpkey", "-algorithm", "ed25519", "-out", "plain.pem"},
		}
		openssl(t, dir, generate[kind]...)
		openssl(t, dir, "req", "-x509", "-key", "plain.pem", "-subj", "/CN=ats-sync", "-days", "30", "-out", "cert.pem")
		b, err := os.ReadFile(filepath.Join(dir, "plain.pem"))
		if err != nil {
			t.Fatal(err)
		}
		plain, err := secret.Parse(b)
		if err != nil {
			t.Fatal(err)
		}
		want, ok := secret.KeyNumber(plain)
		if !ok {
			t.Fatal(kind, "has no number")
		}
		p12 := func(more ...string) []string {
			return append([]string{"pkcs12", "-export", "-inkey", "plain.pem", "-in", "cert.pem", "-passout", "pass:" + phrase}, more...)
		}
		forms := map[string][]string{
			"PKCS #8": {
				"pkcs8",
				"-topk8",
				"-in",
				"plain.pem",
				"-v2",
				"aes-256-cbc",
				"-passout",
				"pass:" + phrase,
				"-out",
				"locked",
			},
			"PKCS #8, 3DES":     {"pkcs8", "-topk8", "-in", "plain.pem", "-v2", "des3", "-passout", "pass:" + phrase, "-out", "locked"},
			"PKCS #8, scrypt":   {"pkcs8", "-topk8", "-in", "plain.pem", "-scrypt", "-passout", "pass:" + phrase, "-out", "locked"},
			"PKCS #12":          p12("-out", "locked"),
			"PKCS #12, of 2010": p12("-out", "locked", "-keypbe", "PBE-SHA1-3DES", "-certpbe", "PBE-SHA1-3DES", "-macalg", "sha1"),
		}
		if kind != "ed25519" {
			forms["of PKCS #1 or SEC 1"] = []string{
				kind, "-in", "plain.pem", "-aes128", "-passout", "pass:" + phrase, "-out", "locked",
			}
		}
		if kind == "rsa" { // OpenSSL 3 writes PKCS #8 for the others whatever is asked
			forms["of PKCS #1 or SEC 1"] = append(forms["of PKCS #1 or SEC 1"], "-traditional")
		}
		path := filepath.Join(dir, "locked")
		t.Setenv("KR_PHRASE", phrase)
		t.Setenv("KR_WRONG", "another one")
		t.Setenv("CREDENTIALS_DIRECTORY", dir)
		for form, args := range forms {
			openssl(t, dir, args...)
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			text := string(b)
			if b[0] == 0x30 {
				text = base64.StdEncoding.EncodeToString(b)
			}
			t.Setenv("KR_KEY", text)
			for _, ref := range []string{"file:" + path, "env:KR_KEY", "exec:cat " + path, "systemd:locked"} {
				v, err := secret.ResolveKey(t.Context(), must(t, ref), must(t, "env:KR_PHRASE"))
				if err != nil {
					t.Errorf("%s, %s, %s: %v", kind, form, ref, err)
					continue
				}
				if got, ok := secret.KeyNumber(v); !ok || !got.Equal(want) {
					t.Errorf("%s, %s, %s: another key", kind, form, ref)
				}
				if has := strings.Contains(v.Reveal(), "CERTIFICATE"); has != strings.HasPrefix(form, "PKCS #12") {
					t.Errorf("%s, %s, %s: with its certificate: %t", kind, form, ref, has)
				}
				for wrong, says := range map[string]string{
					"": "key_passphrase", "env:KR_WRONG": "does not open", "env:KR_NONE": "key_passphrase",
				} {
					phraseRef := secret.Reference{}
					if wrong != "" {
						phraseRef = must(t, wrong)
					}
					v, err := secret.ResolveKey(t.Context(), must(t, ref), phraseRef)
					if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "c4n4ry") || !v.IsZero() {
						t.Errorf("%s, %s, %s with %q: %v", kind, form, ref, wrong, err)
					}
				}
			}
		}
	}
}

// A key that is encrypted in a way which is not read is not called one of another passphrase.
func TestEncryptionThatIsNotRead(t *testing.T) {
	dir := t.TempDir()
	openssl(t, dir, "genpkey", "-algorithm", "ed25519", "-out", "plain.pem")
	for _, how := range [][]string{{"-v2prf", "hmacWithSHA512"}, {"-v1", "PBE-SHA1-3DES"}} {
		openssl(t, dir, append([]string{"pkcs8", "-topk8", "-in", "plain.pem", "-passout", "pass:x", "-out", "locked"}, how...)...)
		t.Setenv("KR_PHRASE", "x")
		_, err := secret.ResolveKey(t.Context(), must(t, "file:"+filepath.Join(dir, "locked")), must(t, "env:KR_PHRASE"))
		if err == nil || !strings.Contains(err.Error(), "openssl pkcs8") {
			t.Errorf("%v: %v", how, err)
		}
	}
}

// A passphrase beside a secret that is not encrypted changes nothing, and text that only begins like a key is read as
// it was.
func TestPassphraseWithoutNeed(t *testing.T) {
	t.Setenv("KR_PHRASE", "x")
	for _, text := range []string{"plain-secret", "0123456789", "MIIC", base64.StdEncoding.EncodeToString([]byte("0\x03\x02\x01\x03"))} {
		t.Setenv("KR_SECRET", text)
		v, err := secret.ResolveKey(t.Context(), must(t, "env:KR_SECRET"), must(t, "env:KR_PHRASE"))
		if err != nil || v.Reveal() != text {
			t.Errorf("%q: %v", text, err)
		}
	}
}
