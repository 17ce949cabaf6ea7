package checker_test

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/keyrounds/keyrounds/checker"
)

// A server that never asks for the certificate has not seen the client: its refusal is about our address.
func TestACertificateThatNobodyAskedFor(t *testing.T) {
	t.Parallel()
	refuse := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(401)
		fmt.Fprint(w, `{"error":"invalid_client"}`)
	})
	self := newCert(t, "self", nil, time.Now().Add(time.Hour))
	for _, asks := range []bool{false, true} {
		config := &tls.Config{}
		want := checker.Misconfigured
		if asks {
			config.ClientAuth, want = tls.RequestClientCert, checker.Rejected
		}
		p := serveTLS(t, refuse, config, func(p *checker.Provider) { p.AuthMethod = checker.SelfSignedTLSClientAuth })
		r := checker.New(checker.Options{}).Check(t.Context(), p, target("c", self.pem(t)))
		if r.Outcome != want || !asks && !strings.Contains(r.Message, "did not ask for the client certificate") {
			t.Errorf("asks %t: %+v", asks, r)
		}
	}
}

// Beside a token_url, the issuer's metadata says where clients with a certificate belong.
func TestTheAliasForMutualTLSIsNamed(t *testing.T) {
	t.Parallel()
	var at string
	refuse := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "well-known") {
			fmt.Fprintf(w, `{"issuer":%q,"token_endpoint":%q,"mtls_endpoint_aliases":{"token_endpoint":"https://mtls.example/token"}}`,
				at, at+"/token")
			return
		}
		w.WriteHeader(401)
		fmt.Fprint(w, `{"error":"invalid_client"}`)
	})
	self := newCert(t, "self", nil, time.Now().Add(time.Hour))
	p := serveTLS(t, refuse, &tls.Config{}, func(p *checker.Provider) { p.AuthMethod = checker.SelfSignedTLSClientAuth })
	at = strings.TrimSuffix(p.TokenURL, "/identity/oauth/token")
	p.Issuer = at
	r := checker.New(checker.Options{}).Check(t.Context(), p, target("c", self.pem(t)))
	if r.Outcome != checker.Misconfigured || !strings.Contains(r.Message, "https://mtls.example/token") {
		t.Errorf("%+v", r)
	}
}

// A method that the issuer's metadata does not list is our mistake, unless the answer names the client's fault.
func TestAMethodThatIsNotListed(t *testing.T) {
	t.Parallel()
	for listed, want := range map[string]checker.Outcome{
		`["private_key_jwt","client_secret_basic"]`: checker.Misconfigured,
		`["client_secret_post"]`:                    checker.Rejected,
		`[]`:                                        checker.Rejected,
		`null`:                                      checker.Rejected,
	} {
		i := newIssuer(t, "/tenant/.well-known/openid-configuration")
		i.document.Store(fmt.Sprintf(`{"issuer":%q,"token_endpoint":%q,"token_endpoint_auth_methods_supported":%s}`,
			i.URL+"/tenant", i.URL+"/token", listed))
		i.refuse.Store(true)
		r := checker.New(checker.Options{}).Check(t.Context(), i.provider(t), target("c", "s3cretvalue"))
		if r.Outcome != want || want == checker.Misconfigured && !strings.Contains(r.Message, "private_key_jwt, client_secret_basic") {
			t.Errorf("%s: %+v", listed, r)
		}
	}
}

// A server that does not decode what comes by Basic refuses a right secret that encoding changes. The message says so,
// and client_secret_basic_raw works.
func TestBasicIsNotDecoded(t *testing.T) {
	t.Parallel()
	const id, plain = "team a", "s3cret/value+100%"
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != id || password != plain {
			w.Header().Set("WWW-Authenticate", "Basic")
			w.WriteHeader(401)
			fmt.Fprint(w, `{"error":"invalid_client"}`)
			return
		}
		fmt.Fprint(w, `{"access_token":"t"}`)
	})
	check := func(method checker.AuthMethod, value string) checker.Result {
		p := serve(t, h, func(p *checker.Provider) { p.AuthMethod = method })
		return checker.New(checker.Options{}).Check(t.Context(), p, target(id, value))
	}
	r := check(checker.ClientSecretBasic, plain)
	if r.Outcome != checker.Rejected || !strings.Contains(r.Message, "client_secret_basic_raw") {
		t.Errorf("encoded: %+v", r)
	}
	if r := check(checker.ClientSecretBasicRaw, plain); r.Outcome != checker.OK {
		t.Errorf("raw: %+v", r)
	}
	r = check(checker.ClientSecretBasicRaw, "wrong+value")
	if r.Outcome != checker.Rejected || !strings.Contains(r.Message, "try client_secret_basic;") {
		t.Errorf("raw, and decoding would change it: %+v", r)
	}
	if r := check(checker.ClientSecretBasicRaw, "wrong/value"); r.Outcome != checker.Rejected || strings.Contains(r.Message, "_raw") {
		t.Errorf("wrong: %+v", r)
	}
	p := serve(t, h, func(p *checker.Provider) { p.AuthMethod = checker.ClientSecretBasicRaw })
	if r := checker.New(checker.Options{}).Check(t.Context(), p, target("a:b", plain)); r.Outcome != checker.Misconfigured {
		t.Errorf("a colon: %+v", r)
	}
}

