package checker_test

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/outbound"
	"github.com/keyrounds/keyrounds/secret"
	"github.com/keyrounds/keyrounds/sim"
	"github.com/keyrounds/keyrounds/sim/authserver"
)

// at makes a complete provider at url, on loopback.
func at(t *testing.T, url string, change func(*checker.Provider)) checker.Provider {
	t.Helper()
	p := checker.Provider{Name: "idp", TokenURL: url, AllowPrivateNetworks: true, Rate: 1000}
	if change != nil {
		change(&p)
	}
	p, err := p.Complete()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// serve runs h and returns a provider whose token endpoint it is.
func serve(t *testing.T, h http.Handler, change func(*checker.Provider)) checker.Provider {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return at(t, s.URL+"/identity/oauth/token", change)
}

func target(id, value string, scopes ...string) checker.Target {
	return checker.Target{
		Credential: credential.Credential{ID: 7, Name: "ats-sync", Provider: "idp", Subject: id, Scopes: scopes},
		Secret:     func(context.Context) (secret.Value, error) { return secret.New([]byte(value)), nil },
	}
}

// caFile writes the certificate of a TLS test server.
func caFile(t *testing.T, s *httptest.Server) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestARealAuthorizationServer(t *testing.T) {
	t.Parallel()
	secrets := map[string]string{
		"plain":   "s3cretplainvalue",
		"special": `p%s:w&rd=+/ä "quoted" \ ~*'()!;#?`,
		"long":    strings.Repeat("0123456789abcdef", 4),
	}
	for _, method := range []checker.AuthMethod{checker.ClientSecretPost, checker.ClientSecretBasic} {
		for name, value := range secrets {
			t.Run(string(method)+"/"+name, func(t *testing.T) {
				t.Parallel()
				id := "client:" + name + "@example.org"
				idp := authserver.New(
					t,
					authserver.Client{ID: id, Secret: value, Method: string(method), Scopes: []string{"read", "write"}},
				)
				server := httptest.NewTLSServer(idp)
				t.Cleanup(server.Close)
				p := at(t, server.URL, func(p *checker.Provider) {
					p.AuthMethod, p.RequestScopes, p.TLS = method, true, outbound.TLS{CAFile: caFile(t, server)}
				})
				c := checker.New(checker.Options{})

				r := c.Check(t.Context(), p, target(id, value, "read", "write"))
				if r.Outcome != checker.OK || r.HTTPStatus != http.StatusOK || !slices.Equal(r.Granted, []string{"read", "write"}) {
					t.Fatalf("%+v", r)
				}
				if r.ExpiresIn < 29*time.Minute || r.ExpiresIn > 30*time.Minute || len(r.Trail.TokenHash) != 32 {
					t.Errorf("expires in %v, token hash %x", r.ExpiresIn, r.Trail.TokenHash)
				}
				ph := r.Phases
				if ph.Connect <= 0 || ph.TLS <= 0 || ph.FirstByte <= 0 || ph.Total < ph.Connect+ph.TLS+ph.FirstByte {
					t.Errorf("phases %+v", ph)
				}

				r = c.Check(t.Context(), p, target(id, "wrong", "read"))
				if r.Outcome != checker.Rejected || r.ErrorCode != "invalid_client" {
					t.Errorf("a wrong secret: %+v", r)
				}
				r = c.Check(t.Context(), p, target(id, value, "admin"))
				if r.Outcome != checker.ScopeDenied || r.ErrorCode != "invalid_scope" {
					t.Errorf("a scope that it may not have: %+v", r)
				}
				idp.Revoke(id)
				if r := c.Check(t.Context(), p, target(id, value, "read")); r.Outcome != checker.Rejected {
					t.Errorf("revoked: %+v", r)
				}
			})
		}
	}
}

// A server that knows the client, but wants it to authenticate otherwise, does not refuse the
// credential but our request.
func TestTheOtherAuthMethod(t *testing.T) {
	t.Parallel()
	idp := authserver.New(t, authserver.Client{ID: "c", Secret: "s3cretvalue", Method: "client_secret_basic"})
	r := checker.New(checker.Options{}).Check(t.Context(), serve(t, idp, nil), target("c", "s3cretvalue"))
	if r.Outcome != checker.Misconfigured {
		t.Errorf("%+v", r)
	}
}

func TestFaultsOfTheProvider(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		fault   sim.Fault
		outcome checker.Outcome
		reason  checker.Reason
	}{
		{sim.NoFault, checker.OK, ""},
		{sim.Refuse, checker.Rejected, checker.Unspecified},
		{sim.Down, checker.ProviderError, ""},
		{sim.RateLimit, checker.RateLimited, ""},
		{sim.Firewall, checker.Intercepted, ""},
		{sim.Captive, checker.Intercepted, ""},
		{sim.EmptyObject, checker.Malformed, ""},
		{sim.Echo, checker.Rejected, checker.Unspecified},
		{sim.Hostile, checker.Rejected, checker.Unspecified},
		{sim.Huge, checker.Malformed, checker.TooLarge},
		{sim.Hang, checker.Unreachable, checker.TimedOut}, // waits the 10 s out
		{sim.Drop, checker.Unreachable, checker.ConnectionLost},
	} {
		t.Run(string(c.fault), func(t *testing.T) {
			t.Parallel()
			idp := sim.NewProvider(sim.Client{ID: "c", Secret: "c4n4ry+s3cret/val"})
			idp.Break(c.fault)
			r := checker.New(checker.Options{}).Check(t.Context(), serve(t, idp, nil), target("c", "c4n4ry+s3cret/val"))
			if r.Outcome != c.outcome || r.Reason != c.reason {
				t.Errorf("%s %q, want %s %q: %+v", r.Outcome, r.Reason, c.outcome, c.reason, r)
			}
			if n := idp.Exchanges("c"); n != 1 {
				t.Errorf("%d requests, want 1: nothing is tried again", n)
			}
			all := fmt.Sprintf("%+v", r)
			if strings.Contains(all, "c4n4ry") {
				t.Errorf("the result shows the secret: %s", all)
			}
			if bad := strings.IndexFunc(all, func(c rune) bool { return c < ' ' || c == 0x7f || c == '\u202e' }); bad >= 0 {
				t.Errorf("the result holds the control character %q", all[bad:bad+3])
			}
			if c.fault == sim.RateLimit && r.RetryAfter != 2*time.Second {
				t.Errorf("retry after %v, want 2s", r.RetryAfter)
			}
		})
	}
}

