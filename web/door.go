package web

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/keyrounds/keyrounds/secret"
)

// Door is what every request passes before the sign-in and the pages. It knows whom a request came from, lets what carries a
// token or a signature of its own past the sign-in, slows those who guess passwords, and, where nobody signs in, answers
// only to names that are ours, so that no web page reads it through a browser under a name that it made up (DNS rebinding).
type Door struct {
	Trusted func() []netip.Prefix  // proxies, whose X-Forwarded-For is believed
	SignIn  bool                   // somebody asks for a password or a certificate
	People  func() bool            // the pages ask who it is, of all but web_config's users; nil: they do not
	Ours    func(host string) bool // of a Host header, without its port; asked where nobody signs in
	Log     *slog.Logger
	Now     func() time.Time

	failed  failures
	slow    chan struct{} // one at a time
	known   sync.Map      // the hashes of Authorization headers that were let in lately, with when
	refused *prometheus.CounterVec
}

// The reasons of keyrounds_sign_ins_refused_total.
const (
	wrongPassword = "wrong_password"
	wrongToken    = "wrong_token"
	refusedIssuer = "issuer"
	slowedDown    = "slowed_down"
)

// Open makes a door ready, and shows by reg how often sign-ins were refused.
func (d *Door) Open(reg prometheus.Registerer) *Door {
	d.slow = make(chan struct{}, 1)
	d.refused = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "keyrounds_sign_ins_refused_total",
		Help: "Sign-ins that were refused, by reason: wrong_password (a user that is not there, too), wrong_token, " +
			"issuer (what an OpenID provider answered), " +
			"slowed_down (the address has guessed too often, and its turn did not come).",
	}, []string{"reason"})
	for _, reason := range []string{wrongPassword, wrongToken, refusedIssuer, slowedDown} {
		d.refused.WithLabelValues(reason)
	}
	reg.MustRegister(d.refused)
	return d
}

// Pages marks the requests that came as far as the pages: they are signed in, where anybody must be.
func (d *Door) Pages(pages http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if in, ok := r.Context().Value(passed{}).(*bool); ok {
			*in = true
		}
		pages.ServeHTTP(w, r)
	})
}

type passed struct{}

// Before puts the door before the sign-in, which leads to the pages.
func (d *Door) Before(signIn, pages http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.RemoteAddr = net.JoinHostPort(d.client(r), "0")
		switch {
		case hasOwnProof(r), d.asksPages(r):
			pages.ServeHTTP(w, r)
		case d.SignIn:
			d.signIn(signIn, w, r)
		case r.Host != "" && !d.Ours(hostOf(r.Host)): // no browser leaves it out
			refuse(
				w,
				http.StatusMisdirectedRequest,
				"without sign-in keyrounds answers to loopback addresses, to external_url's host and to hosts: only",
			)
		default:
			pages.ServeHTTP(w, r)
		}
	})
}

// hasOwnProof: what is pushed and reported carries a token or a signature of its own, so that no sender needs a password that
// reads everything.
func hasOwnProof(r *http.Request) bool {
	return r.Method == http.MethodPost && (r.URL.Path == "/api/v1/usage" || strings.HasPrefix(r.URL.Path, "/api/v1/leaks/"))
}

// The times of guessing.
const (
	knownFor  = 10 * time.Minute
	slowEvery = time.Second // an address that has guessed too often: one sign-in, all such addresses together
	slowWait  = 5 * time.Second
)

func (d *Door) signIn(next http.Handler, w http.ResponseWriter, r *http.Request) {
	given := r.Header.Get("Authorization")
	if given == "" {
		next.ServeHTTP(w, r)
		return
	}
	key, host, now := sha256.Sum256([]byte(given)), hostOf(r.RemoteAddr), d.Now()
	before, known := d.known.Load(key)
	known = known && now.Sub(before.(time.Time)) < knownFor
	if !known && d.failed.tooMany(host, now) && !d.turn(r.Context()) {
		d.refused.WithLabelValues(slowedDown).Inc()
		w.Header().Set("Retry-After", "60")
		refuse(w, http.StatusTooManyRequests, "too many wrong passwords from this address: wait a minute")
		return
	}
	var in bool
	next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), passed{}, &in)))
	if in {
		d.remember(key, now)
		return
	}
	d.known.Delete(key)
	d.refused.WithLabelValues(wrongPassword).Inc()
	if n := d.failed.add(host, now); n <= mostFailures {
		user, _, _ := r.BasicAuth()
		d.Log.Warn("a sign-in was refused", "address", host, "user", secret.Scrubber{}.Clean(user, 64), "last", n == mostFailures)
	}
}

// turn waits for the one place of those who have guessed too often.
func (d *Door) turn(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, slowWait)
	defer cancel()
	select {
	case d.slow <- struct{}{}:
		time.AfterFunc(slowEvery, func() { <-d.slow })
		return true
	case <-ctx.Done():
		return false
	}
}

// remember keeps a small number: who signs in with other headers again and again is let in all the same.
func (d *Door) remember(key [sha256.Size]byte, now time.Time) {
	n := 0
	d.known.Range(func(k, at any) bool {
		if n++; n > 1000 || now.Sub(at.(time.Time)) >= knownFor {
			d.known.Delete(k)
		}
		return true
	})
	d.known.Store(key, now)
}

// client is the address that a request came from: the last one of X-Forwarded-For that is no trusted proxy, where a trusted proxy
// brings it; else who is connected.
func (d *Door) client(r *http.Request) string {
	last := hostOf(r.RemoteAddr)
	chain := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(chain) - 1; i >= 0 && d.trusts(last); i-- {
		addr, err := netip.ParseAddr(strings.Trim(hostOf(strings.TrimSpace(chain[i])), "[]"))
		if err != nil {
			break
		}
		last = addr.Unmap().String()
	}
	return last
}

func (d *Door) trusts(host string) bool {
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	for _, p := range d.Trusted() {
		if p.Contains(addr.Unmap()) {
			return true
		}
	}
	return false
}

// hostOf takes the port off, where there is one.
func hostOf(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		return host
	}
	return hostport
}
