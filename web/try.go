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
// is counted and logged; an address that was wrong too often has one try a second, together with all such addresses.
//
// A try counts as wrong until it proves right, so that many at once are no way around that.
func (d *Door) try(r *http.Request, user, reason string, verify func() error) error {
	host, now := hostOf(r.RemoteAddr), d.Now()
	n := d.failed.add(host, now)
	if n > mostFailures && !d.turn(r.Context()) {
		d.refused.WithLabelValues(slowedDown).Inc()
		return errSlowed
	}
	err := verify()
	if !errors.Is(err, access.ErrRefused) {
		d.failed.takeBack(host, now)
		return err
	}
	d.refused.WithLabelValues(reason).Inc()
	if n <= mostFailures {
		d.Log.Warn("a sign-in was refused",
			"address", host, "user", secret.Scrubber{}.Clean(user, 64), "why", reason, "last", n == mostFailures)
	}
	return err
}

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

// asksPages: an API token, and all but the passwords of web_config where people sign in, is for the pages to look at.
func (d *Door) asksPages(r *http.Request) bool {
	if _, token := access.Bearer(r); token {
		return true
	}
	_, _, basic := r.BasicAuth()
	return d.People != nil && d.People() && !(basic && d.SignIn)
}
