package checker

import (
	"compress/gzip"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/outbound"
	"github.com/keyrounds/keyrounds/secret"
)

// exchange asks for a token once: no retry, no redirect, within Timeout. The token is returned
// apart from the result, which never holds it.
func (c *Checker) exchange(
	ctx context.Context,
	client *http.Client,
	p Provider,
	cred credential.Credential,
	auth clientAuth,
	cert *certificate,
	proof *prover,
	r *Result,
) secret.Value {
	answer, ok := c.ask(ctx, client, cert, proof, r, func(ctx context.Context) (*http.Request, error) {
		req, err := tokenRequest(ctx, p, cred, auth)
		if err == nil {
			err = proof.prove(req, secret.Value{})
		}
		return req, err
	})
	if !ok {
		return secret.Value{}
	}
	answer.Requested = cred.Scopes
	read := readAnswer(answer, p.Response)
	r.Reading = classify(p, answer, read)
	if r.Outcome != OK || len(without(r.Granted, cred.Scopes)) > 0 { // texts of it are kept: they are read without what was sent
		r.Reading = Classify(p, answer.redacted(auth.sent()))
	}
	r.RetryAfter = pauseAsked(answer, c.now())
	r.blameClock(p)
	if !r.Outcome.HasToken() {
		return secret.Value{}
	}
	token := read.token()
	r.Ends = r.Ends.Earlier(read.end())
	sum := sha256.Sum256([]byte(token))
	r.Trail.TokenHash = sum[:]
	if claims, ok := claimsOf(token); ok && claims.JTI != "" {
		sum := sha256.Sum256([]byte(claims.JTI))
		r.Trail.JTIHash = sum[:]
	}
	clear(answer.Body)
	return secret.New([]byte(token))
}

// ask makes one request of the check r, and notes what it took. ok: an answer came and was read to its end; else r
// says why not.
func (c *Checker) ask(
	ctx context.Context,
	client *http.Client,
	cert *certificate,
	proof *prover,
	r *Result,
	request func(context.Context) (*http.Request, error),
) (answer Response, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	watch := &stopwatch{began: time.Now()}
	var unmade error
	resp, err := proof.do(httptrace.WithClientTrace(ctx, watch.trace()), client, func(ctx context.Context) (*http.Request, error) {
		req, err := request(ctx)
		if unmade = err; err == nil {
			c.setCheckHeaders(req, r)
		}
		return req, err
	})
	r.Trail.Egress = watch.egress()
	switch {
	case unmade != nil:
		r.Reading = says(Misconfigured, "", "request", "the request could not be made: %v", unmade)
		return answer, false
	case err != nil:
		r.Phases = watch.phases()
		if r.Reading = cert.refused(err); r.Outcome == "" {
			r.Reading = noAnswerOrMalformed(err)
		}
		return answer, false
	}
	defer resp.Body.Close()
	body, err := readBody(resp)
	r.Phases = watch.phases()
	r.ClockSkew = clockSkew(resp.Header, c.now())
	r.CertificateExpires = certificateExpires(resp.TLS)
	if r.Trace != nil {
		r.trace("answer: HTTP %d, %d bytes, %s", resp.StatusCode, len(body), mediaType(resp.Header))
	}
	switch {
	case errors.Is(err, errTooLarge):
		r.Reading = says(Malformed, TooLarge, "body limit", "the answer is larger than %d KiB", MaxBody>>10)
		r.HTTPStatus = resp.StatusCode
		return answer, false
	case errors.Is(err, errBadGzip):
		r.Reading = says(Malformed, "", "gzip", "the answer's gzip encoding is broken")
		r.HTTPStatus = resp.StatusCode
		return answer, false
	case err != nil:
		if r.Reading = cert.refused(err); r.Outcome == "" {
			r.Reading = noAnswer(err)
		}
		return answer, false
	}
	return Response{Status: resp.StatusCode, Header: resp.Header, Body: body}, true
}

