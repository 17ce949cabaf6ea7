package web

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// The pace of those whose address has guessed too often.
const (
	laneEvery = time.Second     // one sign-in of a lane
	lanesRate = 10              // a second, of all lanes together: a hash is worth 65 ms of a core
	laneWait  = 5 * time.Second // at most; who would wait longer is told at once
)

// lanes slow those who guess passwords: each user's name has a lane of its own at each address, and the names that nobody has share
// one, so that who guesses at one name keeps nobody else at the same address (an office, a proxy) from signing in.
type lanes struct {
	mu     sync.Mutex
	minute int64
	by     map[[2]string]*rate.Limiter
	all    *rate.Limiter
}

// pass waits for a turn, and reports whether it came. user is "" where nobody has the name.
func (l *lanes) pass(ctx context.Context, address, user string, now time.Time) bool {
	lane, all := l.of([2]string{address, user}, now)
	ctx, cancel := context.WithTimeout(ctx, laneWait)
	defer cancel()
	return lane.Wait(ctx) == nil && all.Wait(ctx) == nil
}

// of forgets all lanes each minute, as their failures are.
func (l *lanes) of(key [2]string, now time.Time) (lane, all *rate.Limiter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if m := now.Unix() / 60; l.minute != m || l.by == nil {
		l.minute, l.by = m, map[[2]string]*rate.Limiter{}
	}
	if l.all == nil {
		l.all = rate.NewLimiter(lanesRate, 1)
	}
	if l.by[key] == nil {
		l.by[key] = rate.NewLimiter(rate.Every(laneEvery), 1)
	}
	return l.by[key], l.all
}
