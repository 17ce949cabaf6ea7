package checker

import (
	"bytes"
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/keyrounds/keyrounds/secret"
)

// prover makes proofs of possession for one check (RFC 9449), by a key that is made for it and is never kept. The nil prover makes none.
type prover struct {
	signer jose.Signer
	now    func() time.Time
	nonces map[string]string // the last of each host
}

// newProver makes the key (RFC 9449 §4.2: ES256).
func newProver(now func() time.Time) (*prover, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	options := (&jose.SignerOptions{EmbedJWK: true}).WithType("dpop+jwt")
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, options)
	return &prover{signer, now, map[string]string{}}, err
}

// prove adds a proof to a request, for a token that it presents (§7); the zero Value: it asks for one (§5).
func (p *prover) prove(req *http.Request, token secret.Value) error {
	if p == nil {
		return nil
	}
	at := *req.URL
	at.RawQuery, at.Fragment = "", ""
	claims := map[string]any{"jti": rand.Text(), "htm": req.Method, "htu": at.String(), "iat": p.now().Unix()}
	if nonce := p.nonces[req.URL.Host]; nonce != "" {
		claims["nonce"] = nonce
	}
	if !token.IsZero() {
		sum := sha256.Sum256([]byte(token.Reveal()))
		claims["ath"] = base64.RawURLEncoding.EncodeToString(sum[:])
	}
	proof, err := jwt.Signed(p.signer).Claims(claims).Serialize()
	if err == nil {
		req.Header.Set("DPoP", proof)
	}
	return err
}

// learn keeps the nonce of an answer, and reports whether the server wants the same request once more with it (§8, §9).
func (p *prover) learn(resp *http.Response, code string) bool {
	if p == nil {
		return false
	}
	nonce := resp.Header.Get("DPoP-Nonce")
	if nonce == "" || len(nonce) > 1024 {
		return false
	}
	old := p.nonces[resp.Request.URL.Host]
	p.nonces[resp.Request.URL.Host] = nonce
	challenged := strings.Contains(strings.Join(resp.Header.Values("WWW-Authenticate"), ","), `error="use_dpop_nonce"`)
	return nonce != old && (code == "use_dpop_nonce" || challenged)
}

// shows presents a token: with a proof where it is bound to one, else as a bearer's.
func (p *prover) shows(token secret.Value) shown {
	if p == nil {
		return bearer(token)
	}
	return func(req *http.Request) error {
		req.Header.Set("Authorization", "DPoP "+token.Reveal())
		return p.prove(req, token)
	}
}

// do makes a request, and makes it once more where the server only wanted its nonce.
func (p *prover) do(
	ctx context.Context,
	client *http.Client,
	request func(context.Context) (*http.Request, error),
) (*http.Response, error) {
	for try := 1; ; try++ {
		req, err := request(ctx)
		if err != nil {
			return nil, err
		}
		resp, err := client.Do(req)
		if err != nil || p == nil || try > 1 {
			return resp, err
		}
		if !p.learn(resp, codeOf(resp)) {
			return resp, nil
		}
		_ = resp.Body.Close()
	}
}

// codeOf is the error code of a refusal's body, which can be read again.
func codeOf(resp *http.Response) string {
	if resp.StatusCode != http.StatusBadRequest && resp.StatusCode != http.StatusUnauthorized {
		return ""
	}
	body, err := readBody(resp)
	_ = resp.Body.Close()
	resp.Header.Del("Content-Encoding")
	resp.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body), failing{err}))
	return readAnswer(Response{Status: resp.StatusCode, Header: resp.Header, Body: body}, nil).code
}

// failing fails with an error, or ends where there is none.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, cmp.Or(f.err, io.EOF) }
