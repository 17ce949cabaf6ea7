package secret

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"regexp"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// Some secrets are keys: PEM (RFC 7468) or a JWK (RFC 7517). Their text has lines, which are broken in many ways; what
// makes two texts the same key is the private number in them.

// pemBlock takes a block as people keep it: indented, in one line, with \n for its line ends.
var pemBlock = regexp.MustCompile(`(?s)-----BEGIN ([A-Z0-9 ]{1,40})-----(.+?)-----END ([A-Z0-9 ]{1,40})-----`)

// escapedLines writes the line ends of an environment variable or a JSON string as what they stand for.
var escapedLines = strings.NewReplacer(`\r`, "", `\n`, "\n", "\r", "")

// linesBetween writes the line ends of an environment variable as what they stand for, but in the strings of JSON, where \n is as it
// should be.
func linesBetween(text []byte) []byte {
	out, quoted := make([]byte, 0, len(text)), false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && i+1 < len(text) && quoted:
			out = append(out, c, text[i+1])
			i++
		case c == '\\' && i+1 < len(text) && (text[i+1] == 'n' || text[i+1] == 'r'):
			out = append(out, '\n')
			i++
		default:
			quoted = quoted != (c == '"')
			out = append(out, c)
		}
	}
	return out
}

// keyText returns the text of a key as it is kept, however its lines were broken: PEM with lines of 64 characters and
// nothing beside the blocks, or JSON in one line. false: b is no key, or has one line and is used as it is.
func keyText(b []byte) ([]byte, bool) {
	if text := bytes.TrimSpace(b); bytes.HasPrefix(text, []byte("{")) {
		if !json.Valid(text) {
			text = linesBetween(text)
		}
		var (
			jwk struct { // RFC 7517 §4.1: every key has kty; another document is no secret, unless it holds a key
				Kty          string
				PrivateKey   string `json:"private_key"`
				PrivateKeyID string `json:"private_key_id"`
			}
			line bytes.Buffer
		)
		err := json.Unmarshal(text, &jwk)
		if err == nil && jwk.PrivateKey != "" {
			return keyOfAccount(jwk.PrivateKey, jwk.PrivateKeyID)
		}
		if err != nil || jwk.Kty == "" || json.Compact(&line, text) != nil {
			return nil, false
		}
		return line.Bytes(), bytes.ContainsAny(text, "\r\n")
	}
	var out []byte
	for _, m := range pemBlock.FindAllStringSubmatch(escapedLines.Replace(string(b)), -1) {
		block := readBlock(m)
		if block == nil {
			return nil, false
		}
		out = append(out, pem.EncodeToMemory(block)...)
	}
	return bytes.TrimSuffix(out, []byte("\n")), len(out) > 0
}

// keyOfAccount is the JWK of a private key in PEM, with its id: of a file that a provider gives out for an account, such as Google's.
func keyOfAccount(text, id string) ([]byte, bool) {
	pemText, ok := keyText([]byte(text))
	block, _ := pem.Decode(pemText)
	if !ok || block == nil {
		return nil, false
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return pemText, true // another kind of key, whose id is not known then
	}
	jwk, err := jose.JSONWebKey{Key: key, KeyID: id}.MarshalJSON()
	return jwk, err == nil
}

func readBlock(m []string) *pem.Block {
	if m[1] != m[3] {
		return nil
	}
	lines := strings.Split(m[0], "\n")
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	if block, _ := pem.Decode([]byte(strings.Join(lines, "\n"))); block != nil { // with headers, too (RFC 1421)
		return block
	}
	der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(m[2]), "")) // in one line
	if err != nil || len(der) == 0 {
		return nil
	}
	return &pem.Block{Type: m[1], Bytes: der}
}

// KeyNumber returns the private number of the key that v holds, as bytes: what is the same however the key is written
// (PKCS #1, PKCS #8, SEC 1, JWK; PEM, DER), and is in each of them. The second result is false where v is no private
// key of RSA, of an elliptic curve or Ed25519, or is encrypted.
func KeyNumber(v Value) (Value, bool) {
	number := keyNumber([]byte(v.Reveal()))
	return New(number), len(number) >= leastNumber
}

// leastNumber: shorter numbers are no keys.
const leastNumber = 16

// keyNumber is the first of keyNumbers, nil where there is none.
func keyNumber(text []byte) []byte {
	if numbers := keyNumbers(text); len(numbers) > 0 {
		return numbers[0]
	}
	return nil
}

// keyNumbers are the private numbers of a key: the one that is it, and those of RSA from which that can be made.
func keyNumbers(text []byte) [][]byte {
	if bytes.HasPrefix(text, []byte("{")) {
		var jwk struct{ Kty, D, P, Q, Dp, Dq, Qi string }
		if json.Unmarshal(text, &jwk) != nil || jwk.Kty == "" {
			return nil
		}
		var numbers [][]byte
		for _, member := range []string{jwk.D, jwk.P, jwk.Q, jwk.Dp, jwk.Dq, jwk.Qi} {
			if number, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(member, "=")); err == nil && len(number) > 0 {
				numbers = append(numbers, bytes.TrimLeft(number, "\x00"))
			}
		}
		return numbers
	}
	if der, err := base64.StdEncoding.DecodeString(string(text)); err == nil {
		return numbersOf(der)
	}
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return nil
		}
		if numbers := numbersOf(block.Bytes); numbers != nil {
			return numbers
		}
	}
}

func numbersOf(der []byte) [][]byte {
	var key any
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		key, err = x509.ParsePKCS1PrivateKey(der)
	}
	if err != nil {
		key, err = x509.ParseECPrivateKey(der)
	}
	if err != nil {
		return nil
	}
	switch k := key.(type) {
	case *rsa.PrivateKey:
		numbers := [][]byte{k.D.Bytes()}
		for _, prime := range k.Primes {
			numbers = append(numbers, prime.Bytes())
		}
		if c := k.Precomputed; c.Dp != nil && c.Dq != nil && c.Qinv != nil {
			numbers = append(numbers, c.Dp.Bytes(), c.Dq.Bytes(), c.Qinv.Bytes())
		}
		return numbers
	case *ecdsa.PrivateKey:
		number, _ := k.Bytes()
		return [][]byte{bytes.TrimLeft(number, "\x00")}
	case ed25519.PrivateKey:
		return [][]byte{k.Seed()}
	}
	return nil
}
