package checker_test

import (
	"crypto"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/keyrounds/keyrounds/checker"
)

// proofOf reads the proof of a request as RFC 9449 §4.3 says, and returns the key's thumbprint and the nonce; an error says what is wrong.
func proofOf(r *http.Request, token string, seen *sync.Map) (thumb, nonce string, err error) {
	if n := len(r.Header.Values("DPoP")); n != 1 {
		return "", "", fmt.Errorf("%d proofs", n)
	}
	t, err := jwt.ParseSigned(r.Header.Get("DPoP"), []jose.SignatureAlgorithm{jose.ES256})
	if err != nil || t.Headers[0].ExtraHeaders["typ"] != "dpop+jwt" || t.Headers[0].JSONWebKey == nil ||
		!t.Headers[0].JSONWebKey.IsPublic() {
		return "", "", fmt.Errorf("no proof: %w", err)
	}
	var claims struct {
		JTI   string  `json:"jti"`
		HTM   string  `json:"htm"`
		HTU   string  `json:"htu"`
		Nonce string  `json:"nonce"`
		ATH   string  `json:"ath"`
		IAT   float64 `json:"iat"`
	}
	if err := t.Claims(t.Headers[0].JSONWebKey.Key, &claims); err != nil {
		return "", "", err
	}
	sum := sha256.Sum256([]byte(token))
	ath := base64.RawURLEncoding.EncodeToString(sum[:])
	if token == "" {
		ath = ""
	}
	if _, again := seen.LoadOrStore(claims.JTI, true); again {
		return "", "", fmt.Errorf("replayed")
	}
	if claims.HTM != r.Method || claims.HTU != "http://"+r.Host+r.URL.Path || claims.IAT == 0 || claims.ATH != ath {
		return "", "", fmt.Errorf("not of this request: %+v", claims)
	}
	print, err := t.Headers[0].JSONWebKey.Thumbprint(crypto.SHA256)
	return string(print), claims.Nonce, err
}

// With dpop a check proves the possession of its key at the token endpoint and at the API, with the nonce of each, asks each once more for
// it and no oftener, and leaves neither token nor proof in its result.
func TestDPoPIsProvenAtBothEnds(t *testing.T) {
	t.Parallel()
	for _, nonces := range []bool{false, true} {
		var (
			seen   sync.Map
			mu     sync.Mutex
			asked  = map[string]int{}
			key    string
			proofs []string
		)
		handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			asked[r.URL.Path]++
			proofs = append(proofs, r.Header.Get("DPoP"))
			token := strings.TrimPrefix(r.Header.Get("Authorization"), "DPoP ")
			if strings.HasSuffix(r.URL.Path, "/token") {
				token = ""
			}
			thumb, nonce, err := proofOf(r, token, &seen)
			want := map[bool]string{true: "nonce-of" + r.URL.Path}[nonces]
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("DPoP-Nonce", want)
			switch {
			case err != nil:
				t.Errorf("%s: %v", r.URL.Path, err)
				w.WriteHeader(http.StatusBadRequest)
				fmt.Fprint(w, `{"error":"invalid_dpop_proof"}`)
			case nonce != want && strings.HasSuffix(r.URL.Path, "/token"):
				w.WriteHeader(http.StatusBadRequest)
				fmt.Fprint(w, `{"error":"use_dpop_nonce","error_description":"Authorization server requires nonce in DPoP proof"}`)
			case nonce != want:
				w.Header().Set("WWW-Authenticate", `DPoP error="use_dpop_nonce"`)
				w.WriteHeader(http.StatusUnauthorized)
			case strings.HasSuffix(r.URL.Path, "/token"):
				key = thumb
				fmt.Fprint(w, `{"access_token":"c4n4ry-bound","token_type":"DPoP","expires_in":60}`)
			case thumb != key || token != "c4n4ry-bound":
				w.WriteHeader(http.StatusUnauthorized)
			default:
				fmt.Fprint(w, `{}`)
			}
		})
		api := httptest.NewServer(handler)
		t.Cleanup(api.Close)
		p := serve(t, handler, func(p *checker.Provider) {
			p.DPoP = true
			p.Probes = []checker.Probe{{Scope: "read", Get: api.URL + "/api?limit=1"}}
		})
		at := target("client", "c4n4rysecret-0123456789abcdef")
		at.Credential.Scopes = []string{"read"}
		r := checker.New(checker.Options{}).Check(t.Context(), p, at)
		if r.Outcome != checker.OK || len(r.Probes) != 1 || r.Probes[0].Verdict != checker.ProbeOK {
			t.Errorf("nonces %t: %s %s %+v %s", nonces, r.Outcome, r.Reason, r.Probes, r.Message)
		}
		for path, n := range asked {
			if n != map[bool]int{false: 1, true: 2}[nonces] {
				t.Errorf("nonces %t: %s was asked %d times", nonces, path, n)
			}
		}
		shown := fmt.Sprintf("%+v", r)
		for _, proof := range append(proofs, "c4n4ry-bound") {
			if strings.Contains(shown, proof) {
				t.Errorf("the result shows %s", proof)
			}
		}
	}
}
