package outbound

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
)

// TLS names files in PEM. The zero value: the system's certificate authorities, and no client
// certificate. TLS 1.2 is the oldest version that is spoken, and certificates are always verified.
type TLS struct{ CAFile, CertFile, KeyFile string }

// Load reads the files that t names, so that a mistake is found before the first request. Its error
// names the key of the configuration and the file.
func (t TLS) Load() error {
	_, err := t.config()
	return err
}

// sessions is how many TLS sessions a client keeps, to take up where a connection was closed.
const sessions = 64

func (t TLS) config() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ClientSessionCache: tls.NewLRUClientSessionCache(sessions)}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("tls.ca_file: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("tls.ca_file: %s has no certificate in PEM", t.CAFile)
		}
	}
	if t.CertFile != "" || t.KeyFile != "" {
		pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("tls.cert_file and tls.key_file: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}
