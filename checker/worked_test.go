package checker_test

import (
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/keyrounds/keyrounds/checker"
)

// What worked by the method and with the encoding that we chose is not refused for them: a revocation does not hide
// behind metadata that do not list the method, nor behind a certificate that is not asked for where the words are clear.
func TestWhatWorkedIsNotOurChoice(t *testing.T) {
	t.Parallel()
	self := newCert(t, "self", nil, time.Now().Add(time.Hour))
	for name, c := range map[string]struct {
		method checker.AuthMethod
		secret string
		said   string
		never  checker.Outcome // where it never worked
		worked checker.Outcome
	}{
		"a method that is not listed": {checker.ClientSecretBasic, "s3cret", "", checker.Misconfigured, checker.Rejected},
		"clear words, not asked": {
			checker.SelfSignedTLSClientAuth, self.pem(t), "Client has been disabled", checker.Misconfigured, checker.Rejected,
		},
		"no words, not asked": {checker.SelfSignedTLSClientAuth, self.pem(t), "", checker.Misconfigured, checker.Misconfigured},
	} {
		for _, worked := range []bool{false, true} {
			mux := http.NewServeMux()
			p := serveTLS(t, mux, &tls.Config{}, nil)
			mux.HandleFunc("/.well-known/", func(w http.ResponseWriter, r *http.Request) {
				issuer := "https://" + r.Host
				fmt.Fprintf(w, `{"issuer": %q, "token_endpoint": %q, "token_endpoint_auth_methods_supported": ["client_secret_post"]}`,
					issuer, issuer+"/token")
			})
			mux.HandleFunc("/token", func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(401)
				fmt.Fprintf(w, `{"error":"invalid_client","error_description":%q}`, c.said)
			})
			p.Issuer = strings.TrimSuffix(p.TokenURL, "/identity/oauth/token")
			p.TokenURL, p.AuthMethod = p.Issuer+"/token", c.method
			at := target("c", c.secret)
			want := c.never
			if at.Worked = worked; worked {
				want = c.worked
			}
			rs := checker.New(checker.Options{}).CheckAll(t.Context(), nil, p, []checker.Target{at})
			if rs[0].Outcome != want {
				t.Errorf("%s, worked %t: %s %s, not %s", name, worked, rs[0].Outcome, rs[0].Message, want)
			}
		}
	}
}

// A key is not sent where a client secret belongs, however it is written; and OpenSSL's parameters of a curve before a
// key do not hide it.
func TestKeysInTheWrongPlace(t *testing.T) {
	t.Parallel()
	_, key, _ := keys(t)
	der := pkcs8(t, key)
	jwk := `{"kty":"EC","crv":"P-256","d":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"}`
	for _, text := range []string{der, jwk} {
		asked := false
		p := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }), nil)
		r := checker.New(checker.Options{}).Check(t.Context(), p, target("c", text))
		if asked || r.Reason != checker.SecretUnreadable {
			t.Errorf("%.20s: asked %t, %s %s", text, asked, r.Outcome, r.Message)
		}
	}
	parameters := string(pem.EncodeToMemory(&pem.Block{Type: "EC PARAMETERS", Bytes: []byte{6, 8, 42, 134, 72, 206, 61, 3, 1, 7}}))
	p := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"access_token":"t0ken-value-1","token_type":"bearer"}`)
	}), func(p *checker.Provider) { p.AuthMethod = checker.PrivateKeyJWT })
	if r := checker.New(checker.Options{}).Check(t.Context(), p, target("c", parameters+der)); r.Outcome != checker.OK {
		t.Errorf("%s %s", r.Outcome, r.Message)
	}
}

// Words about our request, or about who asks from where, are no refusal in whichever member they stand.
func TestWordsAboutUsInAnyMember(t *testing.T) {
	t.Parallel()
	p, err := checker.Provider{TokenURL: "https://a.example/t"}.Complete()
	if err != nil {
		t.Fatal(err)
	}
	for text, refused := range map[string]bool{
		"Client is disabled by firewall":                    false,
		"Unknown client (missing client_id)":                false,
		"Invalid client secret: the parameter is missing":   false,
		"Unknown client authentication method":              false,
		"Unknown client certificate":                        false,
		"Client is disabled":                                true,
		"Invalid client secret":                             true,
		"Unknown client":                                    true,
		"The client secret provided has expired since June": true,
	} {
		for _, body := range []string{
			`{"error":"invalid_client","error_description":%q}`,
			`{"result":{"notes":[{"note":%q}]}}`,
			`{"message":%q}`,
		} {
			for _, status := range []int{400, 401} {
				r := checker.Classify(p, checker.Response{
					Status: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: fmt.Appendf(nil, body, text),
				})
				if (r.Outcome == checker.Rejected) != refused {
					t.Errorf("%d "+body+": %s %s by %s", status, text, r.Outcome, r.Reason, r.Rule)
				}
			}
		}
	}
}
