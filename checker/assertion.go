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
	"reflect"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/secret"
)

// Assertion says how client_secret_jwt, private_key_jwt and GrantJWTBearer sign (RFC 7523). The zero value signs by the
// kind of the key, for the token endpoint, without a kid. A key that is a JWK keeps its own kid, and its alg where
// Algorithm is "".
type Assertion struct {
	Algorithm string         `yaml:"algorithm"` // RFC 7518 §3.1; default by the key: HS256, RS256, ES256, ES384, ES512 or EdDSA
	Audience  string         `yaml:"audience"`  // default the token endpoint (RFC 7523 §3)
	KeyID     string         `yaml:"key_id"`    // kid of the header, where the key is not a JWK that names its own
	Issuer    string         `yaml:"issuer"`    // default the client id
	Subject   string         `yaml:"subject"`   // default the client id; of GrantJWTBearer none
	Claims    map[string]any `yaml:"claims"`    // more of them; {client_id} and {scope} are filled in, and what is then "" is left out
	Lifetime  time.Duration  `yaml:"lifetime"`  // default 2 minutes, at most an hour
}

func (a Assertion) isZero() bool { return reflect.ValueOf(a).IsZero() }

// assertionAge is how long an assertion is valid. It is used once, at once; the rest is for clocks
// that differ.
const (
	assertionAge     = 2 * time.Minute
	mostAssertionAge = time.Hour
)

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

// assertion signs a client assertion, or one that is the grant (RFC 7523 §3): jti is new each time.
func assertion(p Provider, cred credential.Credential, value secret.Value, now time.Time) (secret.Value, error) {
	key := jose.JSONWebKey{Key: []byte(value.Reveal()), Algorithm: string(jose.HS256)}
	if p.AuthMethod != ClientSecretJWT {
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
	subject := p.Assertion.Subject
	if !p.signsGrant() {
		subject = first(subject, cred.Subject)
	}
	text, err := jwt.Signed(signer).Claims(p.Assertion.claims(cred)).Claims(jwt.Claims{
		Issuer: first(p.Assertion.Issuer, cred.Subject), Subject: subject,
		Audience: jwt.Audience{first(p.Assertion.Audience, p.TokenURL)},
		ID:       rand.Text(), IssuedAt: jwt.NewNumericDate(now),
		Expiry: jwt.NewNumericDate(now.Add(first(p.Assertion.Lifetime, assertionAge))),
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
