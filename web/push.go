package web

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/keyrounds/keyrounds/secret"
	"github.com/keyrounds/keyrounds/usage"
	"github.com/keyrounds/keyrounds/usage/feed"
)

// PushFeed is a feed of type push, with the function that reads its token. Token is called at each push, of every
// feed; a feed whose token cannot be read takes none.
type PushFeed struct {
	feed.Feed
	Token func(context.Context) (secret.Value, error)
}

// IngestFunc takes in a batch of a feed, in one transaction. Its errors are those of usage.Store.Ingest. It must be
// safe for concurrent use.
type IngestFunc func(ctx context.Context, f feed.Feed, b usage.Batch) (usage.Ingested, error)

// The bounds of a push.
const (
	maxPush        = 1 << 20  // bytes, as they come
	maxPushOpened  = 16 << 20 // after gzip or zstd
	maxPushRecords = 10_000
	pushTime       = 20 * time.Second
)

// A client that gives so many wrong tokens within a minute is refused for the rest of it.
const mostFailures = 10

type pushed struct {
	Feed      string       `json:"feed"`
	Batch     string       `json:"batch"`
	Duplicate bool         `json:"duplicate"` // it was taken in before, and was not again
	Records   int64        `json:"records"`
	Results   usage.Counts `json:"results"`
	Bad       []feed.Bad   `json:"bad,omitempty"` // some of those that could not be read
}

// push takes in a batch of records: POST /api/v1/usage, one JSON value a line (or as the feed's format has
// it), plain, gzip or zstd; Authorization: Bearer, or X-Feed-Token where that header is taken. The batch is
// named by Idempotency-Key, or else by its content; the same one changes nothing the second time.
func (s *site) push(w http.ResponseWriter, r *http.Request) {
	host, ok := s.failures.sender(w, r, s.Now())
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), pushTime)
	defer cancel()
	f, ok := s.feedOf(ctx, r)
	if !ok {
		s.failures.add(host, s.Now())
		w.Header().Set("WWW-Authenticate", `Bearer realm="keyrounds feeds"`)
		refuse(w, http.StatusUnauthorized, "the token of a push feed is wanted: Authorization: Bearer TOKEN, or X-Feed-Token")
		return
	}
	key := r.Header.Get("Idempotency-Key")
	if len(key) > 200 || strings.ContainsFunc(key, func(c rune) bool { return c < ' ' || c > '~' }) {
		refuse(w, http.StatusBadRequest, "Idempotency-Key: at most 200 printable ASCII characters")
		return
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxPush))
	if err != nil {
		s.refusePush(w, err)
		return
	}
	answer := pushed{Feed: f.Name, Batch: key}
	news, err := s.Ingest(ctx, f.Feed, usage.Push{ID: key, Body: raw, MaxBytes: maxPushOpened, MaxRecords: maxPushRecords})
	var before *usage.TakenBeforeError
	switch {
	case errors.As(err, &before):
		answer.Duplicate, answer.Results, answer.Batch = true, before.Counts, before.ID
	case err != nil:
		s.refusePush(w, err)
		return
	default:
		answer.Results, answer.Bad, answer.Batch = news.Counts, news.Samples, news.Batch
	}
	answer.Records = answer.Results.Records()
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer)
}

func (s *site) refusePush(w http.ResponseWriter, err error) {
	var large *http.MaxBytesError
	var network net.Error
	var unread *usage.UnreadError
	switch {
	case errors.As(err, &large), errors.Is(err, usage.ErrPushTooLarge):
		refuse(w, http.StatusRequestEntityTooLarge, "a push has at most 1 MiB, 16 MiB opened, and 10,000 records: send several")
	case errors.As(err, &unread):
		refuse(w, http.StatusUnprocessableEntity, unread.Error()+": nothing of it was taken in")
	case errors.Is(err, usage.ErrKeyReused):
		refuse(w, http.StatusUnprocessableEntity, "this Idempotency-Key came with another content before: nothing of this one was taken in")
	case errors.Is(err, usage.ErrPushUnreadable):
		refuse(w, http.StatusBadRequest, "the body is neither plain, nor gzip, nor zstd")
	case errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &network) && network.Timeout(), errors.Is(err, io.ErrUnexpectedEOF):
		refuse(w, http.StatusRequestTimeout, "the body did not come in time")
	default:
		s.Log.Error("a push could not be taken in", "error", err)
		w.Header().Set("Retry-After", "10")
		refuse(w, http.StatusServiceUnavailable, "it could not be stored: send it again")
	}
}

func refuse(w http.ResponseWriter, status int, why string) {
	w.Header().Set("Content-Type", "application/problem+json") // RFC 9457
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"title": http.StatusText(status), "status": status, "detail": why})
}

// feedOf returns the feed whose token the request carries; found is false if there is none. It compares the tokens of all
// feeds, each in constant time, also after one fits.
func (s *site) feedOf(ctx context.Context, r *http.Request) (match PushFeed, found bool) {
	given := r.Header.Get("X-Feed-Token")
	if given == "" {
		given, _ = strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	}
	if given == "" || s.PushFeeds == nil {
		return match, false
	}
	hash := sha256.Sum256([]byte(given))
	for _, f := range s.PushFeeds() {
		token, err := f.Token(ctx)
		if err != nil {
			s.Log.Warn("the token of a feed cannot be read", "feed", f.Name, "error", err)
			continue
		}
		want := sha256.Sum256([]byte(token.Reveal()))
		if !token.IsZero() && subtle.ConstantTimeCompare(hash[:], want[:]) == 1 {
			match, found = f, true
		}
		token.Wipe()
	}
	return match, found
}

// failures counts wrong tokens by address and minute.
type failures struct {
	mu     sync.Mutex
	minute int64
	by     map[string]int
}

func (f *failures) at(now time.Time) {
	if m := now.Unix() / 60; f.minute != m || f.by == nil || len(f.by) > 10_000 {
		f.minute, f.by = m, map[string]int{}
	}
}

// sender returns the address of a request. ok is false if that address failed too often: the request was answered with 429.
func (f *failures) sender(w http.ResponseWriter, r *http.Request, now time.Time) (host string, ok bool) {
	host, _, _ = net.SplitHostPort(r.RemoteAddr)
	if !f.tooMany(host, now) {
		return host, true
	}
	w.Header().Set("Retry-After", "60")
	refuse(w, http.StatusTooManyRequests, "too many wrong tokens or signatures from this address: wait a minute")
	return host, false
}

func (f *failures) tooMany(host string, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.at(now)
	return f.by[host] >= mostFailures
}

func (f *failures) add(host string, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.at(now)
	f.by[host]++
}
