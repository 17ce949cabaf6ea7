// Package client asks a daemon by its API, from wherever it can be reached.
package client

import (
	"bytes"
	"context"
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
	"time"

	"github.com/keyrounds/keyrounds/outbound"
	"github.com/keyrounds/keyrounds/secret"
)

// Client asks one daemon. It is safe for concurrent use.
type Client struct {
	base  string // https://host[/path], without /api
	http  *http.Client
	token secret.Value
	agent string
}

const (
	timeout = 5 * time.Minute // a check of a provider that hangs, behind others
	maxBody = 64 << 20
)

// New makes a client of a daemon. server is https://host, http:// on this machine, or unix:/path of its socket, where the kernel says
// who asks and no token is needed. agent says who asks, for the daemon's log. It asks nothing yet.
func New(server string, token secret.Value, agent string) (*Client, error) {
	p := outbound.Policy{AllowPrivate: true, Proxy: outbound.Environment, Timeout: timeout, MaxBody: maxBody}
	c := &Client{base: strings.TrimSuffix(server, "/"), token: token, agent: agent}
	if path, ok := strings.CutPrefix(server, "unix:"); ok {
		path = "/" + strings.TrimLeft(path, "/")
		p.Proxy = ""
		p.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", path)
		}
		c.base, c.token = "http://localhost", secret.Value{} // the kernel says who asks
	} else if err := checkServer(server); err != nil {
		return nil, err
	}
	var err error
	c.http, err = outbound.Client(p)
	return c, err
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
	return c.do(ctx, http.MethodGet, path, query, nil, out)
}

// Post does what a path is for, with in (nil: nothing), and reads the answer into out (nil: it is not read).
func (c *Client) Post(ctx context.Context, path string, in, out any) error {
	return c.do(ctx, http.MethodPost, path, nil, in, out)
}

// Delete ends what is at a path, and reads the answer into out.
func (c *Client) Delete(ctx context.Context, path string, out any) error {
	return c.do(ctx, http.MethodDelete, path, nil, nil, out)
}

func (c *Client) do(ctx context.Context, method, path string, query url.Values, in, out any) error {
	body, err := c.send(ctx, method, path, query, in)
	if err != nil {
		return err
	}
	defer body.Close()
	if raw, ok := out.(*[]byte); ok {
		*raw, err = io.ReadAll(body)
		return err
	}
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(body).Decode(out); err != nil {
		return &AnswerError{
			c.base,
			"it does not answer as keyrounds does",
			"is it the address of keyrounds, and of no proxy's sign-in page?",
		}
	}
	return nil
}

func (c *Client) send(ctx context.Context, method, path string, query url.Values, in any) (io.ReadCloser, error) {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(b)
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
	resp, err := c.http.Do(r)
	if err != nil {
		return nil, unreached(ctx, c.base, err)
	}
	if resp.StatusCode/100 != 2 {
		defer resp.Body.Close()
		return nil, c.problem(resp)
	}
	return resp.Body, nil
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
	return &AnswerError{base, "it cannot be reached: " + err.Error(), "is the daemon running, and can it be reached from here?"}
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
}

func (p *Problem) Error() string { return strings.TrimSuffix(p.Detail, ".") }

func (c *Client) problem(resp *http.Response) error {
	b, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	var p Problem
	if json.Unmarshal(b, &p) != nil || p.Detail == "" {
		p.Detail = strings.TrimSpace(string(b[:min(len(b), 200)]))
	}
	if token := c.token.Reveal(); token != "" {
		p.Detail = strings.ReplaceAll(p.Detail, token, "*****")
	}
	p.Status = resp.StatusCode
	switch resp.StatusCode {
	case http.StatusUnauthorized:
		return &AnswerError{
			c.base,
			"nobody is signed in there by this token",
			"keyrounds login, or KEYROUNDS_TOKEN; keyrounds access tokens add makes one",
		}
	case http.StatusMisdirectedRequest:
		return &AnswerError{c.base, "it does not answer to this name", "external_url or hosts: of its configuration names it"}
	case http.StatusTooManyRequests:
		after, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
		return &AnswerError{c.base, "it is asked too often", fmt.Sprintf("try again in %d s", max(1, after))}
	}
	if p.Detail == "" || resp.StatusCode/100 == 3 {
		p.Detail = fmt.Sprintf("%s answers HTTP %d", c.base, resp.StatusCode)
	}
	return &p
}
