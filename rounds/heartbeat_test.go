package rounds

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/keyrounds/keyrounds/outbound"
	"github.com/keyrounds/keyrounds/secret"
)

// The heartbeat goes to the address that the configuration names: no redirect is followed, and its URL, which is
// a secret, does not reach a proxy of the environment in clear text (docs/security.md).
func TestHeartbeatGoesNowhereElse(t *testing.T) {
	var proxied, redirected atomic.Int64
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { proxied.Add(1) }))
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { redirected.Add(1) }))
	monitor := httptest.NewServer(http.RedirectHandler(inside.URL+"/latest", http.StatusFound))
	for _, s := range []*httptest.Server{proxy, inside, monitor} {
		t.Cleanup(s.Close)
	}
	for _, name := range []string{"HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"} {
		t.Setenv(name, proxy.URL)
	}
	t.Setenv("NO_PROXY", "")
	t.Setenv("no_proxy", "")
	policy := outbound.Policy{AllowPrivate: true, Proxy: outbound.Environment, Timeout: heartbeatTimeout}
	for url, want := range map[string]string{
		monitor.URL + "/ping/c4n4ry":             "HTTP 302: it redirects",
		"http://monitor.invalid/ping/c4n4ry":     "could not be reached",
		"http://169.254.169.254/ping/c4n4ry":     "cloud metadata",
		"http://monitor.invalid/ping/c4n4ry\x7f": "is no URL",
	} {
		err := heartbeatGet(t.Context(), policy, secret.New([]byte(url)))
		if text := fmt.Sprint(err); !strings.Contains(text, want) || strings.Contains(text, "c4n4ry") {
			t.Errorf("%s: %v", url, err)
		}
	}
	if proxied.Load() != 0 || redirected.Load() != 0 {
		t.Errorf("the proxy saw %d heartbeats, the address of the redirect %d", proxied.Load(), redirected.Load())
	}
}
