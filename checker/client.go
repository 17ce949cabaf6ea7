package checker

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"syscall"
	"time"
)

// The limits of one exchange and of one probe.
const (
	Timeout        = 10 * time.Second // from the first look-up to the last byte
	connectTimeout = 5 * time.Second
	MaxBody        = 64 << 10 // bytes, also after gzip
	maxHeader      = 64 << 10
)

// newClient makes the HTTP client of one batch, or of one credential that has a certificate. It
// follows no redirect, uses only the proxy that the provider names, and dials only addresses that
// guardAddress lets through. release closes its connections.
func (c *Checker) newClient(p Provider, cert *certificate) (client *http.Client, release func(), err error) {
	tlsConfig, err := p.TLS.config()
	if err != nil {
		return nil, nil, err
	}
	if cert != nil {
		cert.use(tlsConfig)
	}
	proxy, err := newProxy(p)
	if err != nil {
		return nil, nil, err
	}
	dial := c.dial
	if dial == nil {
		dial = guardedDial(p, proxy)
	}
	t := &http.Transport{
		DialContext:            dial,
		TLSClientConfig:        tlsConfig,
		TLSHandshakeTimeout:    connectTimeout,
		ForceAttemptHTTP2:      true,
		MaxIdleConnsPerHost:    p.Concurrency,
		MaxConnsPerHost:        p.Concurrency,
		IdleConnTimeout:        Timeout,
		MaxResponseHeaderBytes: maxHeader,
		DisableCompression:     true, // gzip is bounded by readBody instead
	}
	proxy.use(t)
	return &http.Client{
		Transport:     t,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, t.CloseIdleConnections, nil
}

// Dial opens connections.
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

func guardedDial(p Provider, proxy proxy) Dial {
	dialer := func(allowPrivate bool) *net.Dialer {
		return &net.Dialer{
			Timeout: connectTimeout,
			ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
				ap, err := netip.ParseAddrPort(address)
				if err != nil {
					return fmt.Errorf("%w: %s", errAddress, address)
				}
				return guardAddress(ap.Addr(), allowPrivate)
			},
		}
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		return dialer(p.AllowPrivateNetworks || proxy.is(address)).DialContext(ctx, network, address)
	}
}

func (t TLS) config() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("tls.ca_file: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("tls.ca_file: %s has no certificate in PEM", t.CAFile)
		}
	}
	if t.CertFile != "" || t.KeyFile != "" {
		pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("tls.cert_file and tls.key_file: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// Load reads the files that t names, so that a mistake is found before the first check.
func (t TLS) Load() error {
	_, err := t.config()
	return err
}

// noAnswer reads the error of a request that got no answer. The error's own text is not used: it
// may hold the URL, and other things that nobody cleaned.
func noAnswer(err error) Reading {
	var (
		dns      *net.DNSError
		expired  x509.CertificateInvalidError
		host     x509.HostnameError
		unknown  x509.UnknownAuthorityError
		record   tls.RecordHeaderError
		alert    tls.AlertError
		verify   *tls.CertificateVerificationError
		syserr   syscall.Errno
		netError net.Error
		tlsError *net.OpError // of crypto/tls
	)
	class := func(why Reason, text string) Reading {
		return Reading{Outcome: Unreachable, Reason: why, Rule: "no HTTP answer", Message: text}
	}
	switch {
	case errors.Is(err, errProxy):
		return Reading{Outcome: Intercepted, Rule: "proxy", Message: errorText(err, errProxy)}
	case errors.Is(err, errAddress):
		r := class(AddressDenied, errorText(err, errAddress))
		r.Outcome, r.Rule = Misconfigured, "address guard"
		return r
	case errors.As(err, &dns):
		if dns.IsNotFound {
			return class(DNSFailed, "the host name is not known")
		}
		return class(DNSFailed, "the host name could not be looked up")
	case errors.As(err, &expired) && expired.Reason == x509.Expired:
		return class(TLSExpired, "the server's certificate is expired or not yet valid")
	case errors.As(err, &host):
		return class(TLSWrongHost, "the server's certificate is for another host")
	case errors.As(err, &unknown):
		return class(TLSUnknownCA, "the server's certificate is from an unknown authority")
	case errors.As(err, &record), errors.As(err, &alert), errors.As(err, &verify),
		errors.As(err, &tlsError) && (tlsError.Op == "remote error" || tlsError.Op == "local error"):
		return class(TLSFailed, "the TLS handshake failed")
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &netError) && netError.Timeout():
		return class(TimedOut, "no answer in time")
	case errors.Is(err, context.Canceled):
		return class(TimedOut, "the check was stopped before an answer came")
	case errors.As(err, &syserr) && (syserr == syscall.ECONNREFUSED || syserr == syscall.EHOSTUNREACH || syserr == syscall.ENETUNREACH):
		return class(ConnectFailed, "no connection: "+syserr.Error())
	}
	return class(ConnectionLost, "the connection broke before an answer came")
}

// errorText returns the text of the error in err's tree that wraps target directly.
func errorText(err, target error) string {
	for e := err; e != nil; e = errors.Unwrap(e) {
		if errors.Unwrap(e) == target {
			return e.Error()
		}
	}
	return target.Error()
}
