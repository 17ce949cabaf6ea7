// Package client asks a daemon by its API, from wherever it can be reached.
package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/keyrounds/keyrounds/outbound"
	"github.com/keyrounds/keyrounds/secret"
)

// Client asks one daemon. It is safe for concurrent use.
type Client struct {
	base   string // https://host[/path], without /api
	name   string // what people call it: that, or unix:/path
	http   *http.Client
	stream *http.Client // for answers that last as long as they like
	token  secret.Value
	agent  string
}

const (
	timeout = 5 * time.Minute // a check of a provider that hangs, behind others
	maxBody = 64 << 20
)

// New makes a client of a daemon. server is https://host, http:// on this machine, or unix:/path of its socket, where the kernel says
// who asks and no token is needed. agent says who asks, for the daemon's log. It asks nothing yet.
func New(server string, token secret.Value, agent string) (*Client, error) {
	if path, ok := strings.CutPrefix(server, "unix:"); ok {
		if !strings.HasPrefix(path, "/") {
			return nil, &ServerError{server, "does not name a socket by its whole path", "unix:/run/keyrounds/keyrounds.sock"}
		}
		path = "/" + strings.TrimLeft(path, "/")
		return Over("unix:"+path, func(ctx context.Context) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", path)
		}, agent)
	}
	if err := checkServer(server); err != nil {
		return nil, err
	}
	if strings.ContainsFunc(token.Reveal(), func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, &AnswerError{
			server, "the token for it has a blank, a line end or another sign that none has", "copy it again, whole and alone",
		}
	}
	base := strings.TrimSuffix(server, "/")
	c := &Client{base: base, name: base, token: token, agent: agent}
	return c.over(outbound.Policy{AllowPrivate: true, Proxy: outbound.Environment})
}

// Over makes a client of what answers on connections that know who asks: a socket of this machine, or a pipe in this process.
// name is what people call it.
func Over(name string, dial func(context.Context) (net.Conn, error), agent string) (*Client, error) {
	c := &Client{base: "http://localhost", name: name, agent: agent}
	return c.over(outbound.Policy{
		AllowPrivate: true,
		Dial:         func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
	})
}

func (c *Client) over(p outbound.Policy) (_ *Client, err error) {
	if c.stream, err = outbound.Client(p); err != nil {
		return nil, err
	}
	p.Timeout, p.MaxBody = timeout, maxBody
	if c.http, err = outbound.Client(p); err != nil {
		return nil, err
	}
	return c, nil
}

// answersWithin is how long a daemon that is asked what it is has for its answer.
const answersWithin = 15 * time.Second

// IsKeyrounds says whether a keyrounds answers, and within some seconds: many servers answer anything with some JSON.
func (c *Client) IsKeyrounds(ctx context.Context) error {
	within, cancel := context.WithTimeout(ctx, answersWithin)
	defer cancel()
	var v struct{ Version, Go string }
	err := c.Get(within, "/version", nil, &v)
	var p *Problem
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, context.DeadlineExceeded):
		return &AnswerError{c.name, "it did not answer in time", "is the daemon running, and can it be reached from here?"}
	case errors.As(err, &p) && p.Status == http.StatusNotFound, err == nil && (v.Version == "" || v.Go == ""):
		return &AnswerError{c.name, "it does not answer as keyrounds does", "is it the address of keyrounds, and nothing behind it?"}
	}
	return err
}

