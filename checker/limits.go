package checker

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const maxPause = time.Hour

// pauseAsked returns how long an answer asks us to stay away, from 0 to one hour: by Retry-After (RFC
// 9110 §10.2.3, seconds or a date) of anything but a success, or by rate limit headers that say that
// nothing is left.
func pauseAsked(r Response, now time.Time) time.Duration {
	if r.Status < 200 || r.Status >= 300 {
		if d := retryAfter(r.Header, now); d > 0 {
			return d
		}
	}
	if prefix := usedUp(r.Header); prefix != "" {
		return untilReset(r.Header.Get(prefix+"Reset"), now)
	}
	return 0
}

// usedUp is the prefix of the rate limit headers that say that nothing is left, "" where none do.
func usedUp(h http.Header) string {
	for _, prefix := range []string{"X-RateLimit-", "X-Rate-Limit-", "RateLimit-"} {
		if left, err := strconv.Atoi(h.Get(prefix + "Remaining")); err == nil && left <= 0 {
			return prefix
		}
	}
	return ""
}

func retryAfter(h http.Header, now time.Time) time.Duration {
	v := h.Get("Retry-After")
	var d time.Duration
	if n, err := strconv.ParseInt(v, 10, 64); err == nil {
		d = time.Duration(min(max(n, 0), 3600)) * time.Second
	} else if t, err := http.ParseTime(v); err == nil {
		d = t.Sub(now)
	}
	return min(max(d, 0), maxPause)
}

// untilReset reads a Reset header: seconds from now, or since 1970 in seconds or milliseconds. Without
// one a limit is by the second.
func untilReset(text string, now time.Time) time.Duration {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || n != n {
		return time.Second
	}
	d := time.Duration(min(max(n, 0), 3600)) * time.Second
	switch {
	case n > 1e11:
		d = time.UnixMilli(int64(min(n, 1e15))).Sub(now)
	case n > 1e9:
		d = time.Unix(int64(n), 0).Sub(now)
	}
	return min(max(d, time.Second), maxPause)
}

// pause is how long a provider asked a batch to stay away.
type pause struct {
	mu    sync.Mutex
	until time.Time
}

// LongestPause is the longest that CheckAll waits where a provider asks for a pause (Reading.RetryAfter). If it asks
// for more, CheckAll begins no further check.
const LongestPause = 3 * time.Second

func (h *pause) ask(r *Result) {
	if r == nil || r.RetryAfter == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if until := time.Now().Add(r.RetryAfter); until.After(h.until) {
		h.until = until
	}
}

// left is how long it still is.
func (h *pause) left() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return max(0, time.Until(h.until))
}

// over waits until the pause is. false: it is too long, or ctx ended.
func (h *pause) over(ctx context.Context) bool {
	left := h.left()
	if left <= 0 {
		return true
	}
	if left > LongestPause {
		return false
	}
	select {
	case <-time.After(left):
		return true
	case <-ctx.Done():
		return false
	}
}

// turn hands out the turns of one batch: by concurrency, then rate, then what the provider asked for.
type turn struct {
	slots chan struct{}
	limit *rate.Limiter
	hold  *pause
}

// take waits for a turn, and says for what how long. false: ctx ended, or the pause is too long; whoever
// began has to give the slot back.
func (t *turn) take(ctx context.Context) (w Waits, ok bool) {
	began := time.Now()
	lap := func(d *time.Duration) {
		now := time.Now()
		*d, began = now.Sub(began), now
	}
	select {
	case t.slots <- struct{}{}:
	case <-ctx.Done():
	}
	lap(&w.Concurrency)
	if t.limit.Wait(ctx) != nil {
		return w, false
	}
	lap(&w.Rate)
	ok = t.hold.over(ctx)
	lap(&w.Pause)
	return w, ok
}