// A secret that is a word of OAuth's answers does not spoil their reading.
func TestASecretThatIsAWord(t *testing.T) {
	t.Parallel()
	for _, word := range []string{"token", "bearer", "error", "expires_in"} {
		idp := sim.NewProvider(sim.Client{ID: "c", Secret: word})
		if r := checker.New(checker.Options{}).Check(t.Context(), serve(t, idp, nil), target("c", word)); r.Outcome != checker.OK {
			t.Errorf("%s: %+v", word, r)
		}
	}
}

// A secret that is a word of ours is taken out of what came from outside, and leaves our own words alone.
func TestTheTraceKeepsOurWords(t *testing.T) {
	t.Parallel()
	const word = "secret"
	p := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/secret")
		w.WriteHeader(401)
		_, _ = w.Write([]byte(`{"error":"invalid_client","error_description":"secret"}`))
	}), func(p *checker.Provider) { p.AuthMethod = checker.ClientSecretBasic })
	r := checker.New(checker.Options{}).Check(t.Context(), p, target("c", word))
	text := strings.Join(r.Trace, "\n")
	if !strings.Contains(text, "with client_secret_basic") || strings.Contains(text, "application/secret") ||
		strings.ContainsAny(text, "\x01\x02") {
		t.Error(text)
	}
}

// The members that a provider's parameters add are sent, and the others stay as they are.
func TestParameters(t *testing.T) {
	t.Parallel()
	got := make(chan string, 1)
	p := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		got <- r.PostForm.Encode()
		fmt.Fprint(w, `{"access_token":"t","token_type":"bearer"}`)
	}), func(p *checker.Provider) { p.Parameters = map[string]string{"audience": "https://api.example/"} })
	checker.New(checker.Options{}).Check(t.Context(), p, target("c", "s3cretvalue"))
	if form := <-got; form != "audience=https%3A%2F%2Fapi.example%2F&client_id=c&client_secret=s3cretvalue&grant_type=client_credentials" {
		t.Error(form)
	}
}

