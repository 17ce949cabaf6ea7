package pages

import (
	"context"
	"html/template"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/gzhttp"

	"github.com/keyrounds/keyrounds/access"
	"github.com/keyrounds/keyrounds/action"
	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/config"
	"github.com/keyrounds/keyrounds/decision"
	"github.com/keyrounds/keyrounds/exposure"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/leak"
	"github.com/keyrounds/keyrounds/notify"
	"github.com/keyrounds/keyrounds/registry"
	"github.com/keyrounds/keyrounds/report"
	"github.com/keyrounds/keyrounds/usage"
)

// Options are options of New. All stores are on the same database.
type Options struct {
	Actions   *action.Actions
	Audit     *audit.Store
	Registry  *registry.Store
	Usage     *usage.Store
	Leaks     *leak.Store
	Notifier  *notify.Notifier
	Reports   *report.Maker
	Decisions *decision.Store
	Config    func() *config.Config // as it holds now
	// About fills in what is registered of the credential of a finding; nil: nothing does.
	About func(context.Context, finding.Finding) (finding.Finding, error)
	// Unregistered calls each for client ids that feeds show and nobody registered, the last used first, until each returns false.
	Unregistered func(ctx context.Context, each func(usage.Unregistered) bool) error
	Sources      func(context.Context) ([]exposure.Source, error) // what is searched for leaked secrets

	// CertificateEnds is when the TLS certificate of a provider's token endpoint ends; zero: this process saw none; nil: none is known.
	CertificateEnds func(provider string) time.Time

	SignsIn func() bool // whether people sign in here; nil: nobody does
	Version string
	Log     *slog.Logger
	Now     func() time.Time
}

// Pages are the pages. They are safe for concurrent use.
type Pages struct {
	Options
	templates map[string]*template.Template
	counted   atomic.Pointer[counted] // of a large fleet
}

// New makes Pages. Nothing is read yet but what is embedded, and there is nothing to close.
func New(o Options) *Pages {
	if o.About == nil {
		o.About = func(_ context.Context, f finding.Finding) (finding.Finding, error) { return f, nil }
	}
	if o.SignsIn == nil {
		o.SignsIn = func() bool { return false }
	}
	return &Pages{Options: o, templates: parsed()}
}

// zipped gzips what is asked for by GET. An answer to a form may hold what was typed beside what is shown once, so it is not.
func zipped(next http.HandlerFunc) http.Handler {
	wrap, err := gzhttp.NewWrapper(gzhttp.MinSize(1024))
	if err != nil {
		panic(err) // of constants
	}
	return wrap(next)
}

// visit is who asks; the zero Visit where nobody signs in.
func visit(r *http.Request) access.Visit {
	v, ok := access.VisitOf(r.Context())
	if !ok {
		v.Who, _ = access.From(r.Context())
	}
	return v
}
