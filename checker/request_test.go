package checker_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/outbound"
)

func replace(s, from, to string) string { return strings.ReplaceAll(s, from, to) }

func jq(t *testing.T, text string) checker.JQ {
	t.Helper()
	q, err := checker.ParseJQ(text)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// A token endpoint that is not quite OAuth: JSON in, JSON of its own out, and a secret full of
// characters that would break a template of text.
func TestCustomRequest(t *testing.T) {
	t.Parallel()
	value := "a\"b\\c{client_id}\u2028&=\n"
	var got map[string]any
	var header http.Header
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header = r.Header
		if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
			t.Error(err)
		}
		if auth, _ := got["auth"].(map[string]any); auth["key"] != value {
			fmt.Fprint(w, `{"fault":{"code":"client_not_found","text":"no such client"}}`)
			return
		}
		fmt.Fprint(w, `{"data":{"token":"abc","ttl":900,"scopes":["read"]},"fault":null}`)
	})
	p := serve(t, h, func(p *checker.Provider) {
		p.AuthMethod = checker.Custom
		p.Request = checker.Request{
			Encoding: "json", Headers: map[string]string{"X-Client": "{client_id}"},
			Body: map[string]any{"auth": map[string]any{"id": "{client_id}", "key": "{client_secret}"}, "want": []any{"{scope}", 1, true}},
		}
		p.Response = map[string]checker.JQ{
			"access_token": jq(t, ".data.token"), "expires_in": jq(t, ".data.ttl"), "scope": jq(t, ".data.scopes"),
			"error": jq(t, ".fault.code"), "error_description": jq(t, ".fault.text"),
		}
	})
	r := checker.New(checker.Options{}).Check(t.Context(), p, target("c", value, "read", "write"))
	if r.Outcome != checker.ScopeReduced || !slices.Equal(r.Missing, []string{"write"}) || r.ExpiresIn != 15*time.Minute {
		t.Errorf("%+v", r)
	}
	if header.Get("X-Client") != "c" || header.Get("Content-Type") != "application/json" ||
		fmt.Sprint(got["want"]) != "[read write 1 true]" || len(got) != 2 {
		t.Errorf("%v %v", header, got)
	}
	r = checker.New(checker.Options{}).Check(t.Context(), p, target("c", "another secret"))
	if r.Outcome != checker.Rejected || r.Reason != checker.UnknownClient {
		t.Errorf("%+v", r)
	}
}

// An answer whose jq is ended says nothing of the credential, whatever its status, and what was exceeded by which expression.
func TestAnAnswerWhoseJQIsEnded(t *testing.T) {
	t.Parallel()
	for status, body := range map[int]string{200: `{"data":"t"}`, 401: `{"error":"invalid_client"}`} {
		p := checker.Provider{Name: "idp", Response: map[string]checker.JQ{"access_token": jq(t, `last(range(1e12))`)}}
		got := checker.Classify(p, checker.Response{Status: status, Body: []byte(body)})
		want := "response.access_token: jq took more than 1s and was ended: last(range(1e12))"
		if got.Outcome != checker.Malformed || got.Message != want {
			t.Errorf("HTTP %d: %+v", status, got)
		}
	}
}

// The usual members as a JSON object, for endpoints that want that.
func TestJSONRequest(t *testing.T) {
	t.Parallel()
	var got map[string]string
	p := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		_ = json.Unmarshal(b, &got)
		fmt.Fprint(w, `{"access_token":"t"}`)
	}), func(p *checker.Provider) {
		p.Request.Encoding, p.Parameters = "json", map[string]string{"audience": "https://api.example/"}
	})
	if r := checker.New(checker.Options{}).Check(t.Context(), p, target("c", "s3cretvalue")); r.Outcome != checker.OK || fmt.Sprint(got) !=
		"map[audience:https://api.example/ client_id:c client_secret:s3cretvalue grant_type:client_credentials]" {
		t.Errorf("%+v %v", r, got)
	}
}

