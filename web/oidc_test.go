package web_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/keyrounds/keyrounds/access"
	"github.com/keyrounds/keyrounds/secret"
	"github.com/keyrounds/keyrounds/sim/authserver"
)

const clientSecret = "c4n4ry-client-secret"

// identity is the certificate of a test server and its key, in PEM; and a file with the certificate alone.
func identity(t *testing.T, s *httptest.Server) (both, file string) {
	t.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(s.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	var cert, b bytes.Buffer
	_ = pem.Encode(&cert, &pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	_ = pem.Encode(&b, &pem.Block{Type: "PRIVATE KEY", Bytes: key})
	file = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, cert.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return cert.String() + b.String(), file
}

// secretFile is a reference to a file with the client's secret.
func secretFile(t *testing.T) secret.Reference {
	t.Helper()
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(clientSecret), 0o600); err != nil {
		t.Fatal(err)
	}
	ref, err := secret.ParseReference("file:" + file)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

// follow signs somebody in at an issuer, and returns the last answer that is not another redirect to it.
func (b *browser) follow(start, hint string) answer {
	b.Helper()
	a := b.get(start)
	if a.status != http.StatusSeeOther {
		b.Fatalf("%s: %d %s", start, a.status, a.body)
	}
	at, err := url.Parse(a.location)
	b.must(err)
	q := at.Query()
	q.Set("login_hint", hint)
	at.RawQuery = q.Encode()
	for range 10 {
		r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, at.String(), http.NoBody)
		b.must(err)
		if strings.HasPrefix(at.String(), b.server.URL) {
			r.Header.Set("Sec-Fetch-Site", "cross-site") // as the browser comes from there
			r.Header.Set("X-Forwarded-For", b.from)
		}
		resp, err := b.client.Do(r)
		b.must(err)
		body, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if strings.HasPrefix(at.String(), b.server.URL) || resp.Header.Get("Location") == "" {
			return answer{resp.StatusCode, string(body), resp.Header.Get("Location"), resp.Header}
		}
		at, err = at.Parse(resp.Header.Get("Location"))
		b.must(err)
	}
	b.Fatal("ten redirects")
	return answer{}
}

// People of a real OpenID provider sign in: groups give roles at each sign-in, and names prove nothing.
func TestOpenIDConnect(t *testing.T) {
	t.Parallel()
	h := newHouse(t, withPeople)
	h.clock.Store(time.Now().UnixNano())
	h.person("ann@example.com", access.Grant{Role: access.Admin}) // a local one of the same name
	both, ca := identity(t, h.server)
	people := map[string]map[string]any{
		"248": {"email": "ann@example.com", "email_verified": true, "groups": []string{"staff", "web"}},
		"249": {"preferred_username": "bob", "email": "ann@example.com", "email_verified": false, "groups": []string{"security"}},
		"250": {"name": "Eve", "groups": []string{"interns"}},
	}
	op := authserver.OpenIDProvider(t, both, people, authserver.Client{
		ID: "keyrounds", Secret: clientSecret, Method: "client_secret_basic",
		Scopes: []string{"openid", "profile", "email", "groups"},
		Metadata: map[string]any{
			"grant_types": []string{"authorization_code"}, "response_types": []string{"code"},
			"redirect_uris": []string{h.server.URL + "/login/op/callback"},
		},
	})
	issuer := access.Issuer{
		Name: "op", Title: "Acme", URL: op, ClientID: "keyrounds", ClientSecret: secretFile(t),
		Scopes: []string{"profile", "email", "groups"}, GroupsClaim: "groups", AllowPrivate: true, CAFile: ca,
		Roles: []access.GroupRole{
			{Group: "security", Grant: access.Grant{Role: access.Admin}},
			{Group: "web", Grant: access.Grant{Role: access.Owner, Owners: []string{"web"}}},
		},
	}
	settings := access.Settings{People: true, Base: h.server.URL, Issuers: []access.Issuer{issuer}}
	h.access.Reload(settings)

	ann := h.browser()
	link := `<a class="btn wide" href="/login/op?next=%2faccount">Continue with Acme</a>`
	if a := ann.get("/login?next=/account"); !strings.Contains(a.body, link) {
		t.Errorf("no link to the issuer: %s", a.body)
	}
	if a := ann.follow("/login/op?next=/account", "248"); a.status != http.StatusSeeOther || a.location != "/account" {
		t.Fatalf("%d %s %s\n%s", a.status, a.location, a.body, h.log.String())
	}
	a := ann.get("/account")
	if !strings.Contains(a.body, "The record names you “user ann@example.com (op)”") ||
		!strings.Contains(a.body, "for the credentials of web") || strings.Contains(a.body, "Present password") {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := h.browser().follow("/login/op", "249"); a.status != http.StatusSeeOther {
		t.Fatalf("%d %s", a.status, a.body)
	}
	all, err := h.access.People(t.Context())
	h.must(err)
	names := map[string]access.Role{}
	for _, p := range all {
		names[p.Name+" "+p.Issuer] = p.Role
	}
	if len(all) != 3 || names["ann@example.com "] != access.Admin || names["ann@example.com "+op] != access.Owner ||
		names["bob "+op] != access.Admin {
		t.Errorf("%v", names)
	}
	if a := h.browser().follow("/login/op", "250"); a.status != http.StatusUnauthorized ||
		!strings.Contains(a.body, "Acme: you (Eve) are in no group that has a role here.") {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := h.browser().follow("/login/op", "251"); a.status != http.StatusUnauthorized || !strings.Contains(a.body, "(access_denied)") {
		t.Errorf("whom the issuer refuses: %d %s", a.status, a.body)
	}

	// What the groups give is asked at each sign-in; who has no role any more is out everywhere.
	settings.Issuers = []access.Issuer{issuer}
	settings.Issuers[0].Roles = issuer.Roles[:1]
	h.access.Reload(settings)
	if a := ann.get("/account"); a.status != http.StatusOK {
		t.Errorf("until he signs in again: %d", a.status)
	}
	if a := h.browser().follow("/login/op", "248"); a.status != http.StatusUnauthorized {
		t.Errorf("without a role: %d", a.status)
	}
	if a := ann.get("/account"); a.status != http.StatusSeeOther {
		t.Errorf("his session elsewhere: %d", a.status)
	}
	// A disabled person's groups do not let him in.
	bob := all[slices.IndexFunc(all, func(p access.Person) bool { return p.Name == "bob" })]
	h.must(h.access.Disable(t.Context(), "test", bob.ID))
	a = h.browser().follow("/login/op", "249")
	if a.status != http.StatusUnauthorized || !strings.Contains(a.body, "an admin has disabled you") {
		t.Errorf("a disabled person: %d %s", a.status, a.body)
	}
	if a := h.browser().get("/login/nobody"); a.status != http.StatusNotFound {
		t.Errorf("no such issuer: %d", a.status)
	}
	// Who signed in by an issuer, or by a password, is out when that way is.
	if a := h.browser().signIn("ann@example.com", password); a.status != http.StatusSeeOther {
		t.Errorf("%d", a.status)
	}
	h.must(h.access.Enable(t.Context(), "test", bob.ID))
	inside := h.browser()
	if a := inside.follow("/login/op", "249"); a.status != http.StatusSeeOther {
		t.Errorf("%d", a.status)
	}
	h.access.Reload(withPeople)
	if a := inside.get("/"); a.status != http.StatusSeeOther {
		t.Errorf("his issuer is not configured any more: %d", a.status)
	}
	said := h.log.String() + strings.Join(h.acts("access.refused"), "") + strings.Join(h.acts("access.signed_in"), "")
	if strings.Contains(said, "c4n4ry") || strings.Contains(said, "code=") {
		t.Errorf("a secret is in the log or the record: %s", said)
	}
}

// liar is an OpenID provider whose answers are as a test says.
type liar struct {
	server *httptest.Server
	key    *rsa.PrivateKey
	mu     sync.Mutex
	edit   func(claims map[string]any) // of the ID token
	sign   *rsa.PrivateKey             // instead of key
	alg    jose.SignatureAlgorithm
	info   map[string]any
	nonce  string // of the request that came last
	pkce   string
}

func newLiar(t *testing.T) *liar {
	t.Helper()
	l := &liar{}
	var err error
	if l.key, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	l.server = httptest.NewTLSServer(mux)
	t.Cleanup(l.server.Close)
	answer := func(w http.ResponseWriter, v any) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(v)
	}
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]any{
			"issuer": l.server.URL, "authorization_endpoint": l.server.URL + "/auth", "token_endpoint": l.server.URL + "/token",
			"jwks_uri": l.server.URL + "/keys", "userinfo_endpoint": l.server.URL + "/me",
			"id_token_signing_alg_values_supported": []string{"RS256", "HS256", "none"},
		})
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &l.key.PublicKey, KeyID: "k", Use: "sig", Algorithm: "RS256"}}})
	})
	mux.HandleFunc("/me", func(w http.ResponseWriter, _ *http.Request) { l.mu.Lock(); defer l.mu.Unlock(); answer(w, l.info) })
	mux.HandleFunc("/token", func(w http.ResponseWriter, r *http.Request) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if r.PostFormValue("code") != "good" || r.PostFormValue("code_verifier") == "" || r.PostFormValue("code_verifier") == l.pkce {
			w.WriteHeader(http.StatusBadRequest)
			answer(w, map[string]any{"error": "invalid_grant", "error_description": "c4n4ry " + r.PostFormValue("code")})
			return
		}
		answer(w, map[string]any{"access_token": "c4n4ry-access", "token_type": "Bearer", "expires_in": 60, "id_token": l.idToken(t)})
	})
	return l
}

