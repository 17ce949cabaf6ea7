// Package web serves the pages (package pages), /metrics and health, takes what feeds push and others report of leaks, and signs people in.
//
// The API is package api's, which it mounts, and tells who asks.
package web

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/keyrounds/keyrounds/access"
	"github.com/keyrounds/keyrounds/web/pages"
)

// Options are options of New. All are required but PushFeeds (nil: no feed takes pushes), Access and Door.
type Options struct {
	Access *access.Access // says who asks; nil: everybody may look, and nobody can sign in
	Door   *Door          // slows those who guess; nil: one of its own
	Pages  pages.Options  // SignsIn is filled in here
	// Enter is who a one-time link lets in; nil: there are none.
	Enter func(token string) (access.Person, bool)
	// API answers below /api/; it is asked with a context that says who asks. nil: nothing does.
	API http.Handler
	// PushFeeds are the feeds that take pushes, and Ingest takes one in.
	PushFeeds func() []PushFeed
	Ingest    IngestFunc
	// TakeReport takes in what other scanners and transmitters report.
	TakeReport TakeReport
	Gatherer   prometheus.Gatherer
	Ready      func(context.Context) error // why not ready; nil: ready
	Log        *slog.Logger
	Now        func() time.Time
}

// New returns the handler of all routes, which lets everybody do what may says; pushes and reports show a token or a signature of
// their own. After ten wrong ones within a minute an address gets 429 for more wrong ones; what is right goes through.
func New(o Options) http.Handler {
	if o.Door == nil {
		o.Door = (&Door{Log: o.Log, Now: o.Now}).Open(prometheus.NewRegistry())
	}
	if o.API == nil {
		o.API = http.NotFoundHandler()
	}
	s := &site{Options: o}
	o.Pages.SignsIn = s.signsIn
	s.pages = pages.New(o.Pages)
	mux := http.NewServeMux()
	for _, route := range s.pages.Routes() {
		mux.Handle(route.Pattern, route.Handler)
	}
	mux.HandleFunc("POST /api/v1/usage", s.push)
	mux.HandleFunc("POST /v1/logs", s.otlpLogs)
	mux.HandleFunc("POST /services/collector", s.hecEvents)
	mux.HandleFunc("POST /services/collector/event", s.hecEvents)
	mux.HandleFunc("POST /services/collector/event/1.0", s.hecEvents)
	mux.HandleFunc("POST /services/collector/raw", s.hecRaw)
	mux.HandleFunc("POST /services/collector/raw/1.0", s.hecRaw)
	mux.HandleFunc("POST /services/collector/ack", s.hecAck)
	mux.HandleFunc("GET /services/collector/health", s.hecHealth)
	mux.HandleFunc("GET /services/collector/health/1.0", s.hecHealth)
	mux.HandleFunc("POST /api/v1/leaks/{name}", s.leakReport)
	mux.Handle("/api/", o.API)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { text(w, http.StatusOK, "ok\n") })
	mux.HandleFunc("GET /readyz", s.ready)
	mux.Handle("GET /metrics", promhttp.HandlerFor(o.Gatherer, promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError, EnableOpenMetrics: true, MaxRequestsInFlight: maxScrapes,
	}))
	mux.HandleFunc("GET /login", s.login)
	mux.HandleFunc("POST /login", s.signIn)
	mux.HandleFunc("GET /enter/{token}", s.enter)
	mux.HandleFunc("GET /login/{name}", s.startLogin)
	mux.HandleFunc("GET /login/{name}/callback", s.finishLogin)
	mux.HandleFunc("POST /logout", s.logout)
	mux.HandleFunc("GET /first-run", s.firstRun)
	mux.HandleFunc("POST /first-run", s.makeFirst)
	mux.HandleFunc("GET /account", s.account)
	mux.HandleFunc("POST /account/password", s.changePassword)
	mux.HandleFunc("POST /account/tokens", s.makeToken)
	mux.HandleFunc("POST /account/tokens/{id}/revoke", s.revokeToken)
	mux.HandleFunc("POST /account/sessions/{id}/end", s.endSession)
	mux.HandleFunc("GET /people", s.people)
	mux.HandleFunc("POST /people", s.addPerson)
	mux.HandleFunc("POST /people/{id}", s.changePerson)
	mux.HandleFunc("POST /people/tokens/{id}/revoke", s.revokeAny)
	mux.HandleFunc("POST /people/sessions/{id}/end", s.endAny)
	return guard(s.gate(mux))
}

// maxScrapes at once; more get 503.
const maxScrapes = 4

type site struct {
	Options
	pages          *pages.Pages
	tokens         tokens   // of pushes
	failures       failures // of pushes
	reportFailures failures // of reports
}

// guard sets the headers of every answer. Pages load what is embedded here, and nothing from elsewhere; nothing in them is a script
// or a style.
func guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set(
			"Content-Security-Policy",
			"default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; "+
				"base-uri 'none'; frame-ancestors 'none'",
		)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

func text(w http.ResponseWriter, status int, s string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(s))
}

// ready says why not; the reason names no host, user or database.
func (s *site) ready(w http.ResponseWriter, r *http.Request) {
	if err := s.Ready(r.Context()); err != nil {
		s.Log.Debug("not ready", "error", err)
		text(w, http.StatusServiceUnavailable, "not ready: "+err.Error()+"\n")
		return
	}
	text(w, http.StatusOK, "ready\n")
}

func (s *site) json(w http.ResponseWriter, v any, err error) {
	if err != nil {
		s.Log.Error("a request failed", "error", err)
		text(w, http.StatusServiceUnavailable, "the database does not answer\n")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}
