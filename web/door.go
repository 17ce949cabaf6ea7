package web

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/crypto/bcrypt"
	"golang.org/x/sync/semaphore"
	"golang.org/x/sync/singleflight"

	"github.com/keyrounds/keyrounds/access"
)

// Door is what every request passes before the sign-in and the pages. It knows whom a request came from, lets what carries a
// token or a signature of its own past the sign-in, slows those who guess passwords, and, where nobody signs in, answers
// only to names that are ours, so that no web page reads it through a browser under a name that it made up (DNS rebinding).
type Door struct {
	Trusted func() []netip.Prefix // proxies, whose X-Forwarded-For is believed
	// Asked is what the file of the web asks of people. It is asked at each request: users come and go while the daemon runs. An
	// error lets nobody in.
	Asked  func() (Asked, error)
	People func() bool            // the pages ask who it is, of all but the file's users; nil: they do not
	Ours   func(host string) bool // of a Host header, without its port; asked where nobody signs in
	Log    *slog.Logger
	Now    func() time.Time

	failed  failures
	lanes   lanes
	looking singleflight.Group
	hashing *semaphore.Weighted
	known   sync.Map // the hashes of names and passwords that were right lately, with when
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
	d.hashing = semaphore.NewWeighted(int64(runtime.GOMAXPROCS(0)))
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

// Asked is what a file of the web (exporter-toolkit's) asks of people.
type Asked struct {
	Users       map[string]string // name to bcrypt hash
	Certificate bool              // a client certificate; it counts on the connections whose handshake has verified one, and on no other
}

// Before puts the door before the toolkit, which sets the headers of its file and leads to the pages. What comes to the pages says
// in its context by what it came in: access.WithBasic where a password was right, access.WithNobodyAsked where nobody has to sign
// in. Without one of those, a verified client certificate, a token or a session the pages let nobody do anything.
func (d *Door) Before(toolkit, pages http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.RemoteAddr = net.JoinHostPort(d.client(r), "0")
		if _, token := access.Bearer(r); token || hasOwnProof(r) {
			pages.ServeHTTP(w, r)
			return
		}
		asked, err := d.Asked()
		user, password, basic := r.BasicAuth()
		people := d.People != nil && d.People()
		switch {
		case err != nil:
			refuse(w, http.StatusServiceUnavailable, "nobody is let in: "+err.Error())
		case basic && len(asked.Users) > 0:
			d.basic(toolkit, asked.Users, user, password, w, r)
		case people && len(asked.Users) > 0: // the toolkit would ask for a password
			pages.ServeHTTP(w, r)
		case people, len(asked.Users) > 0, certified(r):
			toolkit.ServeHTTP(w, r)
		case asked.Certificate:
			refuse(w, http.StatusUnauthorized, "a client certificate is needed, and this connection has none; "+
				"a daemon that began without TLS has to be restarted for it")
		case r.Host != "" && !d.Ours(hostOf(r.Host)): // no browser leaves it out
			refuse(
				w,
				http.StatusMisdirectedRequest,
				"without sign-in keyrounds answers to loopback addresses, to external_url's host and to hosts: only",
			)
		default:
			toolkit.ServeHTTP(w, r.WithContext(access.WithNobodyAsked(r.Context())))
		}
	})
}

func certified(r *http.Request) bool { return r.TLS != nil && len(r.TLS.VerifiedChains) > 0 }

// hasOwnProof: what is pushed and reported carries a token or a signature of its own, so that no sender needs a password that
// reads everything.
func hasOwnProof(r *http.Request) bool {
	if rule, known := may[r.Method+" "+r.URL.Path]; known {
		return rule.deed == ownProof
	}
	return r.Method == http.MethodPost && strings.HasPrefix(r.URL.Path, "/api/v1/leaks/")
}

// knownFor is how long a right password passes by the pace of those who guess.
const knownFor = 24 * time.Hour

// basic looks at a password before the toolkit does, so that only right ones come that far: it looks at one at a time.
func (d *Door) basic(next http.Handler, users map[string]string, user, password string, w http.ResponseWriter, r *http.Request) {
	hash, exists := users[user]
	key := sha256.Sum256([]byte(user + "\x00" + hash + "\x00" + password))
	at, known := d.known.Load(key)
	if !known || !exists || d.Now().Sub(at.(time.Time)) >= knownFor {
		d.known.Delete(key)
		// The same password many times at once, as a page's requests bring it, is looked at once.
		_, err, _ := d.looking.Do(string(key[:]), func() (any, error) {
			r := r.WithContext(context.WithoutCancel(r.Context())) // the first may hang up, the others wait
			return nil, d.try(r, user, func() bool { return exists }, wrongPassword, func() error {
				return d.compare(r.Context(), hash, password)
			})
		})
		switch {
		case errors.Is(err, access.ErrRefused):
			w.Header().Set("WWW-Authenticate", `Basic realm="keyrounds"`)
			refuse(w, http.StatusUnauthorized, "name or password is wrong")
			return
		case err != nil:
			tooMany(w)
			return
		}
		d.remember(key, d.Now())
	}
	next.ServeHTTP(w, r.WithContext(access.WithBasic(r.Context(), user)))
}

// decoy is what a name that nobody has is compared with, so that it takes as long.
const decoy = "$2a$10$C6UzMDM.H6dfI/f/IKcEeO7ZlPWKdV8yO7W.fEkNHMnvIbRFOhZPu"

// compare makes as many bcrypt hashes at once as there are processors, of all addresses together.
func (d *Door) compare(ctx context.Context, hash, password string) error {
	ctx, cancel := context.WithTimeout(ctx, laneWait)
	defer cancel()
	if d.hashing.Acquire(ctx, 1) != nil {
		return access.ErrBusy
	}
	defer d.hashing.Release(1)
	exists := hash != ""
	if !exists {
		hash = decoy
	}
	if bcrypt.CompareHashAndPassword([]byte(hash), []byte(password)) != nil || !exists {
		return access.ErrRefused
	}
	return nil
}

// remember keeps a small number: who signs in with other names again and again is let in all the same.
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
