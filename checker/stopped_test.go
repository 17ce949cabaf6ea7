package checker_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/secret"
)

// A stop says nothing of a provider: what it kept from being read makes no result, and takes back no refusal.
func TestAStopSaysNothingOfAProvider(t *testing.T) {
	t.Parallel()
	var server *httptest.Server
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == "/token" {
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"error":"invalid_client"}`)
			return
		}
		fmt.Fprintf(w, `{"issuer":%q,"token_endpoint":"%s/token"}`, server.URL, server.URL)
	}))
	t.Cleanup(server.Close)
	p, err := checker.Provider{Name: "idp", Issuer: server.URL, AllowPrivateNetworks: true}.Complete()
	if err != nil {
		t.Fatal(err)
	}
	target := checker.Target{
		Credential: credential.Credential{Name: "ats", Subject: "ats"},
		Secret: func(context.Context) (secret.Value, error) {
			return secret.New([]byte("s3cret-s3cret-s3cret")), nil
		},
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	closed := make(chan struct{})
	close(closed)
	c := checker.New(checker.Options{})
	if r, begun := c.Open(p).Check(t.Context(), stopped, target); begun {
		t.Errorf("a check began whose endpoints were not read: %s %s", r.Outcome, r.Message)
	}
	if rs := c.CheckAll(stopped, closed, p, []checker.Target{target}); len(rs) != 0 {
		t.Errorf("a check that did not begin has a result: %s %s", rs[0].Outcome, rs[0].Message)
	}
	s := c.Open(p)
	refused, begun := s.Check(t.Context(), t.Context(), target)
	if !begun || refused.Outcome != checker.Rejected {
		t.Fatalf("%s %s, begun %v", refused.Outcome, refused.Message, begun)
	}
	rs := []checker.Result{refused}
	if s.Control(stopped, rs, []checker.Target{target}); rs[0].Outcome != checker.Rejected {
		t.Errorf("a refusal became %s %s", rs[0].Outcome, rs[0].Message)
	}
}
