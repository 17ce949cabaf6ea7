package usage

import (
	"bytes"
	"crypto/sha256"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/usage/feed"
)

// Rules by which an event is told to be of one of our own checks; the first that fits decides:
//
//  1. It has the token's jti or hash: ours for certain.
//  2. Its user agent has the nonce of one of our checks. With another nonce it is another
//     installation's, and nobody of ours.
//  3. It comes from an address that our checks come from, with our user agent or none, within seconds
//     of a check.
//  4. All it has is a time, and that is within seconds of a check.
//
// By rules 3 and 4 a check accounts for no more events than it made requests: a job on the same
// machine that runs at the same minute is still seen. Where an event names another token than the
// check's, they never apply.

const (
	maxLogSkew      = time.Hour       // tolerated clock error of a log that names our token or nonce
	timeMatchWindow = 5 * time.Second // tolerated clock error of a log where the time is part of the proof
	// A check whose end nobody recorded lasts at most so long: its job's time, and the wait for others.
	maxUnfinished = 75 * time.Second
	// Such a check accounts for at most so many requests.
	maxUnfinishedRequests = 20
)

const ownProduct = "keyrounds/"

// nonceOf returns the nonce of one of our user agents, "" of others.
func nonceOf(userAgent string) string {
	if !strings.HasPrefix(userAgent, ownProduct) {
		return ""
	}
	_, nonce, ok := strings.Cut(userAgent, " check/")
	if !ok || len(nonce) < 16 {
		return ""
	}
	return nonce[:16]
}

// couldBeOwn reports whether an event has to be held against the ledger.
func couldBeOwn(e feed.Event) bool {
	return e.TokenID != "" || e.TokenHash != nil || e.UserAgent == "" || strings.HasPrefix(e.UserAgent, ownProduct)
}

// ledger is what our checks of some credentials left, for the events of one batch.
type ledger struct {
	lines   map[int64][]checker.Footprint // by credential
	taken   map[uuid.UUID]int             // by rules 3 and 4
	changed map[uuid.UUID]bool            // of taken
	egress  map[netip.Addr]bool           // addresses that the provider sees us from
}

// requests is how many of the requests that e counts can be of our own checks: the exchange of each, where it
// counts exchanges, or else the rest.
func (l *ledger) requests(e feed.Event, credentialID int64) (n int64) {
	for _, f := range l.lines[credentialID] {
		if f.At.After(e.At.Add(timeMatchWindow)) || lastOf(f).Before(e.From.Add(-timeMatchWindow)) {
			continue
		}
		switch {
		case e.Kind == feed.Exchange:
			n++
		case f.Done:
			n += int64(max(0, f.Requests-1))
		default:
			n += maxUnfinishedRequests
		}
	}
	return n
}

// ruleOf says by which rule e is ours, "" that it is not, and whether it shows for certain where our
// checks come from.
func (l *ledger) ruleOf(e feed.Event, credentialID int64) (rule Result, teaches bool) {
	lines := l.lines[credentialID]
	if len(lines) == 0 {
		return "", false
	}
	for _, f := range lines {
		if namesToken(e, f) && within(e.At, f, maxLogSkew) {
			return ResultOwnToken, false
		}
	}
	if nonce := nonceOf(e.UserAgent); nonce != "" {
		for _, f := range lines {
			if checker.Nonce(f.Check) == nonce && within(e.At, f, maxLogSkew) {
				return ResultOwnNonce, within(e.At, f, timeMatchWindow)
			}
		}
		return "", false
	}
	if e.UserAgent != "" && !strings.HasPrefix(e.UserAgent, ownProduct) {
		return "", false
	}
	switch timeOnly := e.UserAgent == "" && e.TokenID == "" && e.TokenHash == nil && !e.Address.IsValid(); {
	case timeOnly && l.account(e, lines, func(checker.Footprint) bool { return true }):
		return ResultOwnTime, false
	case e.Address.IsValid() && l.account(e, lines, func(f checker.Footprint) bool { return f.Egress == e.Address || l.egress[e.Address] }):
		return ResultOwnAddress, false
	}
	return "", false
}

// namesToken reports whether e names the very token of f.
func namesToken(e feed.Event, f checker.Footprint) bool {
	if e.TokenHash != nil && bytes.Equal(e.TokenHash, f.TokenHash) {
		return true
	}
	if e.TokenID == "" {
		return false
	}
	sum := sha256.Sum256([]byte(e.TokenID))
	return bytes.Equal(sum[:], f.JTIHash) || bytes.Equal(sum[:], f.TokenHash)
}

// namesAnotherToken reports whether e names a token that is certainly not that of f.
func namesAnotherToken(e feed.Event, f checker.Footprint) bool {
	otherHash := e.TokenHash != nil && f.TokenHash != nil && !bytes.Equal(e.TokenHash, f.TokenHash)
	return f.Done && (otherHash || e.TokenID != "" && f.JTIHash != nil && !namesToken(e, f))
}

func within(at time.Time, f checker.Footprint, slack time.Duration) bool {
	return !at.Before(f.At.Add(-slack)) && !at.After(lastOf(f).Add(slack))
}

// lastOf is when a check's last request ends, at the latest.
func lastOf(f checker.Footprint) time.Time {
	if !f.Done {
		return f.At.Add(maxUnfinished)
	}
	return f.At.Add(f.Took)
}

// account accounts e to the first check that fits and has requests left.
func (l *ledger) account(e feed.Event, lines []checker.Footprint, fits func(checker.Footprint) bool) bool {
	i := slices.IndexFunc(lines, func(f checker.Footprint) bool {
		most := f.Requests
		if !f.Done {
			most = maxUnfinishedRequests
		}
		return within(e.At, f, timeMatchWindow) && !namesAnotherToken(e, f) && fits(f) &&
			(e.Kind == feed.LastUsed || l.taken[f.Check] < most)
	})
	if i < 0 {
		return false
	}
	if e.Kind != feed.LastUsed { // the same last use is told again and again
		l.taken[lines[i].Check]++
		l.changed[lines[i].Check] = true
	}
	return true
}
