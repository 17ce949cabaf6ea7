package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"maps"
	"math/big"
	"net/http/httptest"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/keyrounds/keyrounds/postgres/pgtest"
	"github.com/keyrounds/keyrounds/sim/authserver"
)

// identity is a private key with a certificate.
type identity struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

// newIdentity has its certificate from an authority or, without one, from itself.
func newIdentity(t *testing.T, name string, by *identity) *identity {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: by == nil, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	parent, signer := template, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &identity{key, cert}
}

func (i *identity) pem(t *testing.T) string {
	t.Helper()
	der, err := x509.MarshalECPrivateKey(i.key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.cert.Raw})) +
		string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}))
}

// Every method works from the configuration file with every kind of reference, at authorization servers that nobody
// here wrote: the right secret gets a token, another one is refused (docs/providers.md).
func TestEveryMethodAndReference(t *testing.T) {
	t.Parallel()
	s := newSite(t, 0)
	key, err1 := rsa.GenerateKey(rand.Reader, 2048)
	otherKey, err2 := rsa.GenerateKey(rand.Reader, 2048)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	pkcs1 := func(k *rsa.PrivateKey) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(k)}))
	}
	jwk := func(k *rsa.PrivateKey) string {
		b, err := json.MarshalIndent(jose.JSONWebKey{Key: k, KeyID: "2026-01", Algorithm: "RS256"}, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	ca := newIdentity(t, "ca", nil)
	issued, stranger := newIdentity(t, "ats-sync", ca), newIdentity(t, "stranger", ca)
	self, otherSelf := newIdentity(t, "self", nil), newIdentity(t, "self", nil)
	public := &jose.JSONWebKey{Key: &key.PublicKey, KeyID: "2026-01", Algorithm: "RS256", Use: "sig"}
	const text, otherText = "c4n4ry+s3cret/with%signs&more", "c4n4ry-an0ther-secret"
	// The method, by the client's id, and its secrets.
	methods := map[string]struct{ method, right, wrong string }{
		"by-raw":   {"client_secret_basic_raw", text, otherText},
		"by-post":  {"client_secret_post", text, otherText},
		"by-basic": {"client_secret_basic", text, otherText},
		"by-key":   {"private_key_jwt", pkcs1(key), pkcs1(otherKey)},
		"by-jwk":   {"private_key_jwt", jwk(key), jwk(otherKey)},
		"by-ca":    {"tls_client_auth", issued.pem(t), stranger.pem(t)},
		"by-self":  {"self_signed_tls_client_auth", self.pem(t), otherSelf.pem(t)},
	}
	var clients []authserver.Client
	for id, m := range methods {
		if m.method == "client_secret_basic_raw" {
			continue
		}
		c := authserver.Client{ID: id, Method: m.method, Scopes: []string{"read"}, SubjectDN: "CN=ats-sync", Certificate: self.cert.Raw}
		if m.method == "private_key_jwt" {
			c.Key = public
		} else if strings.HasPrefix(m.method, "client_secret") {
			c.Secret = text
		}
		clients = append(clients, c)
	}
	idp := authserver.New(t, clients...)
	server := httptest.NewUnstartedServer(idp)
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	pool.AddCert(self.cert)
	pool.AddCert(otherSelf.cert)
	server.TLS = &tls.Config{ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: pool}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	idp.At(server.URL + "/token")
	undecoding := authserver.Undecoding(t, "by-raw", text)

	authority := s.write("ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	var config strings.Builder
	fmt.Fprintf(&config, "data_dir: %s/data\ndatabase: {url: %q}\nverdict: {refusals_per_hour: 0}\nproviders:\n", s.dir, pgtest.EmptyURL(t))
	names := slices.Sorted(maps.Keys(methods))
	for _, id := range names {
		m, at := methods[id], server.URL+"/token"
		if m.method == "client_secret_basic_raw" {
			at = undecoding
		}
		fmt.Fprintf(&config, "  %s: {token_url: %q, auth_method: %s, request_scopes: true, allow_private_networks: true, rate: 100/s, "+
			"tls: {ca_file: %q}", id, at, m.method, authority)
		if m.method == "private_key_jwt" {
			config.WriteString(`, assertion: {key_id: "2026-01"}`)
		}
		config.WriteString("}\n")
	}
	config.WriteString("credentials:\n")
	s.env = []string{"CREDENTIALS_DIRECTORY=" + s.dir}
	want := map[string]string{}
	sealed := map[string][2]string{} // by name: the provider and the secret
	for _, id := range names {
		for which, value := range map[string]string{"right": methods[id].right, "wrong": methods[id].wrong} {
			file := s.write(id+"-"+which, value)
			variable := strings.ToUpper(strings.ReplaceAll(id+"_"+which, "-", "_"))
			s.env = append(s.env, variable+"="+strings.ReplaceAll(value, "\n", `\n`))
			for scheme, ref := range map[string]string{
				"file": "file:" + file, "env": "env:" + variable, "exec": "exec:cat " + file, "systemd": "systemd:" + id + "-" + which,
			} {
				name := id + "-" + scheme + "-" + which
				want[name] = which
				fmt.Fprintf(&config, "  - {name: %s, provider: %s, client_id: %s, secret: %q, scopes: [read]}\n", name, id, id, ref)
			}
			name := id + "-sealed-" + which
			want[name], sealed[name] = which, [2]string{id, value}
		}
	}
	s.write("keyrounds.yaml", config.String())
	for name, in := range sealed {
		cmd := exec.Command("keyrounds", "-c", s.config(), "credentials", "add", name,
			"--provider", in[0], "--client-id", in[0], "--scopes", "read")
		cmd.Env = append(cmd.Environ(), s.env...)
		cmd.Stdin = strings.NewReader(in[1])
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("credentials add %s: %v: %s", name, err, out)
		}
	}
	out, _ := s.command("check", "-o", "json")
	if strings.Contains(out, "c4n4ry") || strings.Contains(out, "PRIVATE KEY") {
		t.Error("a secret is shown")
	}
	var results []struct{ Credential, Outcome, Reason, Message string }
	if err := json.Unmarshal([]byte(out[strings.Index(out, "["):]), &results); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	got := map[string]bool{}
	for _, r := range results {
		got[r.Credential] = true
		if outcome := map[string]string{"right": "ok", "wrong": "rejected"}[want[r.Credential]]; r.Outcome != outcome {
			t.Errorf("%s is %s %s: %s", r.Credential, r.Outcome, r.Reason, r.Message)
		}
	}
	for name := range want {
		if !got[name] {
			t.Errorf("%s was not checked", name)
		}
	}
}