// RFC 7009: the token is given back after the probes, by the client's own authentication, and a
// provider that fails to take it changes nothing.
func TestTheTokenIsGivenBack(t *testing.T) {
	t.Parallel()
	for _, status := range []int{200, 503, 307} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			idp := sim.NewProvider(sim.Client{ID: "c", Secret: "s3cretvalue", Scopes: []string{"company_read"}})
			var paths, revoked []string
			var mu sync.Mutex
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				defer mu.Unlock()
				paths = append(paths, r.URL.Path)
				if r.URL.Path != "/revoke" {
					idp.ServeHTTP(w, r)
					return
				}
				id, value, _ := r.BasicAuth()
				revoked = append(revoked, id+" "+value+" "+r.FormValue("token")+" "+r.FormValue("token_type_hint"))
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(status)
			}))
			t.Cleanup(server.Close)
			p := at(t, server.URL+"/identity/oauth/token", func(p *checker.Provider) {
				p.AuthMethod, p.RevocationURL = checker.ClientSecretBasic, server.URL+"/revoke"
				p.Probes = []checker.Probe{{Scope: "company_read", Get: server.URL + "/configuration/company/my"}}
			})
			r := checker.New(checker.Options{}).Check(t.Context(), p, target("c", "s3cretvalue", "company_read"))
			if r.Outcome != checker.OK || !slices.Equal(paths, []string{"/identity/oauth/token", "/configuration/company/my", "/revoke"}) {
				t.Errorf("requests %v, %+v", paths, r)
			}
			if want := "c s3cretvalue " + idp.Tokens()[0] + " access_token"; !slices.Equal(revoked, []string{want}) {
				t.Errorf("given back: %v", revoked)
			}
			if all := fmt.Sprintf("%+v", r); strings.Contains(all, idp.Tokens()[0]) {
				t.Errorf("the result shows the token: %s", all)
			}
		})
	}
}

// No redirect is followed, whatever its status, and no token is taken from there
// (docs/promises.md#no-redirect-is-followed).
func TestNoRedirectIsFollowed(t *testing.T) {
	t.Parallel()
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, method := range checker.AuthMethods() {
			t.Run(fmt.Sprint(status, " ", method), func(t *testing.T) {
				t.Parallel()
				value := "c4n4rysecret-0123456789abcdef0123456789abcdef"
				switch method {
				case checker.PrivateKeyJWT:
					_, _, key := keys(t)
					value = pkcs8(t, key)
				case checker.ClientAssertion:
					value = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJjNG40cnlzZWNyZXQifQ.c2lnbmF0dXJl"
				case checker.TLSClientAuth, checker.SelfSignedTLSClientAuth:
					value = newCert(t, "c", nil, time.Now().Add(time.Hour)).pem(t)
				}
				var reached atomic.Int32
				thief := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					reached.Add(1)
					fmt.Fprint(w, `{"access_token":"stolen","token_type":"bearer"}`)
				}))
				t.Cleanup(thief.Close)
				p := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					http.Redirect(w, r, thief.URL+"/?echo=c4n4rysecret", status)
				}), func(p *checker.Provider) {
					p.AuthMethod = method
					if method == checker.Custom {
						p.Request.Body = map[string]any{"key": "{client_secret}"}
					}
				})
				r := checker.New(checker.Options{}).Check(t.Context(), p, target("c", value))
				if r.Reason != checker.Redirected || r.Outcome == checker.OK || r.Outcome == checker.Rejected {
					t.Errorf("%+v", r)
				}
				if reached.Load() != 0 {
					t.Error("the other host was asked")
				}
				if all := fmt.Sprintf("%+v", r); strings.Contains(all, "c4n4ry") {
					t.Errorf("the result shows the secret: %s", all)
				}
			})
		}
	}
}

func TestProbes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		change  func(*sim.Provider)
		outcome checker.Outcome
		verdict checker.ProbeVerdict
	}{
		{"the scope works", func(*sim.Provider) {}, checker.OK, checker.ProbeOK},
		{"the scope was cut", func(p *sim.Provider) { p.Cut("c", "jobs_read") }, checker.ScopeReduced, checker.ProbeDenied},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			idp := sim.NewProvider(sim.Client{ID: "c", Secret: "s3cretvalue", Scopes: []string{"jobs_read"}})
			c.change(idp)
			server := httptest.NewServer(idp)
			t.Cleanup(server.Close)
			p := at(t, server.URL+"/identity/oauth/token", func(p *checker.Provider) {
				p.Probes = []checker.Probe{
					{Scope: "jobs_read", Get: server.URL + "/jobs"},
					{Scope: "company_read", Get: server.URL + "/configuration/company/my"},
				}
			})
			r := checker.New(checker.Options{}).Check(t.Context(), p, target("c", "s3cretvalue", "jobs_read"))
			if r.Outcome != c.outcome || len(r.Probes) != 1 || r.Probes[0].Verdict != c.verdict {
				t.Errorf("%+v", r)
			}
			for _, token := range idp.Tokens() {
				if all := fmt.Sprintf("%+v", r); strings.Contains(all, token) {
					t.Errorf("the result shows the token: %s", all)
				}
			}
		})
	}
}

