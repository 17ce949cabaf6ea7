package checker_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyrounds/keyrounds/checker"
)

// issuer is an authorization server that says where its endpoints are.
type issuer struct {
	*httptest.Server
	path          string // of the metadata document
	document      atomic.Value
	status, reads atomic.Int32 // of the document
	refuse        atomic.Bool
}

func newIssuer(t *testing.T, path string) *issuer {
	t.Helper()
	i := &issuer{path: path}
	i.status.Store(200)
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == i.path:
			i.reads.Add(1)
			w.WriteHeader(int(i.status.Load()))
			fmt.Fprint(w, i.document.Load())
		case r.URL.Path == "/token" && i.refuse.Load():
			w.WriteHeader(401)
			fmt.Fprint(w, `{"error":"invalid_client"}`)
		case r.URL.Path == "/token":
			fmt.Fprint(w, `{"access_token":"t"}`)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(i.Close)
	i.document.Store(fmt.Sprintf(`{"issuer":%q,"token_endpoint":%q}`, i.URL+"/tenant", i.URL+"/token"))
	return i
}

func (i *issuer) provider(t *testing.T) checker.Provider {
	return at(t, "", func(p *checker.Provider) { p.Issuer = i.URL + "/tenant" })
}

// The endpoints come from the issuer's metadata, at either place, which is read once an hour.
func TestDiscovery(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/tenant/.well-known/openid-configuration", "/.well-known/oauth-authorization-server/tenant"} {
		i := newIssuer(t, path)
		now := time.Now()
		c := checker.New(checker.Options{Now: func() time.Time { return now }})
		check := func(want checker.Outcome, reads int32) {
			t.Helper()
			r := c.Check(t.Context(), i.provider(t), target("c", "s3cretvalue"))
			if r.Outcome != want || i.reads.Load() != reads {
				t.Errorf("%s: %d reads, want %d; %+v", path, i.reads.Load(), reads, r)
			}
		}
		check(checker.OK, 1)
		check(checker.OK, 1)
		now = now.Add(61 * time.Minute)
		check(checker.OK, 2)
		i.status.Store(503) // what was read before serves for a day
		now = now.Add(61 * time.Minute)
		check(checker.OK, 3)
		now = now.Add(25 * time.Hour)
		check(checker.ProviderError, 4)
	}
}

func TestMetadataThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, document string
		want           checker.Outcome
	}{
		{"another issuer", `{"issuer":"https://other.example","token_endpoint":"https://other.example/token"}`, checker.Misconfigured},
		{"no endpoint", `{"issuer":"ISSUER"}`, checker.Misconfigured},
		{"an endpoint with a password", `{"issuer":"ISSUER","token_endpoint":"https://a:b@c/"}`, checker.Misconfigured},
		{"a web page", `<html>`, checker.Intercepted},
		{"no JSON", `hello`, checker.Malformed},
	} {
		i := newIssuer(t, "/tenant/.well-known/openid-configuration")
		document := c.document
		if at := i.URL + "/tenant"; document != "" {
			document = replace(document, "ISSUER", at)
		}
		i.document.Store(document)
		if r := checker.New(checker.Options{}).Check(t.Context(), i.provider(t), target("c", "s3cretvalue")); r.Outcome != c.want {
			t.Errorf("%s: %+v", c.name, r)
		}
	}
	gone := newIssuer(t, "/nowhere")
	r := checker.New(checker.Options{}).Check(t.Context(), gone.provider(t), target("c", "s3cretvalue"))
	if r.Outcome != checker.Misconfigured {
		t.Errorf("404: %+v", r)
	}
	closed := newIssuer(t, "/nowhere")
	p := closed.provider(t)
	closed.Close()
	if r := checker.New(checker.Options{}).Check(t.Context(), p, target("c", "s3cretvalue")); r.Outcome != checker.Unreachable {
		t.Errorf("away: %+v", r)
	}
}

// Before a credential is blamed, the provider is asked for its metadata.
func TestRefusalsAreControlled(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		change   func(*issuer)
		own      bool // the token endpoint is configured, not discovered
		want     checker.Outcome
		why      checker.Reason
		wantRead int32
	}{
		{"in order", func(*issuer) {}, false, checker.Rejected, checker.Unspecified, 2},
		{"in order, own endpoint", func(*issuer) {}, true, checker.Rejected, checker.Unspecified, 1},
		{"in trouble", func(i *issuer) { i.status.Store(503) }, false, checker.ProviderError, "", 2},
		{"a web page", func(i *issuer) { i.document.Store("<html>") }, true, checker.ProviderError, "", 1},
		{"moved", func(i *issuer) {
			i.document.Store(fmt.Sprintf(`{"issuer":%q,"token_endpoint":%q}`, i.URL+"/tenant", i.URL+"/new"))
		}, false, checker.Misconfigured, checker.Redirected, 2},
	} {
		i := newIssuer(t, "/tenant/.well-known/openid-configuration")
		p := i.provider(t)
		check := checker.New(checker.Options{})
		if c.own {
			p.TokenURL = i.URL + "/token"
		}
		if r := check.Check(t.Context(), p, target("c", "s3cretvalue")); r.Outcome != checker.OK {
			t.Fatalf("%s: %+v", c.name, r)
		}
		i.refuse.Store(true)
		c.change(i)
		r := check.Check(t.Context(), p, target("c", "s3cretvalue"))
		if r.Outcome != c.want || r.Reason != c.why || i.reads.Load() != c.wantRead {
			t.Errorf("%s: %d reads; %+v", c.name, i.reads.Load(), r)
		}
	}
}