func TestProviderValidate(t *testing.T) {
	t.Parallel()
	for field, change := range map[string]func(*checker.Provider){
		"token_url":            func(p *checker.Provider) { p.TokenURL = "" },
		"issuer":               func(p *checker.Provider) { p.Issuer = "http://idp.example" },
		"introspection_url":    func(p *checker.Provider) { p.IntrospectionURL = "ftp://idp.example" },
		"request.encoding":     func(p *checker.Provider) { p.Request.Encoding = "xml" },
		"request.headers.Host": func(p *checker.Provider) { p.Request.Headers = map[string]string{"Host": "a"} },
		"request.headers.X-A":  func(p *checker.Provider) { p.Request.Headers = map[string]string{"X-A": "a\r\nX-B: c"} },
		"request.body":         func(p *checker.Provider) { p.Request.Body = map[string]any{"a": "b"} },
		"request":              func(p *checker.Provider) { p.AuthMethod = checker.Custom },
		"response.token":       func(p *checker.Provider) { p.Response = map[string]checker.JQ{"token": {}} },
		"proxy":                func(p *checker.Provider) { p.Proxy = "http://user:pass@proxy:3128" },
		"min_interval":         func(p *checker.Provider) { p.MinInterval = -1 },
		"probes.0.head": func(p *checker.Provider) {
			p.Probes = []checker.Probe{{Scope: "a", Get: "https://a", Head: "https://a"}}
		},
		"probes.0.jq": func(p *checker.Provider) { p.Probes = []checker.Probe{{Scope: "a", Head: "https://a", JQ: jq(t, ".")}} },
	} {
		p := at(t, "https://idp.example/token", nil)
		p.AllowPrivateNetworks = false
		change(&p)
		if ps := p.Validate(); len(ps) != 1 || ps[0].Field != field {
			t.Errorf("%s: %+v", field, ps)
		}
	}
}

// A proxy is used where the provider names one, and not because the environment does
// (docs/promises.md#a-proxy-is-used-only-where-it-is-configured).
func TestProxy(t *testing.T) {
	var seen []string
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.Method+" "+r.Host)
		if r.Method == http.MethodConnect {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		fmt.Fprint(w, `{"access_token":"t"}`)
	}))
	t.Cleanup(proxy.Close)
	for _, name := range []string{"HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"} {
		t.Setenv(name, proxy.URL)
	}
	t.Setenv("NO_PROXY", "")
	t.Setenv("no_proxy", "")
	for _, c := range []struct {
		proxy, url, seen string
		private          bool
		want             checker.Outcome
	}{
		{"", "http://idp.invalid/token", "[]", true, checker.Unreachable},
		{outbound.Environment, "http://idp.invalid/token", "[POST idp.invalid]", true, checker.OK},
		{proxy.URL, "http://idp.invalid/token", "[POST idp.invalid]", true, checker.OK},
		{proxy.URL, "https://idp.invalid/token", "[CONNECT idp.invalid:443]", false, checker.Intercepted},
		{proxy.URL, "https://10.1.2.3/token", "[]", false, checker.Misconfigured},
		{proxy.URL, "https://169.254.169.254/token", "[]", true, checker.Misconfigured},
		{proxy.URL, "https://2852039166/token", "[]", true, checker.Misconfigured},
		{proxy.URL, "https://0xa9.0xfe.0xa9.0xfe/token", "[]", true, checker.Misconfigured},
	} {
		seen = []string{}
		p := at(t, c.url, func(p *checker.Provider) { p.Proxy, p.AllowPrivateNetworks = c.proxy, c.private })
		r := checker.New(checker.Options{}).Check(t.Context(), p, target("c", "s3cretvalue"))
		if r.Outcome != c.want || fmt.Sprint(seen) != c.seen {
			t.Errorf("proxy %q, %s: the proxy saw %v; %+v", c.proxy, c.url, seen, r)
		}
	}
}

func unsigned(claims string) string {
	e := base64.RawURLEncoding.EncodeToString
	return e([]byte(`{"alg":"none"}`)) + "." + e([]byte(claims)) + ".c2ln"
}

