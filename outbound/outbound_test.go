package outbound_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/keyrounds/keyrounds/outbound"
)

// get asks url by a policy, and returns the status and the body.
func get(t *testing.T, p outbound.Policy, url string) (status int, body string, err error) {
	t.Helper()
	client, err := outbound.Client(p)
	if err != nil {
		t.Fatal(err)
	}
	defer client.CloseIdleConnections()
	resp, err := client.Get(url)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

// An answer that redirects is returned, and nobody is asked at the address that it names.
func TestNoRedirectIsFollowed(t *testing.T) {
	t.Parallel()
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the redirect was followed") }))
	t.Cleanup(inside.Close)
	for _, status := range []int{301, 302, 303, 307, 308} {
		server := httptest.NewServer(http.RedirectHandler(inside.URL, status))
		if got, _, err := get(t, outbound.Policy{AllowPrivate: true}, server.URL); err != nil || got != status {
			t.Errorf("HTTP %d: got %d, error %v", status, got, err)
		}
		server.Close()
	}
}

// Without AllowPrivate nothing on this machine is dialled; metadata services never are.
func TestPrivateAddressesAreRefused(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it was dialled") }))
	t.Cleanup(server.Close)
	for _, url := range []string{server.URL, strings.Replace(server.URL, "127.0.0.1", "localhost", 1), "http://169.254.169.254/"} {
		if _, _, err := get(t, outbound.Policy{}, url); !errors.Is(err, outbound.ErrAddress) {
			t.Errorf("%s: error %v", url, err)
		}
	}
	if _, _, err := get(t, outbound.Policy{AllowPrivate: true}, "http://169.254.169.254/"); !errors.Is(err, outbound.ErrAddress) {
		t.Errorf("a metadata service: error %v", err)
	}
}

// A body beyond MaxBody is cut.
func TestBodiesAreBounded(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(
		http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, strings.Repeat("x", 5000)) }),
	)
	t.Cleanup(server.Close)
	for most, want := range map[int64]int{0: 5000, 100: 100, 9000: 5000} {
		if _, body, err := get(t, outbound.Policy{AllowPrivate: true, MaxBody: most}, server.URL); err != nil || len(body) != want {
			t.Errorf("MaxBody %d: %d bytes, error %v", most, len(body), err)
		}
	}
}

// The environment's proxy is used only where the policy says so, and never for a plain http:// URL that is a
// secret. A proxy that is named is used for all.
func TestProxies(t *testing.T) {
	var (
		mu   sync.Mutex
		seen []string
	)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, r.Method+" "+r.Host)
		if r.Method == http.MethodConnect {
			w.WriteHeader(http.StatusForbidden)
		}
	}))
	t.Cleanup(proxy.Close)
	for _, name := range []string{"HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"} {
		t.Setenv(name, proxy.URL)
	}
	t.Setenv("NO_PROXY", "")
	t.Setenv("no_proxy", "")
	for _, c := range []struct {
		policy    outbound.Policy
		url, seen string
	}{
		{outbound.Policy{AllowPrivate: true}, "http://host.invalid/", "[]"},
		{outbound.Policy{AllowPrivate: true, Proxy: outbound.Environment}, "http://host.invalid/", "[GET host.invalid]"},
		{outbound.Policy{AllowPrivate: true, Proxy: outbound.Environment}, "https://host.invalid/", "[CONNECT host.invalid:443]"},
		{outbound.Policy{AllowPrivate: true, Proxy: outbound.Environment, SecretURL: true}, "http://host.invalid/", "[]"},
		{
			policy: outbound.Policy{AllowPrivate: true, Proxy: outbound.Environment, SecretURL: true},
			url:    "https://host.invalid/",
			seen:   "[CONNECT host.invalid:443]",
		},
		{outbound.Policy{AllowPrivate: true, Proxy: proxy.URL, SecretURL: true}, "http://host.invalid/", "[GET host.invalid]"},
	} {
		seen = []string{}
		_, _, err := get(t, c.policy, c.url)
		if fmt.Sprint(seen) != c.seen {
			t.Errorf("%+v, %s: the proxy saw %v; error %v", c.policy, c.url, seen, err)
		}
		if strings.HasPrefix(c.seen, "[CONNECT") && !errors.Is(err, outbound.ErrProxy) {
			t.Errorf("%+v: a proxy that refuses: %v", c.policy, err)
		}
	}
}
