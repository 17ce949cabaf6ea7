package web

import (
	"errors"
	"net/http"
	"time"

	"github.com/keyrounds/keyrounds/access"
	"github.com/keyrounds/keyrounds/secret"
)

// errSlowed says that an address has guessed too often, and that its turn did not come.
var errSlowed = errors.New("too many wrong passwords")

// try has somebody prove who he is by verify, which says access.ErrRefused if he does not. What is right goes through; what is wrong
// is counted and logged; who was wrong too often at an address has one try a second under each name that exists, and one under all
// others together.
//
// A try counts as wrong until it proves right, so that many at once are no way around that. exists is asked only of those who were
// wrong too often.
func (d *Door) try(r *http.Request, user string, exists func() bool, reason string, verify func() error) error {
	host, now := hostOf(r.RemoteAddr), d.Now()
	n := d.failed.add(host, now)
	if n > mostFailures {
		lane := ""
		if exists() {
			lane = user
		}
		if !d.lanes.pass(r.Context(), who(host), lane, now) {
			d.refused.WithLabelValues(slowedDown).Inc()
			return errSlowed
		}
	}
	err := verify()
	if !errors.Is(err, access.ErrRefused) {
		d.failed.takeBack(host, now)
		return err
	}
	d.refused.WithLabelValues(reason).Inc()
	if n <= mostFailures {
		if !exists() {
			user = nobodys // people type passwords where names go
		}
		d.Log.Warn("a sign-in was refused",
			"address", host, "user", secret.Scrubber{}.Clean(user, 64), "why", reason, "last", n == mostFailures)
	}
	return err
}

// nobodys stands for a name that nobody has.
const nobodys = "(a name that nobody has)"

// takeBack counts one less, of the minute that now is in.
func (f *failures) takeBack(host string, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.minute == now.Unix()/60 && f.by[who(host)] > 0 {
		f.by[who(host)]--
	}
}

// failedToken counts and logs a token that is none, and returns how many there were from this address in this minute.
func (d *Door) failedToken(r *http.Request) int {
	host := hostOf(r.RemoteAddr)
	d.refused.WithLabelValues(wrongToken).Inc()
	n := d.failed.add(host, d.Now())
	if n <= mostFailures {
		d.Log.Warn("a sign-in was refused", "address", host, "why", wrongToken, "last", n == mostFailures)
	}
	return n
}
