package secret_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"software.sslmate.com/src/go-pkcs12"

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

// The client's certificate comes first, wherever a PKCS #12 file has it: crypto/tls takes the first for the key's.
func TestTheOwnCertificateComesFirst(t *testing.T) {
	own, signer := selfSigned(t, "client"), selfSigned(t, "ca")
	p12, err := pkcs12.Modern.Encode(own.key, signer.cert, []*x509.Certificate{own.cert}, "x")
	if err != nil {
		t.Fatal(err)
	}
	v, err := secret.ParseKey(p12, secret.New([]byte("x")))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tls.X509KeyPair([]byte(v.Reveal()), []byte(v.Reveal())); err != nil {
		t.Error(err)
	}
}

type signed struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func selfSigned(t *testing.T, name string) signed {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return signed{key, cert}
}

// locked encrypts a key as PBES2 with parameters that no tool would choose.
func locked(t testing.TB, derivation, iv any, oid asn1.ObjectIdentifier) string {
	t.Helper()
	type algorithm struct {
		Algorithm  asn1.ObjectIdentifier
		Parameters any
	}
	type scheme struct{ Derivation, Encryption algorithm }
	der, err := asn1.Marshal(struct {
		Algorithm struct {
			Algorithm  asn1.ObjectIdentifier
			Parameters scheme
		}
		Data []byte
	}{
		struct {
			Algorithm  asn1.ObjectIdentifier
			Parameters scheme
		}{
			asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13},
			scheme{algorithm{oid, derivation}, algorithm{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42}, iv}},
		}, make([]byte, 37),
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: der}))
}

// hostileKeys are encrypted keys that would take all time or memory, or that libraries panic at.
func hostileKeys(t testing.TB) map[string]string {
	t.Helper()
	type pbkdf2 struct {
		Salt       []byte
		Iterations int
	}
	type scrypt struct {
		Salt    []byte
		N, R, P int
	}
	derived, memory := asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}, asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11591, 4, 11}
	iv := make([]byte, 16)
	return map[string]string{
		"iterations":     locked(t, pbkdf2{iv, 1 << 31}, iv, derived),
		"scrypt, N":      locked(t, scrypt{iv, 1 << 40, 8, 1}, iv, memory),
		"scrypt, r":      locked(t, scrypt{iv, 2, 1 << 40, 1}, iv, memory),
		"scrypt, p":      locked(t, scrypt{iv, 2, 1, 1 << 29}, iv, memory),
		"scrypt, below":  locked(t, scrypt{iv, -1, 0, 0}, iv, memory),
		"a short vector": locked(t, pbkdf2{iv, 1}, iv[:3], derived),
		"a broken block": locked(t, pbkdf2{iv, 1}, iv, derived),
	}
}

func TestHostileKeys(t *testing.T) {
	for name, text := range hostileKeys(t) {
		v, err := secret.ParseKey([]byte(text), secret.New([]byte("c4n4ry")))
		if err == nil || !v.IsZero() || strings.Contains(err.Error(), "c4n4ry") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whatever is given as a key is read, or is an error that says nothing of it.
func FuzzKeys(f *testing.F) {
	for _, text := range hostileKeys(f) {
		f.Add([]byte(text))
	}
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"))
	f.Add([]byte(`{"kty":"EC","d":"AAAA"}`))
	f.Add([]byte{0x30, 0x0c, 2, 1, 3, 0x30, 0, 0x30, 5, 4, 0, 2, 1, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		const phrase = "c4n4ry passphrase"
		v, err := secret.ParseKey(b, secret.New([]byte(phrase)))
		if err != nil && (!v.IsZero() || strings.Contains(err.Error(), phrase)) {
			t.Errorf("%v", err)
		}
		if _, ok := secret.KeyNumber(v); ok && v.IsZero() {
			t.Error("a number of nothing")
		}
	})
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