// A panic costs one check, and its text is dropped (docs/promises.md#a-panic-costs-one-check).
func TestAPanicCostsOneCheck(t *testing.T) {
	t.Parallel()
	idp := sim.NewProvider(sim.Client{ID: "c", Secret: "s3cretvalue"})
	bad := target("c", "s3cretvalue")
	bad.Secret = func(context.Context) (secret.Value, error) { panic("c4n4ry") }
	targets := []checker.Target{target("c", "s3cretvalue"), bad, target("c", "s3cretvalue")}
	rs := checker.New(checker.Options{}).CheckAll(t.Context(), nil, serve(t, idp, nil), targets)
	if len(rs) != 3 || rs[0].Outcome != checker.OK || rs[2].Outcome != checker.OK {
		t.Fatalf("%+v", rs)
	}
	if rs[1].Outcome != checker.Misconfigured || rs[1].Reason != checker.InternalError ||
		strings.Contains(fmt.Sprintf("%+v", rs), "c4n4ry") {
		t.Errorf("%+v", rs[1])
	}
}

func TestAnUnreadableSecretIsAResult(t *testing.T) {
	t.Parallel()
	idp := sim.NewProvider(sim.Client{ID: "c", Secret: "s3cretvalue"})
	bad := target("c", "")
	bad.Secret = func(context.Context) (secret.Value, error) { return secret.Value{}, errors.New("env:GONE is not set") }
	rs := checker.New(checker.Options{}).CheckAll(t.Context(), nil, serve(t, idp, nil), []checker.Target{bad, target("c", "s3cretvalue")})
	if len(rs) != 2 || rs[0].Reason != checker.SecretUnreadable || !strings.Contains(rs[0].Message, "env:GONE") ||
		rs[1].Outcome != checker.OK {
		t.Errorf("%+v", rs)
	}
	if n := idp.Exchanges("c"); n != 1 {
		t.Errorf("%d exchanges, want 1", n)
	}
}

// When it is told to stop, no further check begins; those under way end.
func TestStop(t *testing.T) {
	t.Parallel()
	arrived, answer, stop := make(chan struct{}, 100), make(chan struct{}), make(chan struct{})
	p := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		arrived <- struct{}{}
		<-answer
		fmt.Fprint(w, `{"access_token":"t","token_type":"bearer","expires_in":1}`)
	}), func(p *checker.Provider) { p.Concurrency = 2 })
	var ts []checker.Target
	for range 20 {
		ts = append(ts, target("c", "s3cretvalue"))
	}
	done := make(chan []checker.Result)
	go func() { done <- checker.New(checker.Options{}).CheckAll(t.Context(), stop, p, ts) }()
	<-arrived
	<-arrived
	select {
	case <-arrived:
		t.Error("a third exchange began; concurrency is 2")
	case <-time.After(20 * time.Millisecond):
	}
	close(stop)
	close(answer)
	rs := <-done
	if len(rs) < 2 || len(rs) > 4 { // the stop and the answers come in the same moment
		t.Errorf("%d results, want the two that were under way, and at most one after each", len(rs))
	}
	for _, r := range rs {
		if r.Outcome != checker.OK {
			t.Errorf("%+v", r)
		}
	}
}

// An address that is not allowed is refused before anything is sent
// (docs/promises.md#an-address-that-is-not-allowed-is-refused-before-anything-is-sent).
func TestLoopbackIsRefused(t *testing.T) {
	t.Parallel()
	idp := sim.NewProvider(sim.Client{ID: "c", Secret: "s3cretvalue"})
	p := serve(t, idp, func(p *checker.Provider) { p.AllowPrivateNetworks = false })
	r := checker.New(checker.Options{}).Check(t.Context(), p, target("c", "s3cretvalue"))
	if r.Outcome != checker.Misconfigured || r.Reason != checker.AddressDenied || len(idp.Journal()) != 0 {
		t.Errorf("%+v, journal %v", r, idp.Journal())
	}
}
