package web_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/keyrounds/keyrounds/access"
	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/postgres/pgtest"
	"github.com/keyrounds/keyrounds/registry"
	"github.com/keyrounds/keyrounds/report"
	"github.com/keyrounds/keyrounds/rounds"
	"github.com/keyrounds/keyrounds/secret"
	"github.com/keyrounds/keyrounds/web"
	"github.com/keyrounds/keyrounds/web/pages"
)

const password = "c4n4ry correct horse"

// house is the pages behind their door, over TLS, with a clock that the test moves.
type house struct {
	*testing.T
	access *access.Access
	audit  *audit.Store
	pool   *pgxpool.Pool
	server *httptest.Server
	clock  atomic.Int64
	log    locked
}

// locked is a log that several write to.
type locked struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *locked) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newHouse(t *testing.T, s access.Settings) *house {
	t.Helper()
	h := &house{T: t, pool: pgtest.New(t)}
	h.clock.Store(time.Date(2026, 12, 1, 9, 0, 0, 0, time.UTC).UnixNano())
	log := slog.New(slog.NewJSONHandler(&h.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	store := registry.New(h.pool, time.UTC)
	h.audit = audit.New(audit.Options{Pool: h.pool, Now: h.now})
	used := rounds.OpenUsage(h.pool, time.UTC, store, h.audit)
	h.access = access.New(access.Options{
		Pool: h.pool, Log: log, Cost: access.Cost{KiB: 64, Passes: 1}, Now: h.now,
		Record: func(ctx context.Context, tx pgx.Tx, actor, act, subject string, detail any) error {
			e, err := audit.NewEntry(h.now(), actor, act, subject, detail)
			if err != nil {
				return err
			}
			return h.audit.Append(ctx, tx, e)
		},
	}, s)
	metrics := prometheus.NewRegistry()
	door := (&web.Door{
		Trusted: func() []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")} },
		Asked:   func() (web.Asked, error) { return web.Asked{}, nil },
		People:  func() bool { return h.access.Settings().SignIn() },
		Ours:    func(string) bool { return true },
		Log:     log,
		Now:     h.now,
	}).Open(metrics)
	pages := web.New(web.Options{
		Access: h.access, Door: door, Gatherer: metrics, Log: log, Now: h.now,
		Pages: pages.Options{
			Audit: h.audit, Registry: store, Usage: used, Log: log, Now: h.now,
			Reports: report.New(report.Options{Pool: h.pool, Registry: store, Audit: h.audit, Usage: used, Zone: time.UTC}),
		},
		API: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, ok := access.From(r.Context()); !ok {
				w.Header().Set("WWW-Authenticate", "Bearer")
				w.WriteHeader(http.StatusUnauthorized)
			}
		}),
		Ready: func(context.Context) error { return nil },
	})
	h.server = httptest.NewTLSServer(door.Before(pages, pages))
	t.Cleanup(h.server.Close)
	return h
}

func (h *house) now() time.Time        { return time.Unix(0, h.clock.Load()).UTC() }
func (h *house) pass(by time.Duration) { h.clock.Add(int64(by)) }

func (h *house) must(err error) {
	h.Helper()
	if err != nil {
		h.Fatal(err)
	}
}

// person adds somebody whose password is his own.
func (h *house) person(name string, g access.Grant) {
	h.Helper()
	temporary, err := h.access.AddPerson(h.Context(), "test", name, g)
	h.must(err)
	p, err := h.access.SignIn(h.Context(), name, temporary)
	h.must(err)
	h.must(h.access.ChangePassword(h.Context(), access.Visit{Person: p.ID}, temporary, secret.New([]byte(password))))
}

// browser keeps cookies, follows no redirect, and says where it comes from.
type browser struct {
	*house
	client *http.Client
	from   string // its address
}

func (h *house) browser() *browser {
	jar, _ := cookiejar.New(nil)
	c := *h.server.Client()
	c.Jar = jar
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &browser{h, &c, "192.0.2.1"}
}

// answer is what came back.
type answer struct {
	status   int
	body     string
	location string
	header   http.Header
}