// mostSkew is how far two clocks may differ before an assertion's times can be what is refused.
const mostSkew = 30 * time.Second

// blameClock: an assertion is refused as well for a clock that is wrong, and providers do not always
// say so.
func (r *Result) blameClock(p Provider) {
	if r.Outcome == Rejected && p.algorithms() != nil && r.ClockSkew.Abs() > mostSkew {
		r.Outcome, r.Reason, r.Rule = Misconfigured, ClockOff, "clock"
		r.Message = fmt.Sprintf("the assertion was refused, and this machine's clock differs from the provider's by %s", r.ClockSkew.Abs())
	}
}

// ruleNotAsked: no connection asked for the client's certificate, so the server never saw who asked.
const ruleNotAsked = "certificate not asked for (RFC 8705 §2)"

// blameUs says what of our choosing a refusal can be about: a certificate that was never shown is our mistake; how
// Basic is encoded may be, and is named first.
func (r *Result) blameUs(p Provider, t Target, value secret.Value, cert *certificate) {
	cred := t.Credential
	if r.Outcome == Rejected && (r.Reason == Unspecified || r.Reason == UnknownClient || r.Reason == BadSecret) {
		r.Choices, r.RefusesFor = p.choices(cred, value), p.RefusesFor
	}
	switch {
	case r.Outcome != Rejected:
	case t.Worked && (cert == nil || r.Reason != Unspecified): // as we ask, it worked
	case cert != nil && !cert.asked.Load():
		r.Outcome, r.Reason, r.Rule, r.Choices, r.RefusesFor = Misconfigured, "", ruleNotAsked, nil, nil
		r.Message = "the server did not ask for the client certificate and refused the client without it: " +
			"token_url may not be its address for mutual TLS"
	case changedByEncoding(p, cred, value):
		r.Message = "the id or the secret has characters that client_secret_basic encodes (RFC 6749 §2.3.1), and some servers do " +
			"not decode them: if it never worked, try client_secret_basic_raw; " + r.Message
	case changedByDecoding(p, cred, value):
		r.Message = "the id or the secret has characters that client_secret_basic_raw does not encode, and most servers decode them " +
			"(RFC 6749 §2.3.1): if it never worked, try client_secret_basic; " + r.Message
	}
}

func certificateExpires(s *tls.ConnectionState) time.Time {
	if s == nil || len(s.PeerCertificates) == 0 {
		return time.Time{}
	}
	return s.PeerCertificates[0].NotAfter
}

func mediaType(h http.Header) string {
	m, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil {
		return "no media type"
	}
	return m
}

// A shorter secret may be a word of the answer itself, such as "token": it is left to Result.clean,
// which comes after reading.
const leastRedacted = 12

// redacted returns r without what was sent. It comes before reading, since reading takes text apart
// and changes its case.
func (r Response) redacted(sent []secret.Value) Response {
	s := secret.NewScrubber(
		slices.DeleteFunc(sent, func(v secret.Value) bool { return len(v.Reveal()) < leastRedacted })...)
	h := http.Header{}
	for name, values := range r.Header {
		for _, v := range values {
			h.Add(name, s.Redact(v))
		}
	}
	r.Header, r.Body = h, []byte(s.Redact(string(r.Body)))
	return r
}

func (c *Checker) setHeaders(req *http.Request) {
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", c.userAgent)
}

// setCheckHeaders sets the headers of a request of the check r, which name that check.
func (c *Checker) setCheckHeaders(req *http.Request, r *Result) {
	c.setHeaders(req)
	req.Header.Set("User-Agent", c.userAgent+" check/"+Nonce(r.ID))
	r.Trail.Requests++
}

func (r *Result) took(began time.Time) { r.Trail.Took = time.Since(began) }

var (
	errTooLarge = errors.New("larger than the limit")
	errBadGzip  = errors.New("broken gzip")
)

