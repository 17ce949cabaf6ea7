package api

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/keyrounds/keyrounds/access"
	"github.com/keyrounds/keyrounds/idempotency"
)

const onceHeader = "Idempotency-Key"

// shownOnce are the paths whose requests or answers have what is kept nowhere.
var shownOnce = []string{"/v1/people", "/v1/tokens", "/v1/first-run-token", "/v1/scans"}

// onceParam is how the document has the key of a request.
func onceParam() *huma.Param {
	least, most := 1, 200
	return &huma.Param{
		Name: onceHeader, In: "header", Schema: &huma.Schema{Type: huma.TypeString, MinLength: &least, MaxLength: &most},
		Description: "What you call this request. Sent again within a day, it is not done again, and answered as before.",
	}
}

// once does a request that names itself once: the same again is answered as before. What failed may be sent again.
func (s *server) once(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key, who := r.Header.Get(onceHeader), asking(r.Context())
		if _, named := access.From(r.Context()); !named || key == "" || r.Method != http.MethodPost || !who.May(access.Respond) {
			next.ServeHTTP(w, r)
			return
		}
		if slices.ContainsFunc(shownOnce, func(path string) bool { return strings.HasPrefix(r.URL.Path, prefix+path) }) {
			write(
				w,
				wrongly(
					Wrong{"header." + onceHeader, "What is sent or shown here is kept nowhere: send it without " + onceHeader + "."},
				),
			)
			return
		}
		if len(key) > 200 || strings.ContainsFunc(key, func(c rune) bool { return c <= ' ' || c > '~' }) {
			write(w, wrongly(Wrong{"header." + onceHeader, onceHeader + " may be 1 to 200 characters of ASCII, without blanks."}))
			return
		}
		body, err := io.ReadAll(io.LimitReader(r.Body, maxImport+1))
		defer clear(body)
		if err != nil {
			write(w, problem(http.StatusBadRequest, "The body did not come whole."))
			return
		}
		r.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body), r.Body))
		s.answerOnce(w, r, next, idempotency.Request{
			Who: who.Name, Key: key, Content: append([]byte(r.URL.Path+"?"+r.URL.RawQuery+"\n"), body...),
		})
	})
}

func (s *server) answerOnce(w http.ResponseWriter, r *http.Request, next http.Handler, request idempotency.Request) {
	defer clear(request.Content)
	before, err := s.Once.Begin(r.Context(), request, s.Now())
	switch {
	case errors.Is(err, idempotency.ErrOther):
		write(w, wrongly(Wrong{"header." + onceHeader, "This " + onceHeader + " came with another request before: nothing was done."}))
		return
	case errors.Is(err, idempotency.ErrUnderWay):
		w.Header().Set("Retry-After", "5")
		write(w, problem(http.StatusConflict, "The request of this "+onceHeader+" is still being answered: ask again in a moment."))
		return
	case err != nil:
		write(w, s.problemOf(r.Context(), "idempotency", err))
		return
	case before != nil:
		w.Header().Set("Idempotency-Replayed", "true")
		replay(w, *before)
		return
	}
	kept, done := &keeper{header: http.Header{}, status: http.StatusOK}, false
	// Whether it was done has to be kept, also where whoever asked is gone.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), 30*time.Second)
	defer cancel()
	defer func() {
		if !done {
			s.warn(s.Once.Abandon(ctx, request))
		}
	}()
	next.ServeHTTP(kept, r)
	a := kept.answer()
	if done = a.Status < 300; done {
		s.warn(s.Once.Finish(ctx, request, a))
	}
	for name, values := range kept.header {
		w.Header()[name] = values
	}
	w.WriteHeader(a.Status)
	_, _ = w.Write(a.Body)
}

func (s *server) warn(err error) {
	if err != nil {
		s.Log.Warn("an answer was not kept for its "+onceHeader, "error", err)
	}
}

func replay(w http.ResponseWriter, a idempotency.Answer) {
	for name, value := range a.Headers {
		w.Header().Set(name, value)
	}
	w.WriteHeader(a.Status)
	_, _ = w.Write(a.Body)
}

// keeper keeps an answer instead of sending it. Deeds have short ones.
type keeper struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (k *keeper) Header() http.Header         { return k.header }
func (k *keeper) WriteHeader(status int)      { k.status = status }
func (k *keeper) Write(b []byte) (int, error) { return k.body.Write(b) }

func (k *keeper) answer() idempotency.Answer {
	a := idempotency.Answer{Status: k.status, Headers: map[string]string{}, Body: k.body.Bytes()}
	for _, name := range []string{"Content-Type", "ETag", "Location"} {
		if value := k.header.Get(name); value != "" {
			a.Headers[name] = value
		}
	}
	return a
}
