package web

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/keyrounds/keyrounds/usage"
	"github.com/keyrounds/keyrounds/usage/feed"
)

// What senders of logs of their own protocols have in common (OTLP, Splunk's HTTP Event Collector). They differ from a push of
// /api/v1/usage in three ways: their records stand in envelopes, they drop what is refused, so that what can be read is
// taken in and the rest counted, and they choose the size of a batch by what their own servers take.

// The bounds of what such a sender sends at once.
const (
	maxSent        = 16 << 20 // bytes, as they come, and after gzip or zstd
	maxSentRecords = 100_000
)

// errEncoding is returned for a Content-Encoding that nobody reads here.
var errEncoding = errors.New("Content-Encoding: gzip, zstd or none")

// sent reads the body of a request, opened. Its errors are those that refusal knows.
func sent(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	switch strings.ToLower(r.Header.Get("Content-Encoding")) {
	case "", "identity", "gzip", "zstd":
	default:
		return nil, errEncoding
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxSent))
	if err != nil {
		return nil, err
	}
	in, err := feed.Decompress(bytes.NewReader(raw))
	if err != nil {
		return nil, usage.ErrPushUnreadable
	}
	content, err := io.ReadAll(io.LimitReader(in, maxSent+1))
	switch {
	case err != nil:
		return nil, usage.ErrPushUnreadable
	case len(content) > maxSent:
		return nil, usage.ErrPushTooLarge
	}
	return content, nil
}

// takeSent takes in what a sender sent, once.
func (s *site) takeSent(ctx context.Context, f feed.Feed, body []byte, carried bool) (usage.Counts, []feed.Bad, error) {
	got, err := s.Ingest(ctx, f, usage.Push{
		Body: body, MaxBytes: feed.MaxEnvelopes, MaxRecords: maxSentRecords, Carried: carried, Partly: true,
	})
	var before *usage.TakenBeforeError
	if errors.As(err, &before) {
		return before.Counts, nil, nil
	}
	return got.Counts, got.Samples, err
}

// refusal says with which status an error of sent, of an envelope or of takeSent is answered, and what a person reads. What is
// dropped by that is noted, since its sender does not send it again.
func (s *site) refusal(f feed.Feed, err error) (status int, why string) {
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large), errors.Is(err, usage.ErrPushTooLarge), errors.Is(err, feed.ErrEnvelopes):
		status = http.StatusRequestEntityTooLarge
		why = "at most 16 MiB, 64 MiB with what records share, and 100,000 records at once: send smaller batches"
	case errors.Is(err, errEncoding):
		status, why = http.StatusUnsupportedMediaType, err.Error()
	case errors.Is(err, usage.ErrPushUnreadable):
		status, why = http.StatusBadRequest, "the body is neither plain, nor gzip, nor zstd"
	case errors.Is(err, feed.ErrOTLP):
		status, why = http.StatusBadRequest, err.Error()
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, io.ErrUnexpectedEOF):
		return http.StatusRequestTimeout, "the body did not come in time"
	default:
		s.Log.Error("what was sent could not be taken in", "feed", f.Name, "error", err)
		return http.StatusServiceUnavailable, "it could not be stored: send it again"
	}
	s.Log.Warn("what was sent was refused", "feed", f.Name, "why", why)
	return status, why
}
