package web

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
	"sync"
	"time"
)

// tokens are the hashes of the push feeds' tokens as they were read last. A token that fits none has them read anew, at most
// once a second: a stranger who guesses runs no `exec:` each time, and a token that was changed holds at once.
type tokens struct {
	mu   sync.Mutex // for as long as they are read
	read time.Time
	sums map[string][sha256.Size]byte // by feed
}

const (
	tokensFor   = 10 * time.Second
	tokensAgain = time.Second
)

// feedOf returns the feed whose token the request carries; found is false if there is none. It compares the tokens of all
// feeds, each in constant time, also after one fits.
func (s *site) feedOf(ctx context.Context, r *http.Request) (match PushFeed, found bool) {
	given := r.Header.Get("X-Feed-Token")
	if given == "" {
		given, _ = strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	}
	return s.feedOfToken(ctx, given)
}

// feedOfToken is feedOf by a token that was given in another way.
func (s *site) feedOfToken(ctx context.Context, given string) (match PushFeed, found bool) {
	if given == "" || s.PushFeeds == nil {
		return match, false
	}
	sum, feeds, t := sha256.Sum256([]byte(given)), s.PushFeeds(), &s.tokens
	t.mu.Lock()
	defer t.mu.Unlock()
	if s.Now().Sub(t.read) < tokensFor {
		match, found = t.find(sum, feeds)
	}
	if !found && s.Now().Sub(t.read) >= tokensAgain {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), pushTime) // for all who come: whoever asked may hang up
		s.readTokens(ctx, feeds)
		cancel()
		match, found = t.find(sum, feeds)
	}
	return match, found
}

func (t *tokens) find(sum [sha256.Size]byte, feeds []PushFeed) (match PushFeed, found bool) {
	for _, f := range feeds {
		want, known := t.sums[f.Name]
		if subtle.ConstantTimeCompare(sum[:], want[:]) == 1 && known {
			match, found = f, true
		}
	}
	return match, found
}

func (s *site) readTokens(ctx context.Context, feeds []PushFeed) {
	sums := map[string][sha256.Size]byte{}
	for _, f := range feeds {
		token, err := f.Token(ctx)
		if err != nil {
			s.Log.Warn("the token of a feed cannot be read", "feed", f.Name, "error", err)
			continue
		}
		if !token.IsZero() {
			sums[f.Name] = sha256.Sum256([]byte(token.Reveal()))
		}
		token.Wipe()
	}
	s.tokens.read, s.tokens.sums = s.Now(), sums
}