// Started waits, as long as ctx lasts, for a daemon that is starting. It returns at once where the daemon does not say so.
func (c *Client) Started(ctx context.Context) error {
	for {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+"/readyz", nil)
		if err != nil {
			return err
		}
		answer, err := c.http.Do(r)
		if err != nil {
			return unreached(ctx, c.name, err)
		}
		why, _ := io.ReadAll(io.LimitReader(answer.Body, 1000))
		_ = answer.Body.Close()
		if answer.StatusCode == http.StatusOK || !strings.Contains(string(why), "starting") {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// Close ends the connections that nobody uses.
func (c *Client) Close() {
	c.http.CloseIdleConnections()
	c.stream.CloseIdleConnections()
}

// checkServer: a token goes over plain http to this machine only.
func checkServer(server string) error {
	u, err := url.Parse(server)
	if err == nil && u.User != nil {
		server = u.Redacted()
	}
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.RawQuery+u.Fragment != "" || u.User != nil:
		return &ServerError{
			server,
			"is not the address of a daemon",
			"https://keyrounds.example.com, or unix:/run/keyrounds/keyrounds.sock",
		}
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return &ServerError{server, "is plain http: a token could be read on the way", "https://" + u.Host}
	}
	return nil
}

func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// ServerError says why the address of a daemon cannot be used.
type ServerError struct{ Server, Why, hint string }

func (e *ServerError) Error() string { return fmt.Sprintf("%q %s", e.Server, e.Why) }

// Hint says what would do.
func (e *ServerError) Hint() string { return "for example " + e.hint }

// Get asks for what is at a path below /api/v1, and reads it into out.
func (c *Client) Get(ctx context.Context, path string, query url.Values, out any) error {
	_, err := c.do(ctx, http.MethodGet, path, query, nil, out, "")
	return err
}

// Post does what a path is for, with in (nil: nothing), and reads the answer into out (nil: it is not read).
func (c *Client) Post(ctx context.Context, path string, in, out any) error {
	_, err := c.do(ctx, http.MethodPost, path, nil, in, out, "")
	return err
}

// Patch changes what is at a path, if its entity tag is still tag ("": whatever it is), and reads the answer into out.
func (c *Client) Patch(ctx context.Context, path, tag string, in, out any) error {
	_, err := c.do(ctx, http.MethodPatch, path, nil, in, out, tag)
	return err
}

// GetTagged is Get, and returns the entity tag, by which Patch knows that nobody changed it since.
func (c *Client) GetTagged(ctx context.Context, path string, out any) (tag string, err error) {
	return c.do(ctx, http.MethodGet, path, nil, nil, out, "")
}

// Delete ends what is at a path, and reads the answer into out.
func (c *Client) Delete(ctx context.Context, path string, out any) error {
	_, err := c.do(ctx, http.MethodDelete, path, nil, nil, out, "")
	return err
}

func (c *Client) do(ctx context.Context, method, path string, query url.Values, in, out any, tag string) (etag string, err error) {
	answer, err := c.send(ctx, method, path, query, in, tag)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	etag = answer.Header.Get("ETag")
	if raw, ok := out.(*[]byte); ok {
		*raw, err = io.ReadAll(answer.Body)
		return etag, err
	}
	if out == nil {
		return etag, nil
	}
	if err := json.NewDecoder(answer.Body).Decode(out); err != nil {
		return "", &AnswerError{
			c.name,
			"it does not answer as keyrounds does",
			"is it the address of keyrounds, and of no proxy's sign-in page?",
		}
	}
	return etag, nil
}

// mostWaits is how often one request is sent again since the daemon says that it is asked too often.
const mostWaits = 20

func (c *Client) send(ctx context.Context, method, path string, query url.Values, in any, tag string) (*http.Response, error) {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return nil, err
		}
		defer clear(body) // it may have a secret
	}
	for tries := 0; ; tries++ {
		answer, err := c.sendOnce(ctx, method, path, query, body, tag)
		if err != nil {
			return nil, err
		}
		if answer.StatusCode/100 == 2 {
			return answer, nil
		}
		wait := soon(answer)
		err = c.problem(answer)
		_ = answer.Body.Close()
		if wait == 0 || tries == mostWaits {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(wait):
		}
	}
}

// soon is for how long to wait until the daemon, asked too often, answers again; 0: it does not say, or it is too long for a person.
func soon(answer *http.Response) time.Duration {
	after, err := strconv.Atoi(answer.Header.Get("Retry-After"))
	if answer.StatusCode != http.StatusTooManyRequests || err != nil || after < 1 || after > 5 {
		return 0
	}
	return time.Duration(after) * time.Second
}

