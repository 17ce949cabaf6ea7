// Package sim is a wicked authorization server with an API behind it, and a Slack, for the demo
// and the tests. It misbehaves as it is told; each fault has a name.
//
// It shares no code with what it tests.
package sim

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// Fault is a way to misbehave.
type Fault string

// The faults. NoFault answers as documented.
const (
	NoFault     Fault = ""
	Refuse      Fault = "refuse"       // 401 invalid_client, for a client that is in order
	Down        Fault = "down"         // 503 without a body
	RateLimit   Fault = "rate_limit"   // 429 with Retry-After
	Firewall    Fault = "firewall"     // 403 with a web page
	Captive     Fault = "captive"      // 200 with a web page
	EmptyObject Fault = "empty_object" // 200 with {}
	Redirect    Fault = "redirect"     // 307 to RedirectTo
	Echo        Fault = "echo"         // 401 whose description holds the secret
	Hostile     Fault = "hostile"      // 401 whose description holds NUL, invalid UTF-8, ANSI and bidi
	Huge        Fault = "huge"         // an endless body
	Hang        Fault = "hang"         // no answer
	Drop        Fault = "drop"         // the connection is closed
)

// Client is one that the provider knows.
type Client struct {
	ID, Name, Secret string
	More             []string // other secrets that work as well, as while one is rotated
	Scopes           []string
	Revoked          bool
	Cut              []string // scopes that were taken away
	Key              bool     // it is an API key: its secret goes in X-SmartToken, may do everything, and is exchanged for nothing
}

// Request is one line of the journal.
type Request struct {
	At       time.Time
	Path     string
	ClientID string
	Status   int

	Address   string // without the port
	UserAgent string
	Scope     string // that the path needs
	TokenID   string // the jti of the token that was issued or presented; "": it has none
}

// Provider is a simulated SmartRecruiters: the documented exchange, an API that honours scopes, and
// an admin page. It is safe for concurrent use.
type Provider struct {
	RedirectTo string
	JWT        bool          // tokens are JWTs with a jti (RFC 9068), instead of opaque
	AccessLog  func(Request) // is told every request, as a gateway's log would be; may be nil
	TokenLag   time.Duration // tokens of what was revoked work on for so long

	mu      sync.Mutex
	clients map[string]*Client
	tokens  map[string]issued // by token
	ended   map[issued]time.Time
	fault   Fault
	of      map[string]Fault // by client id
	journal []Request
	mux     *http.ServeMux
}

// issued is what a token was issued for.
type issued struct{ client, secret string }

// NewProvider makes one that knows the clients.
func NewProvider(clients ...Client) *Provider {
	p := &Provider{
		clients: map[string]*Client{},
		tokens:  map[string]issued{},
		ended:   map[issued]time.Time{},
		of:      map[string]Fault{},
		mux:     http.NewServeMux(),
	}
	for _, c := range clients {
		p.clients[c.ID] = &c
	}
	p.mux.HandleFunc("POST /identity/oauth/token", p.token)
	for path, scope := range map[string]string{
		"GET /configuration/company/my": "company_read", "GET /configuration/departments": "configuration_read", "GET /jobs": "jobs_read",
	} {
		p.mux.HandleFunc(path, p.api(scope))
	}
	p.mux.HandleFunc("GET /admin", p.adminPage)
	p.mux.HandleFunc("POST /admin", p.adminAct)
	return p
}

func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) { p.mux.ServeHTTP(w, r) }

// Add makes it know another client.
func (p *Provider) Add(c Client) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clients[c.ID] = &c
}

// Revoke revokes a client with all its secrets.
func (p *Provider) Revoke(id string) {
	p.change(id, func(c *Client) {
		c.Revoked = true
		for _, secret := range append(c.More, c.Secret) {
			p.ended[issued{id, secret}] = time.Now()
		}
	})
}

// Renew gives a client another secret, beside those that it has.
func (p *Provider) Renew(id, secret string) {
	p.change(id, func(c *Client) { c.More = append(c.More, c.Secret); c.Secret = secret })
}

// RevokeSecret revokes one of a client's other secrets.
func (p *Provider) RevokeSecret(id, secret string) {
	p.change(id, func(c *Client) {
		c.More = slices.DeleteFunc(c.More, func(s string) bool { return s == secret })
		p.ended[issued{id, secret}] = time.Now()
	})
}

// Restore makes a client whole again.
func (p *Provider) Restore(id string) {
	p.change(id, func(c *Client) {
		c.Revoked, c.Cut = false, nil
		for is := range p.ended {
			if is.client == id {
				delete(p.ended, is)
			}
		}
	})
}