// readBody reads at most MaxBody bytes, before and after gzip.
func readBody(resp *http.Response) ([]byte, error) {
	body := io.LimitReader(resp.Body, MaxBody+1)
	if strings.EqualFold(resp.Header.Get("Content-Encoding"), "gzip") {
		z, err := gzip.NewReader(body)
		if err != nil {
			return nil, errBadGzip
		}
		body = io.LimitReader(z, MaxBody+1)
	}
	b, err := io.ReadAll(body)
	switch {
	case len(b) > MaxBody:
		return nil, errTooLarge
	case errors.Is(err, gzip.ErrHeader), errors.Is(err, gzip.ErrChecksum):
		return nil, errBadGzip
	}
	return b, err
}

// noAnswerOrMalformed tells an answer that net/http could not read from none at all. net/http
// has no types for these.
func noAnswerOrMalformed(err error) Reading {
	text := err.Error()
	for _, sign := range []string{
		"malformed HTTP", "server response headers exceeded", "server sent", "bad Content-Length", "malformed MIME header",
		"unsupported transfer encoding",
	} {
		if strings.Contains(text, sign) {
			return says(
				Malformed,
				"",
				"not HTTP",
				"the answer is not valid HTTP, or its headers are larger than %d KiB",
				outbound.MaxHeader>>10,
			)
		}
	}
	return noAnswer(err)
}

// clockSkew is the provider's clock less ours, as far as Date (whole seconds) tells.
func clockSkew(h http.Header, now time.Time) time.Duration {
	date, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return 0
	}
	if skew := date.Sub(now).Truncate(time.Second); skew.Abs() > time.Second {
		return skew
	}
	return 0
}

// stopwatch takes the times of one request. net/http calls its hooks from several goroutines only
// when it dials more than once; the dials that lose do not matter, and the lock keeps it safe.
type stopwatch struct {
	mu                                          sync.Mutex
	began, dns, dial, shake, wrote              time.Time
	dnsTook, dialTook, shakeTook, firstByteTook time.Duration
	local                                       net.Addr
}

func (w *stopwatch) trace() *httptrace.ClientTrace {
	start := func(at *time.Time) {
		w.mu.Lock()
		defer w.mu.Unlock()
		*at = time.Now()
	}
	stop := func(at *time.Time, took *time.Duration) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if !at.IsZero() {
			*took = time.Since(*at)
		}
	}
	return &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.local = info.Conn.LocalAddr()
		},
		DNSStart:             func(httptrace.DNSStartInfo) { start(&w.dns) },
		DNSDone:              func(httptrace.DNSDoneInfo) { stop(&w.dns, &w.dnsTook) },
		ConnectStart:         func(_, _ string) { start(&w.dial) },
		ConnectDone:          func(_, _ string, _ error) { stop(&w.dial, &w.dialTook) },
		TLSHandshakeStart:    func() { start(&w.shake) },
		TLSHandshakeDone:     func(tls.ConnectionState, error) { stop(&w.shake, &w.shakeTook) },
		WroteRequest:         func(httptrace.WroteRequestInfo) { start(&w.wrote) },
		GotFirstResponseByte: func() { stop(&w.wrote, &w.firstByteTook) },
	}
}

// egress is this machine's address of the connection, the zero Addr where there was none.
func (w *stopwatch) egress() netip.Addr {
	w.mu.Lock()
	defer w.mu.Unlock()
	if a, ok := w.local.(*net.TCPAddr); ok {
		return a.AddrPort().Addr().Unmap().WithZone("")
	}
	return netip.Addr{}
}

func (w *stopwatch) phases() Phases {
	w.mu.Lock()
	defer w.mu.Unlock()
	return Phases{DNS: w.dnsTook, Connect: w.dialTook, TLS: w.shakeTook, FirstByte: w.firstByteTook, Total: time.Since(w.began)}
}
