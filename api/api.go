// Package api answers with JSON over HTTP what there is, and does what a person may do, by name of who asks.
//
// It asks nobody to sign in: who asks is in the context of each request (package access). It decides nothing itself: deeds
// are those of package action, and what there is, is the stores'.
package api

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/klauspost/compress/gzhttp"

	"github.com/keyrounds/keyrounds/access"
	"github.com/keyrounds/keyrounds/action"
	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/config"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/decision"
	"github.com/keyrounds/keyrounds/exposure"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/idempotency"
	"github.com/keyrounds/keyrounds/leak"
	"github.com/keyrounds/keyrounds/notify"
	"github.com/keyrounds/keyrounds/registry"
	"github.com/keyrounds/keyrounds/report"
	"github.com/keyrounds/keyrounds/secret"
	"github.com/keyrounds/keyrounds/usage"
)

// Options are options of New. All are required but those that say otherwise; all stores are on the same database.
type Options struct {
	Access    *access.Access
	Actions   *action.Actions
	Audit     *audit.Store
	Registry  *registry.Store
	Usage     *usage.Store
	Leaks     *leak.Store
	Notifier  *notify.Notifier
	Reports   *report.Maker
	Decisions *decision.Store
	// Sources lists the sources that are searched for leaked secrets.
	Sources func(context.Context) ([]exposure.Source, error)
	// ProveDead tries a secret until it is proven dead (exposure.ProveDead).
	ProveDead func(ctx context.Context, r leak.SecretRow, given secret.Value, each func(leak.Attempt)) (*finding.Death, error)
	// Search looks in a tar archive for the secrets of the credentials that sees allows, and keeps nothing (exposure.Search).
	Search func(ctx context.Context, archive io.Reader, sees func(credential.Credential) bool) (exposure.Searched, error)
	// Unregistered calls each for the client ids that nobody registered (usage.Store.Unregistered).
	Unregistered func(ctx context.Context, each func(usage.Unregistered) bool) error
	Once         *idempotency.Store    // what was answered to requests that name themselves
	Config       func() *config.Config // as it holds now
	ConfigFile   string                // where it is; who is on this machine is told
	PerMinute    int                   // requests of one who asks; 0: 600
	EventsEvery  time.Duration         // how often it is looked for events; 0: each second
	Ended        <-chan struct{}       // closed when the daemon stops: streams of events end
	Version      string
	// Still reports whether who asks in a context may still be here; nil: he may. It is asked while a stream lasts.
	Still func(context.Context) bool
	// About fills in what is registered of the credential of a finding; nil: nothing does.
	About func(context.Context, finding.Finding) (finding.Finding, error)
	// Refused notes that somebody asked for what his role may not; nil: nobody notes it.
	Refused func(r *http.Request, who access.Who, why string)
	// Tell is what failed in words, where whoever asks runs this process: he is told, and not a log. nil: the log is.
	Tell func(error) string
	Log  *slog.Logger
	Now  func() time.Time
}

// New returns the handler of everything below /api/. Each request's context says who asks (access.With); without that, all but
// the document and its page is refused.
func New(o Options) http.Handler {
	if o.Refused == nil {
		o.Refused = func(*http.Request, access.Who, string) {}
	}
	if o.Still == nil {
		o.Still = func(context.Context) bool { return true }
	}
	s := &server{Options: o, listening: map[string]int{}, streams: make(chan struct{}, mostStreams)}
	mux := http.NewServeMux()
	s.api = humago.NewWithPrefix(mux, prefix, s.config())
	for _, r := range s.routes() {
		s.register(r)
	}
	s.serveDocument(mux)
	s.serveDocs(mux)
	return compressed(s.guard(s.limit(s.once(mux)), mux))
}

// compressed gzips answers of a page's size for those who take that.
func compressed(next http.Handler) http.Handler {
	gzip, err := gzhttp.NewWrapper(gzhttp.MinSize(1024))
	if err != nil {
		panic(err) // of constants
	}
	zipped := gzip(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == eventsPath || r.URL.Path == checksPath || r.URL.Path == scansPath ||
			strings.HasSuffix(r.URL.Path, "/verify") { // each of them is sent at once
			next.ServeHTTP(w, r)
			return
		}
		zipped.ServeHTTP(w, r)
	})
}

const (
	prefix     = "/api"
	checksPath = prefix + "/v1/checks"
)

type server struct {
	Options
	api     huma.API
	streams chan struct{} // one in it for each who listens to events

	runs runs

	listenMu  sync.Mutex
	listening map[string]int // how many of them by who asks
}

// config is that of huma: nothing but JSON, no pages of its own, and problems of ours (see problem.go).
func (s *server) config() huma.Config {
	return huma.Config{
		OpenAPI:                      s.describe(),
		Formats:                      map[string]huma.Format{"application/json": onlyText(), "json": onlyText()},
		DefaultFormat:                "application/json",
		RejectUnknownQueryParameters: true,
		Transformers:                 []huma.Transformer{s.toProblem, onlyFields},
	}
}

// onlyText is JSON, but for what is no text: Postgres takes no NUL, and what is no UTF-8 would be stored as something else.
func onlyText() huma.Format {
	f := huma.DefaultJSONFormat
	read := f.Unmarshal
	f.Unmarshal = func(data []byte, v any) error {
		if !utf8.Valid(data) || bytes.Contains(data, []byte(`\u0000`)) {
			return errors.New("not text")
		}
		return read(data, v)
	}
	return f
}
