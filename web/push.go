package web

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
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
	ctx, cancel := context.WithTimeout(r.Context(), pushTime)
	defer cancel()
	f, ok := s.feedOf(ctx, r)
	if !ok {
		if s.failures.add(hostOf(r.RemoteAddr), s.Now()) > mostFailures {
			tooMany(w)
			return
		}
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