func (l *liar) idToken(t *testing.T) string {
	claims := map[string]any{
		"iss": l.server.URL, "sub": "1", "aud": "keyrounds", "nonce": l.nonce, "iat": time.Now().Unix(),
		"exp": time.Now().Add(time.Minute).Unix(), "groups": "staff", "email": "ann@example.com",
	}
	l.edit(claims)
	signing := jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: l.key, KeyID: "k"}}
	if l.sign != nil {
		signing.Key = jose.JSONWebKey{Key: l.sign, KeyID: "k"}
	}
	if l.alg == jose.HS256 { // signed with the client's secret, which every colleague of the administrator knows
		signing = jose.SigningKey{Algorithm: jose.HS256, Key: []byte(clientSecret + strings.Repeat(" ", 20))}
	}
	signer, err := jose.NewSigner(signing, nil)
	if err != nil {
		t.Error(err)
		return ""
	}
	text, _ := json.Marshal(claims)
	signed, err := signer.Sign(text)
	if err != nil {
		t.Error(err)
		return ""
	}
	compact, _ := signed.CompactSerialize()
	return compact
}

// What an issuer's answer must prove. Each line is a way to be somebody else, and ends without a session.
func TestHostileIssuers(t *testing.T) {
	t.Parallel()
	h := newHouse(t, access.Settings{})
	h.clock.Store(time.Now().UnixNano())
	op, other := newLiar(t), newLiar(t)
	_, ca := identity(t, h.server)
	issuer := func(name string, l *liar) access.Issuer {
		return access.Issuer{
			Name: name, Title: name, URL: l.server.URL, ClientID: "keyrounds", ClientSecret: secretFile(t), GroupsClaim: "groups",
			AllowPrivate: true, CAFile: ca, Roles: []access.GroupRole{{Group: "staff", Grant: access.Grant{Role: access.Viewer}}},
		}
	}
	h.access.Reload(access.Settings{Base: h.server.URL, Issuers: []access.Issuer{issuer("op", op), issuer("other", other)}})
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	h.must(err)

	n := 0
	try := func(edit func(map[string]any), query func(url.Values), path string, change func(*browser)) answer {
		t.Helper()
		b := h.browser()
		n++
		b.from = fmt.Sprintf("198.51.100.%d", n)
		a := b.get("/login/op?next=/account")
		at, err := url.Parse(a.location)
		h.must(err)
		q := at.Query()
		if q.Get("code_challenge_method") != "S256" || len(q.Get("code_challenge")) != 43 || q.Get("response_type") != "code" ||
			len(q.Get("state")) != 43 || len(q.Get("nonce")) != 43 || q.Get("redirect_uri") != h.server.URL+"/login/op/callback" {
			t.Errorf("the request %v", q)
		}
		op.mu.Lock()
		op.nonce, op.edit, op.pkce = q.Get("nonce"), edit, q.Get("code_challenge")
		op.mu.Unlock()
		back := url.Values{"code": {"good"}, "state": {q.Get("state")}}
		query(back)
		change(b)
		return b.do(http.MethodGet, path+"?"+back.Encode(), nil, "Sec-Fetch-Site", "cross-site")
	}
	plain, same, usual := func(map[string]any) {}, func(url.Values) {}, func(*browser) {}
	set := func(name string, v any) func(map[string]any) { return func(c map[string]any) { c[name] = v } }
	with := func(name, v string) func(url.Values) { return func(q url.Values) { q.Set(name, v) } }

	if a := try(plain, same, "/login/op/callback", usual); a.status != http.StatusSeeOther || a.location != "/account" {
		t.Fatalf("%d %s\n%s", a.status, a.body, h.log.String())
	}
	if a := try(plain, with("iss", op.server.URL), "/login/op/callback", usual); a.status != http.StatusSeeOther {
		t.Errorf("with its own iss: %d", a.status)
	}
	for what, a := range map[string]func() answer{
		"another nonce":  func() answer { return try(set("nonce", "x"), same, "/login/op/callback", usual) },
		"no nonce":       func() answer { return try(set("nonce", nil), same, "/login/op/callback", usual) },
		"another client": func() answer { return try(set("aud", "else"), same, "/login/op/callback", usual) },
		"another party":  func() answer { return try(set("azp", "else"), same, "/login/op/callback", usual) },
		"several clients": func() answer {
			return try(set("aud", []string{"keyrounds", "else"}), same, "/login/op/callback", usual)
		},
		"another issuer": func() answer { return try(set("iss", other.server.URL), same, "/login/op/callback", usual) },
		"expired": func() answer {
			return try(set("exp", time.Now().Add(-time.Hour).Unix()), same, "/login/op/callback", usual)
		},
		"nobody": func() answer { return try(set("sub", ""), same, "/login/op/callback", usual) },
		"no groups": func() answer {
			return try(func(c map[string]any) { delete(c, "groups") }, same, "/login/op/callback", usual)
		},
		"groups of another": func() answer {
			return try(set("groups", map[string]any{"staff": true}), same, "/login/op/callback", usual)
		},
		"a wrong at_hash":      func() answer { return try(set("at_hash", "x"), same, "/login/op/callback", usual) },
		"another state":        func() answer { return try(plain, with("state", strings.Repeat("A", 43)), "/login/op/callback", usual) },
		"no state":             func() answer { return try(plain, with("state", ""), "/login/op/callback", usual) },
		"a wrong code":         func() answer { return try(plain, with("code", "c4n4ry-stolen"), "/login/op/callback", usual) },
		"no code":              func() answer { return try(plain, with("code", ""), "/login/op/callback", usual) },
		"a mixed-up answer":    func() answer { return try(plain, with("iss", other.server.URL), "/login/op/callback", usual) },
		"at another's address": func() answer { return try(plain, same, "/login/other/callback", usual) },
		"another browser": func() answer {
			return try(plain, same, "/login/op/callback", func(b *browser) { b.client.Jar = h.browser().client.Jar })
		},
		"an old one": func() answer {
			return try(plain, same, "/login/op/callback", func(b *browser) { b.pass(11 * time.Minute) })
		},
		"a stranger's key": func() answer {
			return try(plain, func(url.Values) { op.sign = stranger }, "/login/op/callback", usual)
		},
		"the client's secret as key": func() answer {
			return try(plain, func(url.Values) { op.alg = jose.HS256 }, "/login/op/callback", usual)
		},
		"userinfo of another": func() answer {
			return try(func(c map[string]any) { delete(c, "groups") }, func(url.Values) {
				op.info = map[string]any{"sub": "2", "groups": []string{"staff"}}
			}, "/login/op/callback", usual)
		},
	} {
		got := a()
		if got.status != http.StatusUnauthorized || strings.Contains(fmt.Sprint(got.header), "__Host-keyrounds=") {
			t.Errorf("%s: %d %v", what, got.status, got.header)
		}
		op.mu.Lock()
		op.sign, op.alg, op.info = nil, "", nil
		op.mu.Unlock()
		h.clock.Store(time.Now().UnixNano())
	}
	people, err := h.access.People(t.Context())
	if err != nil || len(people) != 1 {
		t.Errorf("%+v %v", people, err)
	}
	if said := h.log.String() + strings.Join(h.acts("access.refused"), ""); strings.Contains(said, "c4n4ry") {
		t.Error("a secret is in the log or the record")
	}

	// An answer is good once, and an issuer that is away is no way in.
	op.server.Close()
	h.clock.Add(int64(25 * time.Hour))
	if a := h.browser().get("/login/op"); a.status != http.StatusBadGateway || !strings.Contains(a.body, "The issuer does not answer.") {
		t.Errorf("an issuer that is away: %d", a.status)
	}
}