// Cut takes a scope away from a client.
func (p *Provider) Cut(id, scope string) {
	p.change(id, func(c *Client) { c.Cut = append(c.Cut, scope) })
}

// SetSecret changes a client's secret.
func (p *Provider) SetSecret(id, secret string) { p.change(id, func(c *Client) { c.Secret = secret }) }

func (p *Provider) change(id string, f func(*Client)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c := p.clients[id]; c != nil {
		f(c)
	}
}

// Break makes the provider misbehave toward everybody, until Break(NoFault).
func (p *Provider) Break(f Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = f
}

// BreakFor makes it misbehave toward one client.
func (p *Provider) BreakFor(id string, f Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.of[id] = f
}

// Journal returns every request so far.
func (p *Provider) Journal() []Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.journal)
}

// Exchanges counts the token requests of a client.
func (p *Provider) Exchanges(id string) (n int) {
	for _, r := range p.Journal() {
		if r.ClientID == id && r.Path == "/identity/oauth/token" {
			n++
		}
	}
	return n
}

// Tokens returns every token it issued.
func (p *Provider) Tokens() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []string
	for t := range p.tokens {
		all = append(all, t)
	}
	return all
}

// TokensOf returns the tokens that it issued to a client.
func (p *Provider) TokensOf(id string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []string
	for t, is := range p.tokens {
		if is.client == id {
			all = append(all, t)
		}
	}
	return all
}