// Granted scopes in all shapes, with those of a token that is a JWT where the answer has none.
func TestGrantedScopes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, scope, claims string
		declared            []string
		granted             string
		missing, extra      string
	}{
		{"absent", ``, ``, []string{"a"}, "[] true", "", ""},
		{"empty", `""`, ``, []string{"a"}, "[] false", "a", ""},
		{"space", `"b a"`, ``, []string{"a", "b"}, "[a b] false", "", ""},
		{"comma", `"b,a,c"`, ``, []string{"a", "b"}, "[a b c] false", "", "c"},
		{"array", `["a"]`, ``, []string{"a", "b"}, "[a] false", "b", ""},
		{"null", `null`, ``, []string{"a"}, "[] true", "", ""},
		{"the case counts", `"A"`, ``, []string{"a"}, "[A] false", "a", "A"},
		{"JWT scope", ``, `{"scope":"a b"}`, []string{"a"}, "[a b] false", "", "b"},
		{"JWT scp", ``, `{"scp":["a"]}`, []string{"a", "b"}, "[a] false", "b", ""},
		{"JWT roles", ``, `{"roles":["a"]}`, []string{"a", "b"}, "[a] false", "b", ""},
		{"JWT roles of another kind", ``, `{"roles":["admin"]}`, []string{"a"}, "[] true", "", ""},
		{"JWT without", ``, `{"iat":1,"exp":2}`, []string{"a"}, "[] true", "", ""},
		{"JWT whose claims are broken", ``, `{"scope":{"a":1},"scp":7}`, []string{"a"}, "[] true", "", ""},
		{"the answer wins", `"a"`, `{"scope":"b"}`, []string{"a"}, "[a] false", "", ""},
		{"Entra", ``, `{"roles":["User.Read.All"]}`, []string{"https://graph.microsoft.com/.default"}, "[] true", "", ""},
		{"Entra, in the answer", `"User.Read.All"`, ``, []string{"https://graph.microsoft.com/.default"}, "[User.Read.All] false", "", ""},
	} {
		token := "opaque"
		if c.claims != "" {
			token = unsigned(c.claims)
		}
		body := fmt.Sprintf(`{"access_token":%q`, token)
		if c.scope != "" {
			body += `,"scope":` + c.scope
		}
		r := checker.Classify(
			at(t, "https://idp.example/", nil),
			checker.Response{Status: 200, Header: http.Header{}, Body: []byte(body + "}"), Requested: c.declared},
		)
		got := fmt.Sprint(r.Granted, r.Granted == nil)
		if got != c.granted || strings.Join(r.Missing, " ") != c.missing || strings.Join(r.Extra, " ") != c.extra {
			t.Errorf("%s: granted %s, missing %v, extra %v", c.name, got, r.Missing, r.Extra)
		}
	}
}

// RFC 7662: an active token may tell its scopes; one that is not active is no use; an asker who is
// refused learns nothing.
func TestIntrospection(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, answer string
		status       int
		want         checker.Outcome
		why          checker.Reason
	}{
		{"active", `{"active":true,"scope":"read"}`, 200, checker.OK, ""},
		{"active with less", `{"active":true,"scope":""}`, 200, checker.ScopeReduced, ""},
		{"not active", `{"active":false}`, 200, checker.ScopeReduced, checker.TokenInactive},
		{"the asker is refused", `{"error":"invalid_client"}`, 401, checker.OK, ""},
		{"nonsense", `[]`, 200, checker.OK, ""},
	} {
		var asked url.Values
		p := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_ = r.ParseForm()
			if r.URL.Path == "/introspect" {
				asked = r.Form
				w.WriteHeader(c.status)
				fmt.Fprint(w, c.answer)
				return
			}
			fmt.Fprint(w, `{"access_token":"c4n4rytoken"}`)
		}), nil)
		p.IntrospectionURL = strings.TrimSuffix(p.TokenURL, "/identity/oauth/token") + "/introspect"
		r := checker.New(checker.Options{}).Check(t.Context(), p, target("c", "s3cretvalue", "read"))
		if r.Outcome != c.want || r.Reason != c.why || asked.Get("token") != "c4n4rytoken" || asked.Get("client_secret") != "s3cretvalue" {
			t.Errorf("%s: %v %+v", c.name, asked, r)
		}
		if strings.Contains(fmt.Sprintf("%+v", r), "c4n4ry") {
			t.Errorf("the result shows the token: %+v", r)
		}
	}
}