// A key is never sent where a client secret belongs: it would be refused, and given away.
func TestAKeyIsNoClientSecret(t *testing.T) {
	t.Parallel()
	_, e, _ := keys(t)
	for _, method := range []checker.AuthMethod{
		checker.ClientSecretPost, checker.ClientSecretBasic, checker.ClientSecretBasicRaw, checker.ClientSecretJWT,
	} {
		p := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Errorf("%s: it was sent", method) }),
			func(p *checker.Provider) { p.AuthMethod = method })
		r := checker.New(checker.Options{}).Check(t.Context(), p, target("c", pkcs8(t, e)))
		if r.Outcome != checker.Misconfigured || r.Reason != checker.SecretUnreadable {
			t.Errorf("%s: %+v", method, r)
		}
	}
}

// What of our choosing a refusal can be about is named by method, with the values that were sent, and without the secret;
// a refusal that says why, and what is no refusal, names none.
func TestChoices(t *testing.T) {
	t.Parallel()
	soon := time.Now().Add(time.Hour)
	self := newCert(t, "self", nil, soon)
	_, key, _ := keys(t)
	const (
		hmac     = "c4n4ry-s3cret-of-more-than-thirty-two-bytes"
		raw      = "form-encoding, which client_secret_basic_raw"
		encoded  = "form-encoding, which client_secret_basic does"
		audience = "assertion.audience http"
	)
	for method, c := range map[checker.AuthMethod]struct {
		secret    string
		has, lack []string
	}{
		checker.ClientSecretPost: {
			"c4n4ry-sécret", []string{"proof of possession", "not ASCII"}, []string{"encoding", "assertion", "clock"},
		},
		checker.ClientSecretBasic:       {"c4n4ry+s3cret", []string{raw}, []string{"assertion"}},
		checker.ClientSecretBasicRaw:    {"c4n4ry+s3cret", []string{encoded}, []string{"assertion"}},
		checker.ClientSecretJWT:         {hmac, []string{audience, "assertion.key_id (none)", "clock"}, []string{"encoding"}},
		checker.PrivateKeyJWT:           {pkcs8(t, key), []string{audience, "clock"}, []string{"encoding"}},
		checker.SelfSignedTLSClientAuth: {self.pem(t), nil, []string{"proof of possession", "encoding"}},
	} {
		for answer, named := range map[string]bool{
			`{"error":"invalid_client"}`: true,
			`{"error":"invalid_client","error_description":"client secret expired"}`: false,
			`{"error":"invalid_scope"}`: false,
		} {
			refuse := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(400)
				fmt.Fprint(w, answer)
			})
			p := serveTLS(t, refuse, &tls.Config{ClientAuth: tls.RequestClientCert}, func(p *checker.Provider) { p.AuthMethod = method })
			r := checker.New(checker.Options{}).Check(t.Context(), p, target("c", c.secret))
			text := strings.Join(r.Choices, "; ")
			if (text != "") != named || strings.Contains(text, "c4n4ry") {
				t.Errorf("%s, %s: %s %s: %q", method, answer, r.Outcome, r.Reason, text)
			}
			if !named {
				continue
			}
			for _, part := range append(c.has, "client_id and secret", "auth_method "+string(method), "token_url "+p.TokenURL) {
				if !strings.Contains(text, part) {
					t.Errorf("%s: no %q in %q", method, part, text)
				}
			}
			for _, part := range c.lack {
				if strings.Contains(text, part) {
					t.Errorf("%s: %q in %q", method, part, text)
				}
			}
		}
	}
}
