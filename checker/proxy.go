package checker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpproxy"
)

// FromEnvironment as a provider's Proxy takes it from HTTPS_PROXY, HTTP_PROXY and NO_PROXY.
const FromEnvironment = "environment"

// proxy is the way to a provider. A proxy of the environment is used only where the provider says
// so: through one, the address that is dialled is the proxy's, and the guard cannot see beyond it.
type proxy struct {
	of    func(*url.URL) (*url.URL, error) // nil: none
	hosts []string                         // host:port of those that of may return
	allow bool                             // private networks behind it
}

func newProxy(p Provider) (proxy, error) {
	c := httpproxy.Config{HTTPProxy: p.Proxy, HTTPSProxy: p.Proxy}
	switch p.Proxy {
	case "":
		return proxy{}, nil
	case FromEnvironment:
		c = *httpproxy.FromEnvironment()
	}
	x := proxy{of: c.ProxyFunc(), allow: p.AllowPrivateNetworks}
	for _, text := range []string{c.HTTPProxy, c.HTTPSProxy} {
		if !strings.Contains(text, "://") {
			text = "http://" + text
		}
		u, err := url.Parse(text)
		if err != nil {
			return proxy{}, errors.New("proxy: it is not a URL") // it may hold a password
		}
		port := u.Port()
		if port == "" {
			port = map[string]string{"https": "443", "socks5": "1080"}[u.Scheme]
		}
		x.hosts = append(x.hosts, net.JoinHostPort(u.Hostname(), first(port, "80")))
	}
	return x, nil
}

var errProxy = errors.New("the proxy refused the connection")

func (x proxy) use(t *http.Transport) {
	if x.of == nil {
		return
	}
	t.Proxy = func(r *http.Request) (*url.URL, error) {
		u, err := x.of(r.URL)
		if err == nil && u != nil {
			err = x.guard(r.URL.Hostname())
		}
		return u, err
	}
	t.OnProxyConnectResponse = func(_ context.Context, _ *url.URL, _ *http.Request, r *http.Response) error {
		if r.StatusCode != http.StatusOK {
			return fmt.Errorf("%w (HTTP %d)", errProxy, r.StatusCode)
		}
		return nil
	}
}

func (x proxy) is(address string) bool {
	for _, h := range x.hosts {
		if strings.EqualFold(h, address) {
			return true
		}
	}
	return false
}

// guard refuses addresses that the proxy would be asked to dial. A name is the proxy's to look up.
func (x proxy) guard(host string) error {
	host = strings.TrimSuffix(host, ".")
	if a, err := netip.ParseAddr(host); err == nil {
		return guardAddress(a, x.allow)
	}
	last := host[strings.LastIndexByte(host, '.')+1:]
	if _, err := strconv.ParseUint(last, 0, 64); err == nil { // decimal, octal and hexadecimal disguises
		return fmt.Errorf("%w: %s is an address in disguise", errAddress, host)
	}
	return nil
}