// Each answer of an API read apart.
func TestProbeAnswers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, body string
		status     int
		probe      checker.Probe
		want       checker.ProbeVerdict
		why        checker.ProbeReason
	}{
		{"ok", `{}`, 200, checker.Probe{}, checker.ProbeOK, ""},
		{"another status", ``, 204, checker.Probe{Expect: []int{200, 204}}, checker.ProbeOK, ""},
		{"HEAD", ``, 200, checker.Probe{Head: "x"}, checker.ProbeOK, ""},
		{"jq holds", `{"content":[]}`, 200, checker.Probe{JQ: jq(t, `.content | type == "array"`)}, checker.ProbeOK, ""},
		{
			name:   "jq does not",
			body:   `{"error":"no"}`,
			status: 200,
			probe:  checker.Probe{JQ: jq(t, `.content | type == "array"`)},
			want:   checker.ProbeDenied,
			why:    checker.UnexpectedBody,
		},
		{"jq on a list", `[1]`, 200, checker.Probe{JQ: jq(t, `length > 0`)}, checker.ProbeOK, ""},
		{"jq on a web page", `<html>`, 200, checker.Probe{JQ: jq(t, `.`)}, checker.ProbeInconclusive, checker.APIIntercepted},
		{"jq without end", `{}`, 200, checker.Probe{JQ: jq(t, `def f: f; f`)}, checker.ProbeInconclusive, checker.UnexpectedBody},
		{"insufficient_scope", `{"error":"insufficient_scope"}`, 403, checker.Probe{}, checker.ProbeDenied, checker.InsufficientScope},
		{
			name:   "insufficient_scope with 401",
			body:   `{"error":"insufficient_scope"}`,
			status: 401,
			want:   checker.ProbeDenied,
			why:    checker.InsufficientScope,
		},
		{
			name:   "SmartRecruiters' scope",
			body:   `{"message":"OAuthPermissionsException: …"}`,
			status: 403,
			want:   checker.ProbeDenied,
			why:    checker.InsufficientScope,
		},
		{"a role", `{"message":"You do not have access"}`, 403, checker.Probe{}, checker.ProbeDenied, checker.Forbidden},
		{"a firewall", `<html>`, 403, checker.Probe{}, checker.ProbeInconclusive, checker.APIIntercepted},
		{"a fresh token refused", `{"error":"invalid_token"}`, 401, checker.Probe{}, checker.ProbeInconclusive, checker.InvalidToken},
		{"limited", ``, 429, checker.Probe{}, checker.ProbeInconclusive, checker.APILimits},
		{"trouble", ``, 502, checker.Probe{}, checker.ProbeInconclusive, checker.APITrouble},
		{"moved", ``, 302, checker.Probe{}, checker.ProbeInconclusive, checker.UnexpectedStatus},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			method := ""
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/token" {
					fmt.Fprint(w, `{"access_token":"t"}`)
					return
				}
				method = r.Method
				w.WriteHeader(c.status)
				fmt.Fprint(w, c.body)
			}))
			t.Cleanup(server.Close)
			pr := c.probe
			pr.Scope, pr.Get = "read", server.URL+"/api"
			want := http.MethodGet
			if pr.Head != "" {
				pr.Get, pr.Head, want = "", server.URL+"/api", http.MethodHead
			}
			p := at(t, server.URL+"/token", func(p *checker.Provider) { p.Probes = []checker.Probe{pr} })
			r := checker.New(checker.Options{}).Check(t.Context(), p, target("c", "s3cretvalue", "read"))
			if len(r.Probes) != 1 || r.Probes[0].Verdict != c.want || r.Probes[0].Reason != c.why || method != want {
				t.Errorf("%s %+v", method, r.Probes)
			}
			if (c.want == checker.ProbeDenied) != (r.Outcome == checker.ScopeReduced) {
				t.Errorf("%+v", r)
			}
		})
	}
}

