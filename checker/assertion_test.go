package checker_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/sim/authserver"
)

func pkcs8(t *testing.T, key crypto.PrivateKey) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func keys(t *testing.T) (*rsa.PrivateKey, *ecdsa.PrivateKey, ed25519.PrivateKey) {
	t.Helper()
	r, err1 := rsa.GenerateKey(rand.Reader, 2048)
	e, err2 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	_, d, err3 := ed25519.GenerateKey(rand.Reader)
	if err1 != nil || err2 != nil || err3 != nil {
		t.Fatal(err1, err2, err3)
	}
	return r, e, d
}

// RFC 7523 at a real authorization server: the key is accepted, another key is refused, and no
// assertion is used twice.
func TestPrivateKeyJWT(t *testing.T) {
	t.Parallel()
	r, e, _ := keys(t)
	other, _, _ := keys(t)
	jwk, err := json.Marshal(jose.JSONWebKey{Key: r, KeyID: "2026-01", Algorithm: "PS256"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, secret, algorithm, kid string
		public                       any
	}{
		{"RSA in PEM", pkcs8(t, r), "RS256", "", &r.PublicKey},
		{"EC in PEM", pkcs8(t, e), "ES256", "", &e.PublicKey},
		{"RSA as JWK", string(jwk), "PS256", "2026-01", &r.PublicKey},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			idp := authserver.New(t, authserver.Client{
				ID: "c", Secret: "unused", Method: "private_key_jwt", Scopes: []string{"read"},
				Key: &jose.JSONWebKey{Key: c.public, KeyID: "2026-01", Algorithm: c.algorithm, Use: "sig"},
			})
			p := serve(t, idp, func(p *checker.Provider) {
				p.AuthMethod, p.RequestScopes = checker.PrivateKeyJWT, true
				p.Assertion.KeyID = "2026-01"
			})
			idp.At(p.TokenURL)
			check := checker.New(checker.Options{})
			for range 2 { // jti differs
				if r := check.Check(t.Context(), p, target("c", c.secret, "read")); r.Outcome != checker.OK {
					t.Errorf("%+v", r)
				}
			}
			r := check.Check(t.Context(), p, target("c", pkcs8(t, other), "read"))
			if r.Outcome == checker.OK || r.Outcome == checker.Unreachable {
				t.Errorf("another key: %+v", r)
			}
		})
	}
}

// What our own server sees of the assertion: algorithm, kid, claims, and that the secret is not sent.
func TestAssertions(t *testing.T) {
	t.Parallel()
	_, e, d := keys(t)
	now := time.Now().Truncate(time.Second)
	const hmacSecret = "c4n4ry-0123456789abcdef0123456789abcdef"
	for _, c := range []struct {
		name, secret string
		method       checker.AuthMethod
		algorithm    jose.SignatureAlgorithm
		verify       any
	}{
		{"EdDSA", pkcs8(t, d), checker.PrivateKeyJWT, jose.EdDSA, d.Public()},
		{"ES256", pkcs8(t, e), checker.PrivateKeyJWT, jose.ES256, &e.PublicKey},
		{"HS256", hmacSecret, checker.ClientSecretJWT, jose.HS256, []byte(hmacSecret)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var (
				mu   sync.Mutex
				sent []string
				form = map[string][]string{}
			)
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_ = r.ParseForm()
				mu.Lock()
				form = r.PostForm
				sent = append(sent, r.PostForm.Get("client_assertion"))
				mu.Unlock()
				w.WriteHeader(http.StatusBadRequest)
				fmt.Fprintf(w, `{"error":"invalid_client","error_description":"got %s"}`, r.PostForm.Get("client_assertion"))
			}))
			t.Cleanup(server.Close)
			p := at(t, server.URL, func(p *checker.Provider) {
				p.AuthMethod, p.Assertion = c.method, checker.Assertion{Audience: "https://aud.example/", KeyID: "k1"}
			})
			result := checker.New(checker.Options{Now: func() time.Time { return now }}).Check(t.Context(), p, target("c", c.secret))
			token, err := jwt.ParseSigned(sent[0], []jose.SignatureAlgorithm{c.algorithm})
			if err != nil {
				t.Fatal(err)
			}
			var claims jwt.Claims
			if err := token.Claims(c.verify, &claims); err != nil {
				t.Fatal(err)
			}
			if claims.Issuer != "c" || claims.Subject != "c" || claims.Audience[0] != "https://aud.example/" || claims.ID == "" ||
				!claims.IssuedAt.Time().Equal(
					now,
				) || !claims.Expiry.Time().Equal(now.Add(2*time.Minute)) || token.Headers[0].KeyID != "k1" {
				t.Errorf("claims %+v, header %+v", claims, token.Headers)
			}
			if form["client_secret"] != nil ||
				form["client_assertion_type"][0] != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" {
				t.Errorf("form %v", form)
			}
			if all := fmt.Sprintf("%+v", result); strings.Contains(all, sent[0]) || strings.Contains(all, "c4n4ry") {
				t.Errorf("the result shows the assertion: %s", all)
			}
		})
	}
}

// A secret that is no key is a finding, shows nothing of it, and nothing is sent.
func TestASecretThatIsNoKey(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"c4n4ry",
		"-----BEGIN PRIVATE KEY-----\nYzRuNHJ5\n-----END PRIVATE KEY-----\n",
		`{"kty":"oct","k":"YzRuNHJ5"}`,
		`{"kty":"RSA","n":"AQAB","e":"AQAB"}`,
	} {
		p := serve(
			t,
			http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a request was sent") }),
			func(p *checker.Provider) { p.AuthMethod = checker.PrivateKeyJWT },
		)
		r := checker.New(checker.Options{}).Check(t.Context(), p, target("c", text))
		if r.Outcome != checker.Misconfigured || r.Reason != checker.SecretUnreadable || strings.Contains(fmt.Sprintf("%+v", r), "c4n4ry") {
			t.Errorf("%s: %+v", text[:6], r)
		}
	}
}

// A refused assertion is not held against the credential while the clocks differ; a secret has no clock.
func TestAWrongClockIsNotTheCredential(t *testing.T) {
	t.Parallel()
	_, _, key := keys(t)
	for _, c := range []struct {
		method checker.AuthMethod
		skew   time.Duration
		want   checker.Outcome
	}{
		{checker.PrivateKeyJWT, 5 * time.Minute, checker.Misconfigured},
		{checker.PrivateKeyJWT, -5 * time.Minute, checker.Misconfigured},
		{checker.PrivateKeyJWT, 10 * time.Second, checker.Rejected},
		{checker.ClientSecretPost, 5 * time.Minute, checker.Rejected},
	} {
		p := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Date", time.Now().Add(c.skew).UTC().Format(http.TimeFormat))
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"error":"invalid_client"}`)
		}), func(p *checker.Provider) { p.AuthMethod = c.method })
		value := "s3cretvalue"
		if c.method == checker.PrivateKeyJWT {
			value = pkcs8(t, key)
		}
		r := checker.New(checker.Options{}).Check(t.Context(), p, target("c", value))
		if r.Outcome != c.want || (r.Reason == checker.ClockOff) != (c.want == checker.Misconfigured) {
			t.Errorf("%s, %s: %+v", c.method, c.skew, r)
		}
	}
}
