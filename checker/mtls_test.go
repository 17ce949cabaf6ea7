package checker_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/sim/authserver"
)

// cert is a certificate with its key.
type cert struct {
	*x509.Certificate
	key *ecdsa.PrivateKey
}

// newCert makes one for name and loopback, from an authority or, without one, by itself.
func newCert(t *testing.T, name string, by *cert, until time.Time) *cert {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, _ := rand.Int(rand.Reader, big.NewInt(1<<62))
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: until,
		IsCA: by == nil, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{name},
	}
	parent, signer := template, key
	if by != nil {
		parent, signer = by.Certificate, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &cert{c, key}
}

func (c *cert) pem(t *testing.T) string {
	t.Helper()
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})) + pkcs8(t, c.key)
}

func (c *cert) tls() tls.Certificate {
	return tls.Certificate{Certificate: [][]byte{c.Raw}, PrivateKey: c.key}
}

// serveTLS runs h with TLS as config wants it.
func serveTLS(t *testing.T, h http.Handler, config *tls.Config, change func(*checker.Provider)) checker.Provider {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.TLS, s.EnableHTTP2 = config, true
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return at(t, s.URL+"/identity/oauth/token", func(p *checker.Provider) {
		p.TLS.CAFile = caFile(t, s)
		if change != nil {
			change(p)
		}
	})
}

// RFC 8705 at a real authorization server: the client's certificate is accepted, another one refused.
func TestMutualTLS(t *testing.T) {
	t.Parallel()
	ca := newCert(t, "ca", nil, time.Now().Add(time.Hour))
	pool := x509.NewCertPool()
	pool.AddCert(ca.Certificate)
	issued := newCert(t, "ats-sync", ca, time.Now().Add(time.Hour))
	self := newCert(t, "self", nil, time.Now().Add(time.Hour))
	other := newCert(t, "other", ca, time.Now().Add(time.Hour))
	idp := authserver.New(t,
		authserver.Client{ID: "by-ca", Method: "tls_client_auth", Scopes: []string{"read"}, SubjectDN: "CN=ats-sync"},
		authserver.Client{ID: "by-self", Method: "self_signed_tls_client_auth", Scopes: []string{"read"}, Certificate: self.Raw},
	)
	for _, c := range []struct {
		name   string
		method checker.AuthMethod
		id     string
		show   *cert
		tls    tls.ClientAuthType
		want   checker.Outcome
	}{
		{"its certificate", checker.TLSClientAuth, "by-ca", issued, tls.VerifyClientCertIfGiven, checker.OK},
		{"another of the authority", checker.TLSClientAuth, "by-ca", other, tls.VerifyClientCertIfGiven, checker.Rejected},
		{"self-signed", checker.SelfSignedTLSClientAuth, "by-self", self, tls.RequestClientCert, checker.OK},
		{"another self-signed", checker.SelfSignedTLSClientAuth, "by-self", other, tls.RequestClientCert, checker.Rejected},
		{"an unknown client", checker.TLSClientAuth, "nobody", issued, tls.VerifyClientCertIfGiven, checker.Rejected},
		{"the handshake refuses it", checker.TLSClientAuth, "by-ca", self, tls.RequireAndVerifyClientCert, checker.Rejected},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := serveTLS(
				t,
				idp,
				&tls.Config{ClientAuth: c.tls, ClientCAs: pool, MaxVersion: tls.VersionTLS12},
				func(p *checker.Provider) { p.AuthMethod, p.RequestScopes = c.method, true },
			)
			r := checker.New(checker.Options{}).Check(t.Context(), p, target(c.id, c.show.pem(t), "read"))
			if r.Outcome != c.want {
				t.Errorf("%+v", r)
			}
		})
	}
}

// A handshake that refuses the certificate is the provider's answer, one that fails for another cause
// is not. The secret may be no certificate at all.
func TestCertificateAlerts(t *testing.T) {
	t.Parallel()
	ca := newCert(t, "ca", nil, time.Now().Add(time.Hour))
	pool := x509.NewCertPool()
	pool.AddCert(ca.Certificate)
	expired := newCert(t, "ats-sync", ca, time.Now().Add(-time.Hour))
	h := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	mtls := func(p *checker.Provider) { p.AuthMethod = checker.TLSClientAuth }
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		p := serveTLS(t, h, &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool, MaxVersion: version}, mtls)
		// With TLS 1.3 the request is under way when the alert comes, and a reset may overtake it: then
		// it is no answer, which is the careful reading.
		read := map[checker.Outcome]int{}
		for range 30 {
			read[checker.New(checker.Options{}).Check(t.Context(), p, target("c", expired.pem(t))).Outcome]++
		}
		if read[checker.Rejected] == 0 || version == tls.VersionTLS12 && read[checker.Rejected] != 30 ||
			read[checker.Rejected]+read[checker.Unreachable] != 30 {
			t.Errorf("TLS %x, expired certificate: %v", version, read)
		}
		p.AuthMethod = checker.ClientSecretPost // no certificate was shown: not about the client
		if r := checker.New(checker.Options{}).Check(t.Context(), p, target("c", "s3cretvalue")); r.Outcome != checker.Unreachable {
			t.Errorf("TLS %x, none: %+v", version, r)
		}
	}
	p := serveTLS(t, h, &tls.Config{MinVersion: tls.VersionTLS12}, mtls)
	r := checker.New(checker.Options{}).Check(t.Context(), p, target("c", "c4n4ry is no PEM"))
	if r.Outcome != checker.Misconfigured || r.Reason != checker.SecretUnreadable {
		t.Errorf("no PEM: %+v", r)
	}
}

// What is wrong with a server's certificate is told apart, and when it ends is known
// (docs/promises.md#a-bad-server-certificate-is-told-apart).
func TestServerCertificates(t *testing.T) {
	t.Parallel()
	ok := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"access_token":"t"}`)) })
	soon := time.Now().Add(36 * time.Hour).Truncate(time.Second)
	for _, c := range []struct {
		name   string
		server *cert
		max    uint16
		trust  bool
		want   checker.Reason
	}{
		{"good", newCert(t, "idp", nil, soon), 0, true, ""},
		{"expired", newCert(t, "idp", nil, time.Now().Add(-time.Hour)), 0, true, checker.TLSExpired},
		{"unknown authority", newCert(t, "idp", nil, soon), 0, false, checker.TLSUnknownCA},
		{"TLS 1.1", newCert(t, "idp", nil, soon), tls.VersionTLS11, true, checker.TLSFailed},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := serveTLS(
				t,
				ok,
				&tls.Config{Certificates: []tls.Certificate{c.server.tls()}, MinVersion: tls.VersionTLS10, MaxVersion: c.max},
				func(p *checker.Provider) {
					if !c.trust {
						p.TLS.CAFile = ""
					}
				},
			)
			r := checker.New(checker.Options{}).Check(t.Context(), p, target("c", "s3cretvalue"))
			if r.Reason != c.want || c.want == "" != (r.Outcome == checker.OK) {
				t.Errorf("%+v", r)
			}
			if c.want == "" && !r.CertificateExpires.Equal(soon) {
				t.Errorf("expires %v, want %v", r.CertificateExpires, soon)
			}
		})
	}
}
