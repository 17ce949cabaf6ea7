package checker

import (
	"crypto/tls"
	"encoding/pem"
	"errors"
	"net"
	"strings"
	"sync/atomic"

	"github.com/keyrounds/keyrounds/secret"
)

// certificate is a client certificate of a credential (RFC 8705), and whether the server asked for it.
type certificate struct {
	pair  tls.Certificate
	asked atomic.Bool
}

var errNoPair = errors.New("the secret is not a client certificate with its key: both in PEM are expected, one after the other")

// readCertificate reads PEM that holds a certificate, those that signed it, and its private key.
func readCertificate(value secret.Value) (*certificate, error) {
	var chain, key []byte
	for rest := []byte(value.Reveal()); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type == "CERTIFICATE" {
			chain = append(chain, pem.EncodeToMemory(block)...)
		} else if strings.HasSuffix(block.Type, "PRIVATE KEY") {
			key = pem.EncodeToMemory(block)
		}
	}
	pair, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return nil, errNoPair
	}
	return &certificate{pair: pair}, nil
}

// shown is given whichever authorities the server names: a self-signed certificate is of none.
func (cert *certificate) shown(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	cert.asked.Store(true)
	return &cert.pair, nil
}

// TLS alerts by which a server refuses a client certificate (RFC 8446 §6.2).
var certificateAlerts = map[tls.AlertError]Reason{
	42: Unspecified, 43: Unspecified, 46: Unspecified, // bad, unsupported, unknown certificate
	44: Disabled,      // certificate_revoked
	45: ExpiredSecret, // certificate_expired
	48: Unspecified,   // unknown_ca: the certificate, or the server's list of authorities
}

// refused reads an error after the certificate was shown: an alert about it is the provider's
// answer to the client, not trouble of the network. An empty outcome: no such alert.
func (cert *certificate) refused(err error) Reading {
	var remote *net.OpError
	if cert == nil || !cert.asked.Load() || !errors.As(err, &remote) || remote.Op != "remote error" {
		return Reading{}
	}
	for alert, why := range certificateAlerts {
		if remote.Err.Error() == alert.Error() { // crypto/tls does not export the type of its alerts
			return Reading{
				Outcome: Rejected,
				Reason:  why,
				Rule:    "TLS alert (RFC 8705 §2)",
				Message: "the provider refuses the client certificate",
			}
		}
	}
	return Reading{}
}
