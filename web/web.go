// Package web serves the status page, the read-only JSON API, /metrics and health, and signs people in.
//
// It changes nothing but what a feed pushes, what others report of leaks, and who may sign in.
package web

import (
	"context"
	"embed"
	"encoding/json"
	"html/template"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/keyrounds/keyrounds/access"
	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/notify"
	"github.com/keyrounds/keyrounds/registry"
	"github.com/keyrounds/keyrounds/report"
	"github.com/keyrounds/keyrounds/usage"
	"github.com/keyrounds/keyrounds/verdict"
)

// Options are options of New. All are required but PushFeeds (nil: no feed takes pushes), Version, Access and Door.
type Options struct {
	Access   *access.Access // says who asks; nil: nobody is asked, and nobody can sign in
	Door     *Door          // slows those who guess; nil: one of its own
	Audit    *audit.Store
	Registry *registry.Store
	Usage    *usage.Store
	Reports  *report.Maker
	// PushFeeds are the feeds that take pushes, and Ingest takes one in.
	PushFeeds func() []PushFeed
	Ingest    IngestFunc
	// TakeReport takes in what other scanners and transmitters report.
	TakeReport TakeReport
	Gatherer   prometheus.Gatherer
	Ready      func(context.Context) error // why not ready; nil: ready
	Version    string
	Log        *slog.Logger
	Now        func() time.Time
}

// New returns the handler of all routes, which lets everybody do what may says; pushes and reports show a token or a signature of
// their own. After ten wrong ones within a minute an address gets 429 for more wrong ones; what is right goes through.
func New(o Options) http.Handler {
	if o.Door == nil {
		o.Door = (&Door{Log: o.Log, Now: o.Now}).Open(prometheus.NewRegistry())
	}
	s := &site{Options: o}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.page)
	mux.HandleFunc("GET /style.css", s.style)
	mux.HandleFunc("GET /api/v1/credentials", s.credentials)
	mux.HandleFunc("GET /api/v1/findings", s.findings)
	mux.HandleFunc("POST /api/v1/usage", s.push)
	mux.HandleFunc("POST /api/v1/leaks/{name}", s.leakReport)
	mux.HandleFunc("GET /api/v1/usage", s.usage)
	mux.HandleFunc("GET /api/v1/feeds", s.feeds)
	mux.HandleFunc("GET /api/v1/reports", s.reports)
	mux.HandleFunc("GET /api/v1/reports/{month}", s.report)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { text(w, http.StatusOK, "ok\n") })
	mux.HandleFunc("GET /readyz", s.ready)
	mux.Handle("GET /metrics", promhttp.HandlerFor(o.Gatherer, promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError, EnableOpenMetrics: true, MaxRequestsInFlight: maxScrapes,
	}))
	mux.HandleFunc("GET /login", s.login)
	mux.HandleFunc("POST /login", s.signIn)
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

//go:embed page.html who.html style.css
var files embed.FS

type site struct {
	Options
	tokens         tokens   // of pushes
	failures       failures // of pushes
	reportFailures failures // of reports
}

// guard sets the headers of every answer. The page has no script and loads nothing from elsewhere.
func guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set(
			"Content-Security-Policy",
			"default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
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

// findings answers with up to 1,000, or as many as limit says, and a link to the next (RFC 8288).
func (s *site) findings(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	limit, err := limitOf(q)
	f := audit.Filter{
		Resolved: q.Get("resolved") == "true", Kind: finding.Kind(q.Get("kind")), Severity: finding.Severity(q.Get("severity")),
		Credential: q.Get("credential"), Limit: limit + 1,
	}
	if after := q.Get("after"); err == nil && after != "" {
		f.After, err = strconv.ParseInt(after, 10, 64)
	}
	if err != nil {
		text(w, http.StatusBadRequest, err.Error()+"\n")
		return
	}
	list, err := s.Audit.Findings(r.Context(), f)
	if len(list) > limit {
		list = list[:limit]
		linkNext(w, r, strconv.FormatInt(list[limit-1].ID, 10))
	}
	all := []FindingJSON{}
	for _, f := range list {
		all = append(all, NewFindingJSON(f))
	}
	s.json(w, all, err)
}

// FindingJSON is a finding in JSON, here and in the commands. Its names are a promise: scripts of users depend on
// them.
type FindingJSON struct {
	ID             int64            `json:"id"`
	Kind           finding.Kind     `json:"kind"`
	Severity       finding.Severity `json:"severity"`
	State          finding.State    `json:"state"`
	Credential     string           `json:"credential"`
	Provider       string           `json:"provider"`
	Title          string           `json:"title"`
	OpenedAt       time.Time        `json:"opened_at"`
	UpdatedAt      time.Time        `json:"updated_at"`
	ResolvedAt     time.Time        `json:"resolved_at,omitzero"`
	ResolvedWhy    string           `json:"resolved_why,omitempty"`
	Withdrawn      bool             `json:"withdrawn,omitempty"` // it should not have been told, by resolved_why
	AcknowledgedBy string           `json:"acknowledged_by,omitempty"`
	SnoozedUntil   time.Time        `json:"snoozed_until,omitzero"`
	FalseAlarmBy   string           `json:"false_alarm_by,omitempty"`
	FalseAlarmWhy  string           `json:"false_alarm_why,omitempty"`
	Evidence       finding.Evidence `json:"evidence"`
}

// NewFindingJSON makes the JSON of a finding, with the title that messages have.
func NewFindingJSON(f finding.Finding) FindingJSON {
	return FindingJSON{
		f.ID, f.Kind, f.Severity, f.State, f.Subject.Credential, f.Subject.Provider, notify.Describe(f).Title,
		f.OpenedAt, f.UpdatedAt, f.ResolvedAt, f.ResolvedWhy, f.Withdrawn, f.AcknowledgedBy, f.SnoozedUntil,
		f.FalseAlarmBy, f.FalseAlarmWhy, f.Evidence,
	}
}

var page = template.Must(template.New("page.html").Funcs(template.FuncMap{
	"at":   at,
	"ago":  ago,
	"day":  func(t time.Time) string { return t.UTC().Format(time.DateOnly) },
	"use":  func(s string) string { return strings.ReplaceAll(s, "_", " ") },
	"agop": func(now time.Time, t *time.Time) string { return ago(now, *t) },
	"statuses": func() []verdict.Status {
		return slices.DeleteFunc(verdict.Statuses(), func(s verdict.Status) bool { return s == verdict.Retired })
	},
	"ms":   func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 },
	"join": strings.Join,
}).ParseFS(files, "page.html", "who.html"))

func (s *site) style(w http.ResponseWriter, _ *http.Request) {
	b, _ := files.ReadFile("style.css")
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	_, _ = w.Write(b)
}
