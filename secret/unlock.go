package secret

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/youmark/pkcs8"
	"software.sslmate.com/src/go-pkcs12"
)

// Some keys are kept encrypted with a passphrase: PEM (PKCS #8, RFC 5958; the older headers of RFC 1421) and PKCS #12
// (RFC 7292), which is DER, or that in base64. They are opened as soon as they are read, so that everything after knows
// one form of a key.

// ResolveKey is Resolve for a secret that may be such a key: passphrase names what opens it, the zero Reference
// nothing. What it returns is PEM, certificates first.
func ResolveKey(ctx context.Context, r, passphrase Reference) (Value, error) {
	phrase := Value{}
	if !passphrase.IsZero() {
		var err error
		if phrase, err = Resolve(ctx, passphrase); err != nil {
			return Value{}, fmt.Errorf("key_passphrase: %w", err)
		}
		defer phrase.Wipe()
	}
	b, err := read(ctx, r)
	if err == nil {
		b, err = normal(b, []byte(phrase.Reveal()))
	}
	if err != nil {
		return Value{}, &unreadableError{r, err}
	}
	v := New(b)
	clear(b)
	return v, nil
}

// ParseKey is Parse for a secret that may be a key which passphrase opens; the zero Value: none.
func ParseKey(b []byte, passphrase Value) (Value, error) {
	b, err := normal(b, []byte(passphrase.Reveal()))
	if err != nil {
		return Value{}, err
	}
	return New(b), nil
}

var (
	// ErrLocked is wrapped by the errors for an encrypted key for which no passphrase is given.
	ErrLocked          = errors.New("is an encrypted key: key_passphrase names what opens it (a command has --key-passphrase)")
	errWrongPassphrase = errors.New("is an encrypted key that its passphrase does not open")
)

// unlock returns the PEM of an encrypted key, b itself where it is none.
func unlock(b, passphrase []byte) ([]byte, error) {
	if der, err := pfx(b); err != nil || der != nil {
		if err == nil {
			der, err = unlockPFX(der, passphrase)
		}
		return der, err
	}
	text, known := keyText(b)
	if !known || !bytes.HasPrefix(text, []byte("-----BEGIN ")) {
		return b, nil
	}
	var out []byte
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return bytes.TrimSuffix(out, []byte("\n")), nil
		}
		block, err := unlockBlock(block, passphrase)
		if err != nil {
			return nil, err
		}
		out = append(out, pem.EncodeToMemory(block)...)
	}
}

func unlockBlock(block *pem.Block, passphrase []byte) (*pem.Block, error) {
	//lint:ignore SA1019 OpenSSL wrote such keys for twenty years
	old := x509.IsEncryptedPEMBlock(block)
	switch {
	case !old && block.Type != "ENCRYPTED PRIVATE KEY":
		return block, nil
	case len(passphrase) == 0:
		return nil, ErrLocked
	case old:
		//lint:ignore SA1019 likewise
		der, err := x509.DecryptPEMBlock(block, passphrase)
		if err != nil || numbersOf(der) == nil { // its padding says so in 255 of 256 cases only
			return nil, errWrongPassphrase
		}
		return &pem.Block{Type: block.Type, Bytes: der}, nil
	}
	if err := affordable(block.Bytes); err != nil {
		return nil, err
	}
	key, err := opening(func() (any, error) {
		key, _, err := pkcs8.ParsePrivateKey(block.Bytes, passphrase)
		return key, err
	})
	if err != nil {
		if errors.Is(err, errBroken) {
			return nil, err
		}
		if strings.Contains(err.Error(), "incorrect password") { // the package exports no errors
			return nil, errWrongPassphrase
		}
		return nil, fmt.Errorf("is encrypted in a way that is not read (%w); one that is: openssl pkcs8 -topk8 -v2 aes-256-cbc", err)
	}
	return privateBlock(key)
}

func privateBlock(key any) (*pem.Block, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, errors.New("holds a key that is neither RSA, nor of an elliptic curve, nor Ed25519")
	}
	return &pem.Block{Type: "PRIVATE KEY", Bytes: der}, nil
}

// pfx returns the DER of a PKCS #12 file, in base64 or as it is; nil: b is none.
func pfx(b []byte) ([]byte, error) {
	if !bytes.HasPrefix(b, []byte{0x30}) {
		var err error
		if b, err = base64.StdEncoding.DecodeString(strings.Join(strings.Fields(string(b)), "")); err != nil {
			return nil, nil //nolint:nilerr // it is none
		}
	}
	var file struct { // PFX of RFC 7292 §4
		Version  int
		AuthSafe asn1.RawValue
		MAC      struct {
			Digest     asn1.RawValue
			Salt       []byte
			Iterations int `asn1:"optional"`
		} `asn1:"optional"`
	}
	// A byte that text ends with may stand after it.
	if rest, err := asn1.Unmarshal(b, &file); err != nil || file.Version != 3 || len(bytes.TrimSpace(rest)) > 0 {
		return nil, nil //nolint:nilerr // it is none
	}
	if file.MAC.Iterations > mostIterations {
		return nil, errTooDear
	}
	return b, nil
}

func unlockPFX(der, passphrase []byte) ([]byte, error) {
	type content struct {
		key          any
		certificates []*x509.Certificate
	}
	c, err := opening(func() (content, error) {
		key, certificate, signers, err := pkcs12.DecodeChain(der, string(passphrase))
		return content{key, append([]*x509.Certificate{certificate}, signers...)}, err
	})
	var other pkcs12.NotImplementedError
	switch {
	case errors.As(err, &other):
		return nil, fmt.Errorf("is PKCS #12 of a kind that is not read: %w", err)
	case errors.Is(err, pkcs12.ErrIncorrectPassword) && len(passphrase) == 0:
		return nil, ErrLocked
	case errors.Is(err, pkcs12.ErrIncorrectPassword):
		return nil, errWrongPassphrase
	case errors.Is(err, errBroken):
		return nil, err
	case err != nil:
		return nil, errors.New("is PKCS #12, and holds no private key with its certificate")
	}
	// The client's own comes first (RFC 8446 §4.4.2), wherever the file has it.
	own := func(cert *x509.Certificate) bool {
		public, ok := cert.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
		private, ok2 := c.key.(crypto.Signer)
		return ok && ok2 && public.Equal(private.Public())
	}
	slices.SortStableFunc(c.certificates, func(a, b *x509.Certificate) int {
		switch {
		case own(a) == own(b):
			return 0
		case own(a):
			return -1
		}
		return 1
	})
	var out []byte
	for _, cert := range c.certificates {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})...)
	}
	block, err := privateBlock(c.key)
	if err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(append(out, pem.EncodeToMemory(block)...), []byte("\n")), nil
}
