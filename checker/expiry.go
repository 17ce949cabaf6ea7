package checker

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"strings"
	"time"

	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/secret"
)

// endOf says when a secret ends by itself: a certificate with it, or one that signed that, has a notAfter (RFC 5280
// §4.1.2.5), a JWK may carry certificates (x5c, RFC 7517 §4.7) or an exp. The earliest counts. A text that only looks
// like one of those has no end.
func endOf(value secret.Value) (end credential.End) {
	text := value.Reveal()
	if strings.HasPrefix(text, "{") {
		var jwk struct {
			X5C [][]byte `json:"x5c"`
			Exp float64  `json:"exp"`
		}
		if json.Unmarshal([]byte(text), &jwk) != nil {
			return end
		}
		for _, der := range jwk.X5C {
			end = end.Earlier(endOfCertificate(der))
		}
		return end.Earlier(endAt(jwk.Exp, credential.EndKey))
	}
	for rest := []byte(text); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return end
		}
		if block.Type == "CERTIFICATE" {
			end = end.Earlier(endOfCertificate(block.Bytes))
		}
	}
}

func endOfCertificate(der []byte) credential.End {
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return credential.End{}
	}
	return credential.End{At: c.NotAfter.UTC(), By: credential.EndCertificate}
}

// end is what the provider says of the client's secret (RFC 7591 §3.2.1: 0 is never).
func (a answer) end() credential.End {
	n, ok := a.members["client_secret_expires_at"].(json.Number)
	if !ok {
		return credential.End{}
	}
	seconds, err := n.Float64()
	if err != nil {
		return credential.End{}
	}
	return endAt(seconds, credential.EndProvider)
}

// endAt reads a NumericDate (RFC 7519 §2). One that is not of the years 2000 to 9999 says nothing.
func endAt(seconds float64, by credential.EndSource) credential.End {
	if seconds < 946684800 || seconds > 253402300799 {
		return credential.End{}
	}
	return credential.End{At: time.Unix(int64(seconds), 0).UTC(), By: by}
}