func (b *browser) do(method, path string, form url.Values, header ...string) answer {
	b.Helper()
	r, err := http.NewRequestWithContext(b.Context(), method, b.server.URL+path, strings.NewReader(form.Encode()))
	b.must(err)
	r.Header.Set("Accept", "text/html")
	r.Header.Set("X-Forwarded-For", b.from)
	if method != http.MethodGet {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := b.client.Do(r)
	b.must(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	b.must(err)
	return answer{resp.StatusCode, string(body), resp.Header.Get("Location"), resp.Header}
}

func (b *browser) post(path string, form url.Values, header ...string) answer {
	b.Helper()
	return b.do(http.MethodPost, path, form, header...)
}

func (b *browser) get(path string) answer { b.Helper(); return b.do(http.MethodGet, path, nil) }

func (b *browser) signIn(name, password string) answer {
	b.Helper()
	return b.post("/login", url.Values{"name": {name}, "password": {password}})
}

func (b *browser) mustSignIn(name string) *browser {
	b.Helper()
	if a := b.signIn(name, password); a.status != http.StatusSeeOther {
		b.Fatalf("%s signs in: %d %s", name, a.status, a.body)
	}
	return b
}

// acts are those of the record with what, the newest first.
func (h *house) acts(what string) (all []string) {
	h.Helper()
	es, err := h.audit.Log(h.Context(), audit.Record{})
	h.must(err)
	for _, e := range es {
		if e.Action == what {
			all = append(all, e.Actor+": "+e.Subject+" "+string(e.Detail))
		}
	}
	return all
}

var withPeople = access.Settings{People: true}

// A page leads to the sign-in and back, the session opens it until the sign-out, and the API answers 401 without.
func TestSignIn(t *testing.T) {
	t.Parallel()
	h := newHouse(t, withPeople)
	h.person("ann", access.Grant{Role: access.Viewer})
	b := h.browser()
	if a := b.get("/?q=x"); a.status != http.StatusSeeOther || a.location != "/login?next=%2F%3Fq%3Dx" {
		t.Fatalf("%d %s", a.status, a.location)
	}
	for _, path := range []string{"/api/v1/credentials", "/api/v1/findings", "/metrics"} {
		a := b.do(http.MethodGet, path, nil, "Accept", "*/*")
		if a.status != http.StatusUnauthorized || a.header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s: %d", path, a.status)
		}
	}
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 200, "/static/nothing": 404, "/nothing": 404} {
		if a := b.get(path); a.status != want {
			t.Errorf("%s: %d", path, a.status)
		}
	}
	login := b.get("/login?next=%2F%3Fq%3Dx")
	if login.status != http.StatusOK || !strings.Contains(login.body, `name="next" value="/?q=x"`) ||
		strings.Contains(login.body, "<script>") || !strings.Contains(login.header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("%d %s", login.status, login.body)
	}
	a := b.post("/login", url.Values{"name": {" Ann "}, "password": {password}, "next": {"/?q=x"}})
	if a.status != http.StatusSeeOther || a.location != "/?q=x" {
		t.Fatalf("%d %s %s", a.status, a.location, a.body)
	}
	cookie := a.header.Get("Set-Cookie")
	for _, want := range []string{"__Host-keyrounds=", "Path=/", "HttpOnly", "Secure", "SameSite=Lax"} {
		if !strings.Contains(cookie, want) || strings.Contains(cookie, "Domain") {
			t.Errorf("the cookie %q lacks %s", cookie, want)
		}
	}
	if a := b.get("/"); a.status != http.StatusOK || !strings.Contains(a.body,
		`<a href="/account">ann</a></b><span class="sub">viewer</span>`) {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := b.get("/api/v1/credentials"); a.status != http.StatusOK {
		t.Errorf("the API with a session: %d", a.status)
	}
	if a := b.get("/login?next=//evil.example/"); a.status != http.StatusSeeOther || a.location != "/" {
		t.Errorf("the sign-in of who is signed in: %d %s", a.status, a.location)
	}
	u, _ := url.Parse(h.server.URL)
	kept := b.client.Jar.Cookies(u)
	if a := b.post("/logout", nil); a.status != http.StatusSeeOther || len(b.client.Jar.Cookies(u)) != 0 {
		t.Errorf("%d %v", a.status, b.client.Jar.Cookies(u))
	}
	b.client.Jar.SetCookies(u, kept)
	if a := b.get("/"); a.status != http.StatusSeeOther {
		t.Errorf("the old cookie after the sign-out: %d", a.status)
	}
	if in, out := h.acts("access.signed_in"), h.acts("access.signed_out"); len(in) != 1 || len(out) != 1 ||
		!strings.Contains(in[0], "user ann: person ann") || !strings.Contains(in[0], `"address": "192.0.2.1"`) {
		t.Errorf("%q %q", in, out)
	}
}

// Whatever a link to the sign-in says, it leads to these pages.
func TestNoOpenRedirect(t *testing.T) {
	t.Parallel()
	h := newHouse(t, withPeople)
	h.person("ann", access.Grant{Role: access.Viewer})
	for next, want := range map[string]string{
		"/?q=x": "/?q=x", "/account": "/account", "": "/",
		"//evil.example": "/", "https://evil.example/": "/", `/\evil.example`: "/", `\\evil.example`: "/", "/\t/evil.example": "/",
		"javascript:alert(1)": "/", "evil.example": "/", "/%2f/evil.example": "/", "/\r\nSet-Cookie: a=b": "/", "///evil.example": "/",
		"/logout": "/", "http:/evil.example": "/", "/%5cevil.example": "/%5cevil.example",
	} {
		a := h.browser().post("/login", url.Values{"name": {"ann"}, "password": {password}, "next": {next}})
		if a.status != http.StatusSeeOther || a.location != want {
			t.Errorf("%q leads to %q (%d)", next, a.location, a.status)
		}
	}
}

// A page of another site changes nothing in the name of who is signed in.
func TestNoCrossSiteRequests(t *testing.T) {
	t.Parallel()
	h := newHouse(t, withPeople)
	h.person("ann", access.Grant{Role: access.Admin})
	b := h.browser().mustSignIn("ann")
	form := url.Values{"name": {"eve"}, "role": {"admin"}}
	for what, header := range map[string][]string{
		"another site":        {"Sec-Fetch-Site", "cross-site"},
		"a neighbour":         {"Sec-Fetch-Site", "same-site"},
		"an old browser":      {"Sec-Fetch-Site", "", "Origin", "https://evil.example"},
		"a sandboxed frame":   {"Sec-Fetch-Site", "", "Origin", "null"},
		"a form in the login": {"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"},
	} {
		for _, path := range []string{"/people", "/logout", "/login", "/account/tokens", "/first-run"} {
			if a := b.post(path, form, header...); a.status != http.StatusForbidden {
				t.Errorf("%s: %s: %d", what, path, a.status)
			}
		}
	}
	if people, err := h.access.People(t.Context()); err != nil || len(people) != 1 {
		t.Errorf("%v %v", people, err)
	}
	if a := b.get("/"); a.status != http.StatusOK {
		t.Errorf("the session: %d", a.status)
	}
	if n := len(h.acts("access.refused")); n != 25 {
		t.Errorf("%d refusals in the record", n)
	}
}

// Each role comes as far as the table says, and what it may not is in the record.
func TestRoles(t *testing.T) {
	t.Parallel()
	h := newHouse(t, withPeople)
	for _, role := range access.Roles() {
		g := access.Grant{Role: role}
		if role == access.Owner {
			g.Owners = []string{"web"}
		}
		h.person(string(role), g)
	}
	for role, want := range map[access.Role][4]int{ // "/", "/metrics", "/account", "/people"
		access.Viewer:    {200, 200, 200, 403},
		access.Responder: {200, 200, 200, 403},
		access.Owner:     {303, 403, 200, 403}, // what shows all owners is closed to him
		access.Admin:     {200, 200, 200, 200},
	} {
		b := h.browser().mustSignIn(string(role))
		for i, path := range []string{"/", "/metrics", "/account", "/people"} {
			if a := b.get(path); a.status != want[i] {
				t.Errorf("%s, %s: %d, want %d", role, path, a.status, want[i])
			}
		}
		if a := b.post("/people", url.Values{"name": {"eve"}, "role": {"admin"}}); (a.status == 403) == (role == access.Admin) {
			t.Errorf("%s adds a person: %d", role, a.status)
		}
	}
	refused := strings.Join(h.acts("access.refused"), "\n")
	if !strings.Contains(refused, "user viewer: POST /people") || !strings.Contains(refused, "user owner: GET /people") {
		t.Error(refused)
	}
}

// A new person's password is temporary: it opens nothing but its change. Who is disabled is out at once.
func TestPeoplePage(t *testing.T) {
	t.Parallel()
	h := newHouse(t, withPeople)
	h.person("ann", access.Grant{Role: access.Admin})
	admin, bob := h.browser().mustSignIn("ann"), h.browser()
	a := admin.post("/people", url.Values{"name": {"bob"}, "role": {"owner"}, "owners": {"web, data"}})
	m := regexp.MustCompile(`shown this once: <code>(\w{20})</code>`).FindStringSubmatch(a.body)
	if a.status != http.StatusOK || m == nil {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if a := admin.post("/people", url.Values{"name": {"bob"}, "role": {"viewer"}}); a.status != http.StatusConflict {
		t.Errorf("bob again: %d", a.status)
	}
	if a := bob.signIn("bob", m[1]); a.status != http.StatusSeeOther {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if a := bob.get("/?x"); a.status != http.StatusSeeOther || a.location != "/account" {
		t.Errorf("with a temporary password: %d %s", a.status, a.location)
	}
	if a := bob.do(http.MethodGet, "/api/v1/credentials", nil); a.status != http.StatusForbidden {
		t.Errorf("the API with a temporary password: %d", a.status)
	}
	askedX := url.Values{"name": {"x"}, "role": {"owner"}, "days": {"30"}}
	if a := bob.post("/account/tokens", askedX); a.status != http.StatusUnprocessableEntity {
		t.Errorf("a token with a temporary password: %d", a.status)
	}
	change := url.Values{"present": {m[1]}, "password": {password}, "again": {password}}
	if a := bob.post("/account/password", change); a.status != http.StatusSeeOther {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := bob.get("/account"); a.status != http.StatusOK || !strings.Contains(a.body, "for the credentials of web, data") {
		t.Errorf("%d %s", a.status, a.body)
	}
	people, err := h.access.People(t.Context())
	h.must(err)
	id := people[slices.IndexFunc(people, func(p access.Person) bool { return p.Name == "bob" })].ID
	if a := admin.post(fmt.Sprintf("/people/%d", id), url.Values{"do": {"disable"}}); a.status != http.StatusSeeOther {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := bob.get("/account"); a.status != http.StatusSeeOther || !strings.HasPrefix(a.location, "/login") {
		t.Errorf("who was disabled: %d %s", a.status, a.location)
	}
	if a := bob.signIn("bob", password); a.status != http.StatusUnauthorized || !strings.Contains(a.body, "Name or password is wrong.") {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// A token is shown once, opens what its role may, and is gone when it is revoked. Wrong ones are refused and counted.
func TestTokensOverHTTP(t *testing.T) {
	t.Parallel()
	h := newHouse(t, withPeople)
	h.person("ann", access.Grant{Role: access.Responder})
	b := h.browser().mustSignIn("ann")
	a := b.post("/account/tokens", url.Values{"name": {"ci"}, "role": {"viewer"}, "days": {"30"}})
	token := regexp.MustCompile(`kr_[0-9A-Za-z]{36}`).FindString(a.body)
	if a.status != http.StatusOK || token == "" {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if a := b.get("/account"); strings.Contains(a.body, token) || !strings.Contains(a.body, `<span class="name">ci</span>`) {
		t.Error("it is shown again, or not listed")
	}
	askedMore := url.Values{"name": {"more"}, "role": {"admin"}, "days": {"30"}}
	if a := b.post("/account/tokens", askedMore); a.status != http.StatusUnprocessableEntity {
		t.Errorf("a token that may more: %d", a.status)
	}
	for _, days := range []string{"", "-1", "0", "367", "x"} {
		asked := url.Values{"name": {"long"}, "role": {"viewer"}, "days": {days}}
		if a := b.post("/account/tokens", asked); a.status != http.StatusUnprocessableEntity {
			t.Errorf("a token for %q days: %d", days, a.status)
		}
	}
	machine := h.browser()
	machine.from = "192.0.2.9"
	use := func(token string) answer {
		return machine.do(http.MethodGet, "/api/v1/findings", nil, "Authorization", "Bearer "+token)
	}
	if a := use(token); a.status != http.StatusOK {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := machine.post("/account/sessions/1/end", nil, "Authorization", "bearer "+token); a.status != http.StatusForbidden {
		t.Errorf("a token ends a session: %d", a.status)
	}
	for i := range 15 {
		want := http.StatusUnauthorized
		if i >= 10 {
			want = http.StatusTooManyRequests
		}
		if a := use(token[:len(token)-1] + "-"); a.status != want {
			t.Errorf("wrong token %d: %d", i, a.status)
		}
	}
	if a := machine.do(http.MethodGet, "/healthz", nil, "Authorization", "Bearer kr_x"); a.status != http.StatusTooManyRequests {
		t.Errorf("a wrong token where none is needed: %d", a.status)
	}
	if a := use(token); a.status != http.StatusOK {
		t.Errorf("a right one from the same address: %d", a.status)
	}
	if a := b.get("/metrics"); !strings.Contains(a.body, `keyrounds_sign_ins_refused_total{reason="wrong_token"} 16`) {
		t.Error("they are not counted")
	}
	tokens, err := h.access.Tokens(t.Context(), 0, false)
	h.must(err)
	h.person("zoe", access.Grant{Role: access.Admin})
	zoe := h.browser().mustSignIn("zoe")
	if a := zoe.post(fmt.Sprintf("/account/tokens/%d/revoke", tokens[0].ID), nil); a.status != http.StatusNotFound {
		t.Errorf("somebody else's as one's own: %d", a.status)
	}
	if a := zoe.get("/people"); !strings.Contains(a.body, `<span class="name">ci</span>`) || !strings.Contains(a.body, "Who is signed in") {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := b.post(fmt.Sprintf("/people/tokens/%d/revoke", tokens[0].ID), nil); a.status != http.StatusForbidden {
		t.Errorf("a responder revokes anybody's: %d", a.status)
	}
	if a := zoe.post(fmt.Sprintf("/people/tokens/%d/revoke", tokens[0].ID), nil); a.status != http.StatusSeeOther {
		t.Errorf("%d", a.status)
	}
	sessions, err := h.access.Sessions(t.Context(), 0)
	h.must(err)
	for _, open := range sessions {
		if open.Name != "ann" {
			continue
		}
		if a := zoe.post(fmt.Sprintf("/people/sessions/%d/end", open.ID), nil); a.status != http.StatusSeeOther {
			t.Errorf("%d", a.status)
		}
	}
	if a := b.get("/account"); a.status != http.StatusSeeOther {
		t.Errorf("whose session an admin ended: %d", a.status)
	}
	h.pass(time.Minute)
	if a := use(token); a.status != http.StatusUnauthorized {
		t.Errorf("after it was revoked: %d", a.status)
	}
}

// Who guesses is slowed; everybody else signs in meanwhile, and who is signed in notices nothing. The record has some of it.
func TestGuessingShutsNobodyOut(t *testing.T) {
	t.Parallel()
	h := newHouse(t, withPeople)
	h.person("ann", access.Grant{Role: access.Admin})
	inside := h.browser().mustSignIn("ann")
	var wg sync.WaitGroup
	var slowed, wrong atomic.Int32
	for i := range 40 {
		guesser := h.browser()
		guesser.from = "198.51.100.7"
		wg.Go(func() {
			switch guesser.signIn("ann", fmt.Sprintf("c4n4ry-guess-%d", i)).status {
			case http.StatusTooManyRequests:
				slowed.Add(1)
			case http.StatusUnauthorized:
				wrong.Add(1)
			}
		})
	}
	for range 5 {
		other := h.browser()
		other.from = "203.0.113.5"
		other.mustSignIn("ann")
		if a := inside.get("/"); a.status != http.StatusOK {
			t.Errorf("who is inside: %d", a.status)
		}
	}
	wg.Wait()
	if slowed.Load() < 15 || wrong.Load() < 10 || slowed.Load()+wrong.Load() != 40 {
		t.Errorf("%d slowed, %d wrong", slowed.Load(), wrong.Load())
	}
	if n := len(h.acts("access.refused")); n != int(min(wrong.Load(), 30)) {
		t.Errorf("%d refusals in the record", n)
	}
}

// The page of the first run opens with the printed token only, and once.
func TestFirstRunPage(t *testing.T) {
	t.Parallel()
	h := newHouse(t, withPeople)
	b := h.browser()
	if a := b.get("/first-run"); a.status != http.StatusNotFound {
		t.Errorf("without a token: %d", a.status)
	}
	token, _, err := h.access.FirstRunToken(t.Context(), "daemon")
	h.must(err)
	if a := b.get("/login"); !strings.Contains(a.body, `href="/first-run"`) {
		t.Error("nothing leads there")
	}
	form := url.Values{"token": {"wrong"}, "name": {"ann"}, "password": {password}, "again": {password}}
	if a := b.post("/first-run", form); a.status != http.StatusUnauthorized {
		t.Errorf("a wrong token: %d", a.status)
	}
	form.Set("token", token.Reveal())
	form.Set("again", "another")
	if a := b.post("/first-run", form); a.status != http.StatusUnprocessableEntity || strings.Contains(a.body, "c4n4ry") {
		t.Errorf("%d %s", a.status, a.body)
	}
	form.Set("again", password)
	if a := b.post("/first-run", form); a.status != http.StatusSeeOther || a.location != "/people" {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if a := b.get("/people"); a.status != http.StatusOK || !strings.Contains(a.body, `<span class="name">ann</span>`) {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := h.browser().post("/first-run", form); a.status != http.StatusUnauthorized {
		t.Errorf("the token again: %d", a.status)
	}
}

// Passwords and tokens are nowhere but where they were given: not in the log, the tables, the metrics or an answer.
func TestNoPasswordIsKept(t *testing.T) {
	t.Parallel()
	h := newHouse(t, withPeople)
	h.person("ann", access.Grant{Role: access.Admin})
	b := h.browser()
	first, _, err := h.access.FirstRunToken(t.Context(), "daemon")
	h.must(err)
	var answers []string
	keep := func(a answer) { answers = append(answers, a.body+fmt.Sprint(a.header)) }
	keep(b.signIn("ann", "c4n4ry-wrong"))
	keep(b.signIn("c4n4ry-name-is-no-secret", "c4n4ry-wrong"))
	keep(b.post("/login?password=c4n4ry-query", url.Values{"name": {"ann"}, "password": {"c4n4ry-wrong"}}))
	keep(b.signIn("ann", password))
	keep(b.post("/account/password", fields("present", "c4n4ry-wrong", "password", "c4n4ry-new one", "again", "c4n4ry-new one")))
	keep(b.post("/account/password", fields("present", password, "password", "c4n4ry", "again", "c4n4ry")))
	keep(b.post("/first-run", fields("token", "c4n4ry-token", "name", "eve", "password", password, "again", password)))
	made := b.post("/account/tokens", url.Values{"name": {"ci"}, "role": {"viewer"}, "days": {"30"}})
	token := regexp.MustCompile(`kr_[0-9A-Za-z]{36}`).FindString(made.body)
	if a := b.do(http.MethodGet, "/api/v1/findings", nil, "Authorization", "Bearer "+token); a.status != http.StatusOK {
		t.Errorf("%d", a.status)
	}
	keep(b.do(http.MethodGet, "/api/v1/findings", nil, "Authorization", "Bearer "+token+"c4n4ry"))
	keep(b.get("/metrics"))
	keep(b.get("/account"))
	u, _ := url.Parse(h.server.URL)
	cookie := b.client.Jar.Cookies(u)[0].Value
	said := strings.ReplaceAll(strings.Join(answers, "\n"), "__Host-keyrounds="+cookie, "")
	places := map[string]string{"the log": h.log.String(), "answers": said}
	for _, table := range []string{"access_people", "access_sessions", "access_tokens", "access_first_run", "record"} {
		var text string
		h.must(h.pool.QueryRow(t.Context(), `SELECT coalesce(string_agg(t::text, ' '), '') FROM `+table+` t`).Scan(&text))
		places[table] = text
	}
	for place, text := range places {
		text = strings.ReplaceAll(text, "c4n4ry-name-is-no-secret", "")
		for what, planted := range map[string]string{
			"a password": "c4n4ry", "the token": token, "a session's id": cookie, "the first-run token": first.Reveal(),
		} {
			if planted == "" || strings.Contains(text, planted) {
				t.Errorf("%s is in %s", what, place)
			}
		}
	}
}

// fields is a form of keys and values.
func fields(pairs ...string) url.Values {
	v := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return v
}

// Every route of New has a row in the table of who may use it, and the table has no other.
func TestEveryRouteSaysWhoMay(t *testing.T) {
	t.Parallel()
	code, err := os.ReadFile("web.go")
	if err != nil {
		t.Fatal(err)
	}
	rows, routes := web.RoutesOfMay(), []string{}
	for _, m := range regexp.MustCompile(`mux\.Handle(?:Func)?\("([^"]+)"`).FindAllStringSubmatch(string(code), -1) {
		routes = append(routes, m[1])
	}
	for _, route := range pages.New(pages.Options{}).Routes() {
		routes = append(routes, route.Pattern)
	}
	for _, route := range routes {
		if !slices.Contains(rows, route) {
			t.Errorf("%s: nobody says who may", route)
		}
		rows = slices.DeleteFunc(rows, func(r string) bool { return r == route })
	}
	if len(rows) > 0 {
		t.Errorf("rows without a route: %q", rows)
	}
}