func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 1<<16)
	if err := r.ParseForm(); err != nil {
		p.fail(w, r, "", http.StatusBadRequest, "invalid_request", "unreadable form")
		return
	}
	id, secret, header := basic(r)
	if !header {
		id, secret = r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")
	}
	p.mu.Lock()
	fault := p.faultOf(id)
	c := Client{}
	if known := p.clients[id]; known != nil && !known.Key {
		c = *known
		c.More = slices.Clone(c.More)
	}
	p.mu.Unlock()
	if fault != NoFault && fault != Refuse {
		p.misbehave(w, r, fault, id, secret)
		return
	}
	_, scope := r.PostForm["scope"]
	switch {
	case r.PostForm.Get("grant_type") != "client_credentials":
		p.fail(w, r, id, http.StatusBadRequest, "unsupported_grant_type", "")
	case scope && r.PostForm.Get("scope") == "":
		p.fail(w, r, id, http.StatusBadRequest, "invalid_scope", "Empty scope")
	case fault == Refuse || c.ID == "" || c.Revoked || c.Secret != secret && !slices.Contains(c.More, secret):
		p.fail(w, r, id, http.StatusUnauthorized, "invalid_client", "Bad client credentials")
	default:
		t := "DCRD10-" + strings.ToLower(rand.Text())
		if p.JWT {
			t = jwt(map[string]any{"jti": rand.Text(), "client_id": id, "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix()})
		}
		p.mu.Lock()
		p.tokens[t] = issued{id, secret}
		p.mu.Unlock()
		p.noteToken(r, id, http.StatusOK, "", t)
		answer(w, http.StatusOK, map[string]any{"access_token": t, "token_type": "bearer", "expires_in": 1799})
	}
}

// basic reads the header as RFC 6749 §2.3.1 has it: both parts form-encoded.
func basic(r *http.Request) (id, secret string, ok bool) {
	u, s, ok := r.BasicAuth()
	if !ok {
		return "", "", false
	}
	id, err1 := url.QueryUnescape(u)
	secret, err2 := url.QueryUnescape(s)
	return id, secret, err1 == nil && err2 == nil
}

func (p *Provider) misbehave(w http.ResponseWriter, r *http.Request, f Fault, id, secret string) {
	page := func(status int, title string) {
		p.note(r, id, status)
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(status)
		fmt.Fprintf(w, "<!DOCTYPE html><title>%s</title>", title)
	}
	switch f {
	case Down:
		p.note(r, id, http.StatusServiceUnavailable)
		w.WriteHeader(http.StatusServiceUnavailable)
	case RateLimit:
		p.note(r, id, http.StatusTooManyRequests)
		w.Header().Set("Retry-After", "2")
		answer(w, http.StatusTooManyRequests, map[string]any{"error": "too_many_requests"})
	case Firewall:
		page(http.StatusForbidden, "Attention Required!")
	case Captive:
		page(http.StatusOK, "Sign in to Wi-Fi")
	case EmptyObject:
		p.note(r, id, http.StatusOK)
		answer(w, http.StatusOK, map[string]any{})
	case Redirect:
		p.note(r, id, http.StatusTemporaryRedirect)
		http.Redirect(w, r, p.RedirectTo, http.StatusTemporaryRedirect)
	case Echo:
		p.fail(w, r, id, http.StatusUnauthorized, "invalid_client", "bad secret "+secret+" ("+url.QueryEscape(secret)+") for "+id)
	case Hostile:
		p.note(r, id, http.StatusUnauthorized)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = w.Write([]byte("{\"error\":\"invalid_client\",\"error_description\":\"a\\u0000b \xff\xfe \\u001b[31mred " +
			"\\u202eevil <!channel> *bold* \\n second line\"}"))
	case Huge:
		p.note(r, id, http.StatusOK)
		w.Header().Set("Content-Type", "application/json")
		chunk := []byte(strings.Repeat("a", 64<<10))
		for range 1 << 12 { // 256 MiB, or until nobody reads on
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	case Hang:
		p.note(r, id, 0)
		<-r.Context().Done()
	case Drop:
		p.note(r, id, 0)
		panic(http.ErrAbortHandler)
	}
}

func (p *Provider) api(scope string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		t := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		p.mu.Lock()
		c := Client{}
		is := p.tokens[t]
		if known := p.clients[is.client]; known != nil {
			c = *known
		}
		if key := r.Header.Get("X-SmartToken"); key != "" {
			c = p.keyed(key, scope)
			if fault := p.faultOf(c.ID); fault != NoFault && fault != Refuse {
				p.mu.Unlock()
				p.misbehave(w, r, fault, c.ID, key)
				return
			} else if fault == Refuse {
				c = Client{}
			}
		}
		if end, has := p.ended[is]; has && time.Since(end) >= p.TokenLag {
			c = Client{}
		}
		p.mu.Unlock()
		w.Header().Set("X-RateLimit-Limit", "10")
		w.Header().Set("X-RateLimit-Remaining", "9")
		status, body := http.StatusOK, map[string]any{"id": "1", "name": "Example Ltd"}
		switch {
		case c.ID == "":
			status, body = http.StatusUnauthorized, map[string]any{"message": "Invalid token"}
		case !slices.Contains(c.Scopes, scope) || slices.Contains(c.Cut, scope):
			status, body = http.StatusForbidden, map[string]any{
				"errorCode": "OAuthPermissionsException",
				"message":   "required scope: " + scope,
			}
		}
		p.noteToken(r, c.ID, status, scope, t)
		answer(w, status, body)
	}
}

// keyed is the client that a key is of, with the scope that is asked for; the zero Client where there is none.
func (p *Provider) keyed(key, scope string) Client {
	for _, c := range p.clients {
		if c.Key && !c.Revoked && (c.Secret == key || slices.Contains(c.More, key)) {
			with := *c
			with.Scopes = append(slices.Clone(c.Scopes), scope)
			return with
		}
	}
	return Client{}
}

// faultOf is how it misbehaves toward a client.
func (p *Provider) faultOf(id string) Fault {
	if f := p.of[id]; f != NoFault {
		return f
	}
	return p.fault
}

// jwt is a token whose signature nobody checks.
func jwt(claims map[string]any) string {
	body, _ := json.Marshal(claims)
	e := base64.RawURLEncoding
	return e.EncodeToString(
		[]byte(`{"alg":"none","typ":"at+jwt"}`),
	) + "." + e.EncodeToString(
		body,
	) + "." + e.EncodeToString(
		[]byte("signature"),
	)
}

func jti(token string) string {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return ""
	}
	body, _ := base64.RawURLEncoding.DecodeString(parts[1])
	var claims struct{ JTI string }
	_ = json.Unmarshal(body, &claims)
	return claims.JTI
}

func (p *Provider) fail(w http.ResponseWriter, r *http.Request, id string, status int, code, description string) {
	p.note(r, id, status)
	body := map[string]any{"error": code}
	if description != "" {
		body["error_description"] = description
	}
	answer(w, status, body)
}

func (p *Provider) note(r *http.Request, id string, status int) { p.noteToken(r, id, status, "", "") }

func (p *Provider) noteToken(r *http.Request, id string, status int, scope, token string) {
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	line := Request{time.Now(), r.URL.Path, id, status, host, r.UserAgent(), scope, jti(token)}
	p.mu.Lock()
	p.journal = append(p.journal, line)
	p.mu.Unlock()
	if p.AccessLog != nil {
		p.AccessLog(line)
	}
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json;charset=UTF-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
