package access

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/keyrounds/keyrounds/secret"
)

// Rules of who a request is from; the first that applies decides:
//
//  1. Over the socket: the user of the operating system at its other end, and nothing else.
//  2. By a bearer token; one that is wrong is refused, whatever else the request brings.
//  3. By the cookie of a session.
//  4. By a user of web_config, whom the listener has let in; or a client certificate that it has verified.
//  5. Where nobody signs in: anybody, who may look.

// Who returns who a request is from. renewed is a cookie to answer with, where the session has got a new id. ErrNobody: nobody is
// signed in; ErrRefused: a token is none, or none any more; any other error: it cannot be known now.
//
// It changes nothing but when a session or token was used, and ids of sessions.
func (a *Access) Who(r *http.Request) (v Visit, renewed *http.Cookie, err error) {
	ctx := r.Context()
	if p, ok := ctx.Value(peerKey{}).(Peer); ok {
		v, err = p.visit()
		return v, nil, err
	}
	if token, ok := Bearer(r); ok {
		v, err = a.byToken(ctx, token)
		return v, nil, err
	}
	s := a.Settings()
	if id := cookieOf(r); id != "" {
		v, next, err := a.bySession(ctx, id)
		if err == nil {
			if next != "" {
				renewed = Cookie(r, next)
			}
			return v, renewed, nil
		}
		if !errors.Is(err, ErrNobody) {
			return Visit{}, nil, err
		}
	}
	if user, ok := ctx.Value(basicKey{}).(string); ok {
		return named(user, "web_config", s.Basic), nil, nil
	}
	if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		return named(r.TLS.VerifiedChains[0][0].Subject.CommonName, "certificate", nil), nil, nil
	}
	if ctx.Value(nobodyAskedKey{}) != nil {
		return Visit{Who: Who{Name: Anybody, Role: Viewer}, Shown: Anybody}, nil, nil
	}
	return Visit{}, nil, ErrNobody
}

// Anybody is the name of who asks where nobody signs in.
const Anybody = "anybody on this machine"

func named(name, by string, roles map[string]Role) Visit {
	name = secret.Scrubber{}.Clean(name, 100)
	role, ok := roles[name]
	if !ok {
		role = Viewer
	}
	return Visit{Who: Who{Name: fmt.Sprintf("user %s (%s)", name, by), Role: role}, Shown: name}
}

// Bearer is a token of keyrounds that a request brings (RFC 6750 §2.1); false: it brings none.
func Bearer(r *http.Request) (token string, ok bool) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	token = strings.TrimSpace(token)
	return token, strings.EqualFold(scheme, "Bearer") && strings.HasPrefix(token, tokenPrefix)
}

// Still reports whether who was named in a context may still be here: his token, session or person may have ended since. Where
// that cannot be known he may.
func (a *Access) Still(ctx context.Context) bool {
	v, ok := VisitOf(ctx)
	if !ok {
		return true
	}
	still := true
	var err error
	switch {
	case v.Token != 0:
		err = a.Pool.QueryRow(ctx, `
			SELECT revoked_at IS NULL AND (ends_at IS NULL OR ends_at > $2) AND p.disabled_at IS NULL
			FROM access_tokens t LEFT JOIN access_people p ON p.id = t.person_id WHERE t.id = $1`, v.Token, a.Now()).Scan(&still)
	case v.Session != 0:
		err = a.Pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM access_sessions WHERE id = $1 AND ends_at > $2)`, v.Session, a.Now()).
			Scan(&still)
	}
	return err != nil || still
}

type basicKey struct{}

// WithBasic says in a context which user of web_config the listener has let in.
func WithBasic(ctx context.Context, user string) context.Context {
	return context.WithValue(ctx, basicKey{}, user)
}

type nobodyAskedKey struct{}

// WithNobodyAsked says in a context that nobody has to sign in: everybody who came that far may look, and no more.
func WithNobodyAsked(ctx context.Context) context.Context {
	return context.WithValue(ctx, nobodyAskedKey{}, true)
}

type visitKey struct{}

// WithVisit says in a context who asks, for From and VisitOf.
func WithVisit(ctx context.Context, v Visit) context.Context {
	return context.WithValue(With(ctx, v.Who), visitKey{}, v)
}

// VisitOf is who asks, with by what he was known; false: nobody was named.
func VisitOf(ctx context.Context) (Visit, bool) {
	v, ok := ctx.Value(visitKey{}).(Visit)
	return v, ok
}

// The names of the cookie. The prefix has a browser take it over TLS only, from our host only, and for no other host
// (RFC 6265bis §4.1.3.2). Plain http on a loopback address cannot have that.
const (
	cookieName      = "__Host-keyrounds"
	plainCookieName = "keyrounds"
)

// Cookie is what a browser keeps of a session; an empty id takes it away.
func Cookie(r *http.Request, id string) *http.Cookie {
	return NewCookie(r, cookieName, plainCookieName, id)
}

// NewCookie is a cookie that no script and no other site sees, by its name over TLS and its name over plain http on a loopback
// address.
func NewCookie(r *http.Request, name, plain, value string) *http.Cookie {
	c := &http.Cookie{Name: name, Value: value, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode}
	if PlainLoopback(r) {
		c.Name, c.Secure = plain, false
	}
	if value == "" {
		c.MaxAge, c.Expires = -1, time.Unix(1, 0)
	}
	return c
}

// PlainLoopback reports whether a browser asks by plain http, for a loopback address.
func PlainLoopback(r *http.Request) bool {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return r.TLS == nil && (host == "localhost" || err == nil && addr.IsLoopback())
}

func cookieOf(r *http.Request) string {
	name := cookieName
	if PlainLoopback(r) {
		name = plainCookieName
	}
	c, err := r.Cookie(name)
	if err != nil {
		return ""
	}
	return c.Value
}

func hostOf(r *http.Request) string {
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		return host
	}
	return r.RemoteAddr
}
