package outbound

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpproxy"
)

// Environment as a Policy's Proxy takes the proxy from HTTPS_PROXY, HTTP_PROXY and NO_PROXY.
const Environment = "environment"

// ProxyProblem says what is wrong with a Policy's Proxy as somebody wrote it, and what to write
// instead; "": nothing. A password is refused: the configuration file is no place for one.
func ProxyProblem(text string) (why, fix string) {
	if text == "" || text == Environment {
		return "", ""
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || !slices.Contains([]string{"http", "https", "socks5"}, u.Scheme):
		return "is not the URL of a proxy", "http://host:port, or environment"
	case u.User != nil:
		return "a password does not belong in this file", "put it into HTTPS_PROXY and write: proxy: environment"
	}
	return "", ""
}

// proxy is the way to a host. A proxy of the environment is used only where the policy says so:
// through one, the address that is dialled is the proxy's, and the guard cannot see beyond it.
type proxy struct {
	of    func(*url.URL) (*url.URL, error) // nil: none
	hosts []string                         // host:port of those that of may return
	allow bool                             // private networks behind it
}

func newProxy(p Policy) (proxy, error) {
	c := httpproxy.Config{HTTPProxy: p.Proxy, HTTPSProxy: p.Proxy}
	switch p.Proxy {
	case "":
		return proxy{}, nil
	case Environment:
		c = *httpproxy.FromEnvironment()
		if p.SecretURL {
			c.HTTPProxy = ""
		}
	}
	x := proxy{of: c.ProxyFunc(), allow: p.AllowPrivate}
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
		x.hosts = append(x.hosts, net.JoinHostPort(u.Hostname(), cmp.Or(port, "80")))
	}
	return x, nil
}

// ErrProxy says that a proxy refused the connection to what is behind it.
var ErrProxy = errors.New("the proxy refused the connection")

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
			return fmt.Errorf("%w (HTTP %d)", ErrProxy, r.StatusCode)
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
		return fmt.Errorf("%w: %s is an address in disguise", ErrAddress, host)
	}
	return nil
}
