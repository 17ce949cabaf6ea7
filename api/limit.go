package api

import (
	"fmt"
	"math"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/keyrounds/keyrounds/access"
)

const (
	mostPerMinute = 600    // requests of one who asks, where Options do not say
	mostLimited   = 10_000 // of whom it is known how much they asked
	idle          = 10 * time.Minute
)

// limits bounds how much each who asks, asks: so many at once, refilled evenly within a minute.
type limits struct {
	perMinute int
	mu        sync.Mutex
	by        map[string]*limited
}

type limited struct {
	*rate.Limiter
	last time.Time
}

func newLimits(perMinute int) *limits {
	if perMinute <= 0 {
		perMinute = mostPerMinute
	}
	return &limits{perMinute: perMinute, by: map[string]*limited{}}
}

func (l *limits) of(name string, now time.Time) *limited {
	l.mu.Lock()
	defer l.mu.Unlock()
	one, ok := l.by[name]
	if !ok {
		if len(l.by) >= mostLimited {
			l.forget(now)
		}
		one = &limited{Limiter: rate.NewLimiter(rate.Limit(float64(l.perMinute)/60), l.perMinute)}
		l.by[name] = one
	}
	one.last = now
	return one
}

// forget drops those who have not asked lately, whose budget is full again, and everybody's where that frees nothing.
func (l *limits) forget(now time.Time) {
	for name, one := range l.by {
		if now.Sub(one.last) > idle {
			delete(l.by, name)
		}
	}
	if len(l.by) >= mostLimited {
		clear(l.by)
	}
}

// limit, for all but who is on this machine, says in headers (draft-ietf-httpapi-ratelimit-headers) how much may be asked yet, and
// refuses what is more.
func (s *server) limit(next http.Handler) http.Handler {
	all := newLimits(s.PerMinute)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if who, _ := access.From(r.Context()); who.Here { // he can take the whole machine's time anyway
			next.ServeHTTP(w, r)
			return
		}
		now := s.Now()
		one := all.of(limitedBy(r), now)
		ok := one.AllowN(now, 1)
		left := max(0, one.TokensAt(now))
		per := float64(all.perMinute) / 60
		h := w.Header()
		h.Set("RateLimit-Policy", fmt.Sprintf(`"default";q=%d;w=60`, all.perMinute))
		h.Set("RateLimit", fmt.Sprintf(`"default";r=%d;t=%.0f`, int(left), math.Ceil((float64(all.perMinute)-left)/per)))
		if !ok {
			h.Set("Retry-After", fmt.Sprintf("%.0f", max(1, math.Ceil((1-left)/per))))
			why := fmt.Sprintf("You ask more than %d times a minute; Retry-After says when to go on.", all.perMinute)
			write(w, problem(http.StatusTooManyRequests, why))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// limitedBy is whose budget a request is of: of who asks, or of the address where nobody is named.
func limitedBy(r *http.Request) string {
	if who, ok := access.From(r.Context()); ok {
		return who.Name
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	return "address " + host
}