// What a provider asks for is honoured, by every check of the batch, up to an hour
// (docs/promises.md#a-pause-that-a-provider-asks-for-is-kept).
func TestPauses(t *testing.T) {
	t.Parallel()
	now := time.Now().Truncate(time.Second)
	for _, c := range []struct {
		status  int
		headers map[string]string
		want    time.Duration
	}{
		{429, map[string]string{"Retry-After": "90"}, 90 * time.Second},
		{503, map[string]string{"Retry-After": now.Add(2 * time.Minute).UTC().Format(http.TimeFormat)}, 2 * time.Minute},
		{429, map[string]string{"Retry-After": "-5"}, 0},
		{429, map[string]string{"Retry-After": "315360000"}, time.Hour},
		{429, map[string]string{"Retry-After": now.AddDate(10, 0, 0).UTC().Format(http.TimeFormat)}, time.Hour},
		{429, map[string]string{"Retry-After": "99999999999999999999"}, 0},
		{200, map[string]string{"Retry-After": "90"}, 0},
		{200, map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "30"}, 30 * time.Second},
		{200, map[string]string{"X-Rate-Limit-Remaining": "0", "X-Rate-Limit-Reset": fmt.Sprint(now.Unix() + 40)}, 40 * time.Second},
		{200, map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": fmt.Sprint(now.UnixMilli() + 50000)}, 50 * time.Second},
		{200, map[string]string{"RateLimit-Remaining": "0"}, time.Second},
		{200, map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "NaN"}, time.Second},
		{200, map[string]string{"X-RateLimit-Remaining": "7", "X-RateLimit-Reset": "30"}, 0},
	} {
		asked := 0
		p := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			asked++
			for k, v := range c.headers {
				w.Header().Set(k, v)
			}
			w.WriteHeader(c.status)
			fmt.Fprint(w, `{"access_token":"t"}`)
		}), func(p *checker.Provider) { p.Concurrency = 1 })
		ts := []checker.Target{target("a", "s3cretvalue"), target("b", "s3cretvalue")}
		rs := checker.New(checker.Options{Now: func() time.Time { return now }}).CheckAll(t.Context(), nil, p, ts)
		want := 2
		if c.want > 5*time.Second {
			want = 1 // the rest is handed back
		}
		if rs[0].RetryAfter != c.want || asked != want || len(rs) != want {
			t.Errorf("%d %v: pause %v, want %v; %d requests", c.status, c.headers, rs[0].RetryAfter, c.want, asked)
		}
	}
}

// A secret that is not ASCII is the same bytes by every method that sends one.
func TestASecretThatIsNotASCII(t *testing.T) {
	t.Parallel()
	const text = "pässwörd-→-c4n4ry"
	for _, method := range []checker.AuthMethod{
		checker.ClientSecretPost, checker.ClientSecretBasic, checker.ClientSecretBasicRaw, checker.Custom,
	} {
		got := make(chan string, 1)
		p := serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			sent := r.PostFormValue("client_secret")
			if _, password, ok := r.BasicAuth(); ok {
				if sent = password; method == checker.ClientSecretBasic {
					sent, _ = url.QueryUnescape(password)
				}
			}
			got <- sent
		}), func(p *checker.Provider) {
			if p.AuthMethod = method; method == checker.Custom {
				p.Request.Body = map[string]any{"client_secret": "{client_secret}"}
			}
		})
		checker.New(checker.Options{}).Check(t.Context(), p, target("c", text))
		if sent := <-got; sent != text {
			t.Errorf("%s sends %q", method, sent)
		}
	}
}
