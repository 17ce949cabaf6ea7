package web

import (
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// An address that fails more often than this within a minute is told to wait, and what it does is not written down any more. What
// is right goes through all the same: it is looked at first, so that no stranger shuts the door for those behind the same address.
const mostFailures = 10

// failures counts wrong tokens, signatures and passwords by address and minute.
type failures struct {
	mu     sync.Mutex
	minute int64
	by     map[string]int
}

func (f *failures) at(now time.Time) {
	if m := now.Unix() / 60; f.minute != m || f.by == nil {
		f.minute, f.by = m, map[string]int{}
	}
}

// maxCounted addresses. Beyond them one that has not failed too often yet is forgotten, so that nobody is forgotten by a crowd of others.
const maxCounted = 10_000

func (f *failures) room() {
	if len(f.by) < maxCounted {
		return
	}
	last := ""
	for address, n := range f.by {
		if last = address; n < mostFailures {
			break
		}
	}
	delete(f.by, last)
}

// who is what is counted of an address: of IPv6 the network that one customer has, who could take another address each time.
func who(host string) string {
	if a, err := netip.ParseAddr(host); err == nil && a.Is6() && !a.Is4In6() {
		p, _ := a.WithZone("").Prefix(64)
		return p.String()
	}
	return host
}

// tooMany reports whether an address has failed as often as it may.
func (f *failures) tooMany(host string, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.at(now)
	return f.by[who(host)] >= mostFailures
}

// add counts one more, and returns how many there are.
func (f *failures) add(host string, now time.Time) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.at(now)
	if f.by[who(host)] == 0 {
		f.room()
	}
	f.by[who(host)]++
	return f.by[who(host)]
}

// tooMany answers who has failed too often.
func tooMany(w http.ResponseWriter) {
	w.Header().Set("Retry-After", "60")
	refuse(w, http.StatusTooManyRequests, "too many wrong tokens or signatures from this address: wait a minute")
}
