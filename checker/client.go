package checker

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/keyrounds/keyrounds/outbound"
)

// The limits of one exchange and of one probe.
const (
	Timeout = 10 * time.Second // from the first look-up to the last byte
	MaxBody = 64 << 10         // bytes, also after gzip
)

// Policy is how p may be reached: by its own word on private networks, proxy and TLS, with at most Concurrency
// connections to a host. It bounds neither time nor bodies; whoever makes requests by it keeps to Timeout and
// MaxBody.
func (p Provider) Policy() outbound.Policy {
	return outbound.Policy{AllowPrivate: p.AllowPrivateNetworks, Proxy: p.Proxy, TLS: p.TLS, MaxConnections: p.Concurrency}
}

// newClient makes the HTTP client of one batch, or of one credential that has a certificate.
func (c *Checker) newClient(p Provider, cert *certificate) (*http.Client, error) {
	policy := p.Policy()
	policy.Dial = c.dial
	if cert != nil {
		policy.Certificate = cert.shown
	}
	return outbound.Client(policy)
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
	case errors.Is(err, outbound.ErrProxy):
		return Reading{Outcome: Intercepted, Rule: "proxy", Message: errorText(err, outbound.ErrProxy)}
	case errors.Is(err, outbound.ErrAddress):
		r := class(AddressDenied, errorText(err, outbound.ErrAddress))
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
		if inner := errors.Unwrap(e); inner != nil && errors.Is(target, inner) {
			return e.Error()
		}
	}
	return target.Error()
}