func (c *Client) sendOnce(ctx context.Context, method, path string, query url.Values, in []byte, tag string) (*http.Response, error) {
	var body io.Reader
	if in != nil {
		body = bytes.NewReader(in)
	}
	target := c.base + "/api/v1" + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return nil, err
	}
	r.Header.Set("User-Agent", c.agent)
	if in != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if !c.token.IsZero() {
		r.Header.Set("Authorization", "Bearer "+c.token.Reveal())
	}
	if tag != "" {
		r.Header.Set("If-Match", tag)
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return nil, unreached(ctx, c.name, err)
	}
	return resp, nil
}

// unreached says in plain words why a daemon was not reached.
func unreached(ctx context.Context, base string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	why, hint := whyNot(err)
	if strings.HasPrefix(base, "unix:") {
		hint = strings.Replace(hint, "is it the right port?", "is this its socket?", 1)
	}
	return &AnswerError{base, why, hint}
}

// whyNot says in words for a person why nobody answered, and what to do.
func whyNot(err error) (why, hint string) {
	var (
		name    *net.DNSError
		timeout net.Error
		cert    *tls.CertificateVerificationError
		record  tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &name):
		return "its name is not known here", "is it written as the daemon's external_url?"
	case errors.As(err, &cert):
		return "its certificate is not trusted here: it is for another name, over, or of an unknown authority",
			"SSL_CERT_FILE names the authority's certificate, where it is one of your own"
	case errors.As(err, &record), strings.Contains(err.Error(), "server gave HTTP response"):
		return "it answers in plain http", "does it listen for https there (web_config), or a proxy before it?"
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOENT):
		return "nobody listens there", "is the daemon running, and is it the right port?"
	case errors.Is(err, syscall.EACCES):
		return "its socket is not for you", "access: {socket_group: …} names a group that may"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "it did not answer in time", "is the daemon running, and can it be reached from here?"
	}
	return "it cannot be reached", "is the daemon running, and can it be reached from here?"
}

// AnswerError says that a daemon did not answer, or did not do what was asked.
type AnswerError struct{ Server, Why, hint string }

func (e *AnswerError) Error() string { return e.Server + ": " + e.Why }

// Hint says what a person does about it.
func (e *AnswerError) Hint() string { return e.hint }

// Problem is what the daemon says is wrong (RFC 9457).
type Problem struct {
	Status int
	Detail string
	Todo   string `json:"hint"` // what a person does about it; "": that is not known
	Errors []Wrong
}

// Wrong is one thing that is wrong with a request: a member, such as body.why, and why.
type Wrong struct{ Where, Detail string }

// Hint is Todo.
func (p *Problem) Hint() string { return p.Todo }

func (p *Problem) Error() string { return strings.TrimSuffix(p.Detail, ".") }

const problemType = "application/problem+json" // RFC 9457

func (c *Client) problem(resp *http.Response) error {
	b, _ := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	var p Problem
	if !strings.HasPrefix(resp.Header.Get("Content-Type"), problemType) || json.Unmarshal(b, &p) != nil {
		p = Problem{} // a proxy's, or that of another server: none of it is shown
	}
	if token := c.token.Reveal(); token != "" {
		p.Detail = strings.ReplaceAll(p.Detail, token, "*****")
		for i := range p.Errors {
			p.Errors[i].Detail = strings.ReplaceAll(p.Errors[i].Detail, token, "*****")
		}
	}
	p.Status = resp.StatusCode
	switch resp.StatusCode {
	case http.StatusUnauthorized:
		why := "nobody is signed in there by this token"
		if c.token.IsZero() {
			why = "it asks who you are, and no token was sent"
		}
		return &AnswerError{c.name, why, "keyrounds login, or KEYROUNDS_TOKEN; keyrounds access tokens add makes one"}
	case http.StatusMisdirectedRequest:
		return &AnswerError{c.name, "it does not answer to this name", "external_url or hosts: of its configuration names it"}
	case http.StatusTooManyRequests:
		after, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
		return &AnswerError{c.name, "it is asked too often", fmt.Sprintf("try again in %d s", max(1, after))}
	}
	if p.Detail == "" || resp.StatusCode/100 == 3 {
		return &AnswerError{
			c.name, fmt.Sprintf("it answers HTTP %d, and not as keyrounds does", resp.StatusCode),
			"is it the address of a daemon, and does a proxy before it let all through?",
		}
	}
	return &p
}
