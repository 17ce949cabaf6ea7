// Package outbound is the one way to the outside: every HTTP request that keyrounds makes goes
// through a client of it.
//
// It knows who may be dialled, through which proxy, with which TLS, and that no redirect is
// followed. What is asked, and how an answer is read, is its callers' business. Named exceptions are
// in docs/security.md: services of the shoutrrr library that bring a client of their own.
package outbound

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"
)

// Policy says what a client may do. The zero value is the strictest: public addresses only, no proxy,
// the system's certificate authorities.
type Policy struct {
	// AllowPrivate lets loopback, private, link-local and reserved addresses be dialled. Cloud
	// metadata services never are.
	AllowPrivate bool
	// Proxy is a URL (http, https or socks5), or Environment; "": none, whatever the environment says.
	Proxy string
	// SecretURL says that the URLs themselves are secrets: a plain http:// one never goes through a
	// proxy of the environment, which would read it.
	SecretURL bool
	TLS       TLS
	// Certificate answers a server that asks for a client certificate; it wins over TLS. nil: TLS does.
	Certificate func(*tls.CertificateRequestInfo) (*tls.Certificate, error)
	// Timeout bounds a request, from the look-up of the name to the last byte of the body. 0: only
	// its context does.
	Timeout time.Duration
	// MaxBody bounds the body that can be read of an answer, in bytes; what is beyond is cut off. 0:
	// the caller bounds it.
	MaxBody int64
	// MaxConnections to one host at once. 0: no limit.
	MaxConnections int
	// Dial replaces the network, for tests: no address is guarded then.
	Dial Dial
}

// Dial opens connections, as net.Dialer.DialContext does.
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

const (
	connectTimeout = 5 * time.Second  // also of the TLS handshake
	idleTimeout    = 10 * time.Second // of a connection that is kept for the next request
)

// MaxHeader bounds the header of an answer, in bytes; a larger one is an error of the request.
const MaxHeader = 64 << 10

// Client makes an HTTP client that keeps to p and follows no redirect: the answer that redirects is
// returned. It does not decompress. CloseIdleConnections lets go of what it holds. An error says
// which part of p cannot be used: its proxy, or a file of its TLS.
//
// A request to an address that may not be dialled fails with ErrAddress, one that the proxy refuses
// with ErrProxy.
func Client(p Policy) (*http.Client, error) {
	t, err := Transport(p)
	if err != nil {
		return nil, err
	}
	client := &http.Client{Transport: t, Timeout: p.Timeout, CheckRedirect: NoRedirect}
	if p.MaxBody > 0 {
		client.Transport = bounded{t, p.MaxBody}
	}
	return client, nil
}

// Transport is what a Client of p sends with, for libraries that bring a client or a dialer of their
// own. Whoever uses it sets NoRedirect, and bounds time and bodies.
func Transport(p Policy) (*http.Transport, error) {
	tlsConfig, err := p.TLS.config()
	if err != nil {
		return nil, err
	}
	if p.Certificate != nil {
		tlsConfig.Certificates, tlsConfig.GetClientCertificate = nil, p.Certificate
	}
	proxy, err := newProxy(p)
	if err != nil {
		return nil, err
	}
	dial := p.Dial
	if dial == nil {
		dial = guardedDial(p.AllowPrivate, proxy)
	}
	t := &http.Transport{
		DialContext:            dial,
		TLSClientConfig:        tlsConfig,
		TLSHandshakeTimeout:    connectTimeout,
		ForceAttemptHTTP2:      true,
		MaxIdleConnsPerHost:    p.MaxConnections,
		MaxConnsPerHost:        p.MaxConnections,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: MaxHeader,
		DisableCompression:     true, // a small body could become a large one
	}
	proxy.use(t)
	return t, nil
}

// NoRedirect returns the answer that redirects instead of following it (http.Client.CheckRedirect).
func NoRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

func guardedDial(allowPrivate bool, proxy proxy) Dial {
	dialer := func(allowPrivate bool) *net.Dialer {
		return &net.Dialer{
			Timeout: connectTimeout,
			ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
				ap, err := netip.ParseAddrPort(address)
				if err != nil {
					return fmt.Errorf("%w: %s", ErrAddress, address)
				}
				return guardAddress(ap.Addr(), allowPrivate)
			},
		}
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		return dialer(allowPrivate || proxy.is(address)).DialContext(ctx, network, address)
	}
}

// bounded cuts the bodies of answers.
type bounded struct {
	*http.Transport
	most int64
}

func (b bounded) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := b.Transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(resp.Body, b.most), resp.Body}
	return resp, nil
}
