package secret

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
)

// How much work and memory the opening of a key may cost: its file says so, and it is opened at each check.
const (
	mostIterations = 10_000_000 // OWASP advises 600,000; a million takes about half a second
	mostScrypt     = 1 << 20    // N times r, of 128 bytes each: 128 MiB
	mostParallel   = 16
)

var (
	errTooDear = fmt.Errorf("is encrypted with more effort than is allowed (%d iterations, 128 MiB)", mostIterations)
	errBroken  = errors.New("is an encrypted key that is broken")
	oidScrypt  = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11591, 4, 11} // RFC 7914 §7
)

// affordable says why the key in an EncryptedPrivateKeyInfo (RFC 5958 §3) is not to be opened; nil: it may be, or is none.
func affordable(der []byte) error {
	var info struct {
		Algorithm pkix.AlgorithmIdentifier
		Data      []byte
	}
	var scheme struct{ Derivation, Encryption pkix.AlgorithmIdentifier } // PBES2-params of RFC 8018 appendix A.4
	if _, err := asn1.Unmarshal(der, &info); err != nil {
		return nil //nolint:nilerr // whoever opens it says so
	}
	if _, err := asn1.Unmarshal(info.Algorithm.Parameters.FullBytes, &scheme); err != nil {
		return nil //nolint:nilerr // likewise
	}
	parameters := scheme.Derivation.Parameters.FullBytes
	if scheme.Derivation.Algorithm.Equal(oidScrypt) {
		var p struct {
			Salt    []byte
			N, R, P int
		}
		if _, err := asn1.Unmarshal(parameters, &p); err != nil || p.N < 1 || p.R < 1 || p.P < 1 {
			return errBroken
		}
		if p.N > mostScrypt/min(p.R, mostScrypt) || p.P > mostParallel {
			return errTooDear
		}
		return nil
	}
	var p struct {
		Salt       asn1.RawValue
		Iterations int
	}
	if _, err := asn1.Unmarshal(parameters, &p); err == nil && p.Iterations > mostIterations {
		return errTooDear
	}
	return nil
}

// opening runs what opens a key. Libraries panic where an initialization vector or a block has the wrong length.
func opening[T any](open func() (T, error)) (v T, err error) {
	defer func() {
		if recover() != nil {
			err = errBroken
		}
	}()
	return open()
}
