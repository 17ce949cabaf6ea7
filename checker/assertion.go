package checker

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/keyrounds/keyrounds/secret"
)

// Assertion says how client_secret_jwt and private_key_jwt sign (RFC 7523). The zero value signs by the kind of the
// key, for the token endpoint, without a kid. A key that is a JWK keeps its own kid, and its alg where Algorithm is
// "".
type Assertion struct {
	Algorithm string // RFC 7518 §3.1; default by the key: HS256, RS256, ES256, ES384, ES512 or EdDSA
	Audience  string // default the token endpoint (RFC 7523 §3)
	KeyID     string // kid of the header, where the key is not a JWK that names its own
}

// assertionAge is how long an assertion is valid. It is used once, at once; the rest is for clocks
// that differ.
const assertionAge = 2 * time.Minute

// Algorithms lists what an assertion of m may be signed with (RFC 7518 §3.1, RFC 8037 §3.1), nil for every method
// that signs none.
func (m AuthMethod) Algorithms() []string {
	switch m {
	case ClientSecretJWT:
		return []string{"HS256", "HS384", "HS512"}
	case PrivateKeyJWT:
		return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
	}
	return nil
}

// assertion signs a client assertion (RFC 7523 §3): iss and sub are the client, jti is new each time.
func assertion(p Provider, clientID string, value secret.Value, now time.Time) (secret.Value, error) {
	key := jose.JSONWebKey{Key: []byte(value.Reveal()), Algorithm: string(jose.HS256)}
	if p.AuthMethod == PrivateKeyJWT {
		var err error
		if key, err = privateKey([]byte(value.Reveal())); err != nil {
			return secret.Value{}, err
		}
	}
	algorithm := first(p.Assertion.Algorithm, key.Algorithm)
	options := (&jose.SignerOptions{}).WithType("JWT")
	if kid := first(key.KeyID, p.Assertion.KeyID); kid != "" {
		options = options.WithHeader("kid", kid)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(algorithm), Key: key.Key}, options)
	if err != nil {
		return secret.Value{}, fmt.Errorf("the key cannot sign %s", algorithm)
	}
	text, err := jwt.Signed(signer).Claims(jwt.Claims{
		Issuer: clientID, Subject: clientID, Audience: jwt.Audience{first(p.Assertion.Audience, p.TokenURL)},
		ID: rand.Text(), IssuedAt: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(now.Add(assertionAge)),
	}).Serialize()
	if err != nil {
		return secret.Value{}, fmt.Errorf("the key cannot sign %s (HS256 needs a secret of at least 32 bytes, RFC 7518 §3.2)", algorithm)
	}
	return secret.New([]byte(text)), nil
}

var errNoKey = errors.New("the secret is not a private key: PEM (PKCS #8, PKCS #1, SEC 1) or a JWK is expected")

// privateKey reads a key and says by which algorithm it signs where nothing else is said.
func privateKey(text []byte) (jose.JSONWebKey, error) {
	var key jose.JSONWebKey
	if block := keyBlock(text); block != nil {
		k, err := parsePEM(block.Bytes)
		if err != nil {
			return key, err
		}
		key.Key = k
	} else if err := key.UnmarshalJSON(text); err != nil || key.IsPublic() || !key.Valid() {
		return key, errNoKey
	}
	byKey := algorithmOf(key.Key)
	if byKey == "" { // a shared secret as JWK
		return key, errNoKey
	}
	key.Algorithm = first(key.Algorithm, byKey)
	return key, nil
}

// keyBlock is the first block of PEM that is a private key, or the first of all: many keep certificates in the same file,
// and OpenSSL puts a curve's parameters before its key.
func keyBlock(text []byte) *pem.Block {
	first, _ := pem.Decode(text)
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			return first
		}
		if strings.HasSuffix(block.Type, "PRIVATE KEY") {
			return block
		}
		text = rest
	}
}

func parsePEM(der []byte) (crypto.PrivateKey, error) {
	if k, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		return k, nil
	}
	if k, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return k, nil
	}
	if k, err := x509.ParseECPrivateKey(der); err == nil {
		return k, nil
	}
	return nil, errNoKey
}

func algorithmOf(key any) string {
	switch k := key.(type) {
	case *rsa.PrivateKey:
		return "RS256"
	case ed25519.PrivateKey:
		return "EdDSA"
	case *ecdsa.PrivateKey:
		switch k.Curve {
		case elliptic.P384():
			return "ES384"
		case elliptic.P521():
			return "ES512"
		}
		return "ES256"
	}
	return ""
}
