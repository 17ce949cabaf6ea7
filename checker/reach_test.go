package checker_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/outbound"
)

// A provider is reached without its token endpoint being asked; what an issuer names is found first.
func TestReach(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	asked := make(chan string, 10)
	var server *httptest.Server
	server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Method + " " + r.URL.Path
		w.Header().Set("Date", now.Add(-time.Minute).Format(http.TimeFormat))
		if strings.HasPrefix(r.URL.Path, "/.well-known") {
			_ = json.NewEncoder(w).Encode(map[string]string{"issuer": server.URL, "token_endpoint": server.URL + "/token"})
			return
		}
		w.WriteHeader(http.StatusNotFound)
	}))
	t.Cleanup(server.Close)
	c := checker.New(checker.Options{Version: "test", Now: func() time.Time { return now }})
	tls := outbound.TLS{CAFile: caFile(t, server)}
	for name, p := range map[string]checker.Provider{
		"HEAD /": {TokenURL: server.URL + "/token"},
		"GET /.well-known/openid-configuration, HEAD /": {Issuer: server.URL},
	} {
		p.Name, p.AllowPrivateNetworks, p.TLS = "idp", true, tls
		r := c.Reach(t.Context(), p)
		var seen []string
		for len(asked) > 0 {
			seen = append(seen, <-asked)
		}
		if got := strings.Join(seen, ", "); got != name {
			t.Errorf("asked for %s instead of %s", got, name)
		}
		if r.Outcome != checker.OK || r.Host != "127.0.0.1" || !r.Secure || r.CertExpiry.IsZero() {
			t.Errorf("%s: %+v", name, r)
		}
		if !r.Clock || r.ClockSkew != -time.Minute {
			t.Errorf("%s: %+v", name, r)
		}
	}
	if r := c.Reach(t.Context(), checker.Provider{Name: "idp", TokenURL: server.URL + "/token"}); r.Reason != checker.AddressDenied {
		t.Errorf("a private address: %+v", r)
	}
}
