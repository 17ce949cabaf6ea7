// Package exposure follows secrets that got out: evidence comes in, becomes a finding, the secret is
// tried, until it is proven dead.
//
// The rules of evidence and proof are the package leak's; requests for tokens go through rounds.Exchange.
// What people do about a leak (rotate, false alarm) is the package action's.
package exposure

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/confine"
	"github.com/keyrounds/keyrounds/leak"
	"github.com/keyrounds/keyrounds/leak/intake"
	"github.com/keyrounds/keyrounds/postgres"
	"github.com/keyrounds/keyrounds/registry"
	"github.com/keyrounds/keyrounds/rounds"
	"github.com/keyrounds/keyrounds/usage"
)

// Options of New. All stores are on Pool.
type Options struct {
	Pool     *pgxpool.Pool
	Registry *registry.Store
	Audit    *audit.Store
	Leaks    *leak.Store
	Usage    *usage.Store
	Rounds   *rounds.Rounds
	Metrics  prometheus.Registerer
	Version  string // in the User-Agent of what is fetched
	Log      *slog.Logger
	Look     time.Duration // between looks for sources that are due; default 10 s
	// Confine starts git for scans of sources; the zero value: as it is.
	Confine confine.Launcher
	Now     func() time.Time
}

// Settings is the part of the configuration that a reload changes.
type Settings struct {
	TryEvery     time.Duration // between tries of a secret that works
	Confirm      time.Duration // between the refusals that prove a death
	Sources      []leak.Source
	Webhooks     []intake.Webhook
	Transmitters []intake.Transmitter
	Zone         *time.Location // of the sources' schedules
}

// Exposure follows secrets that got out. It is safe for concurrent use.
type Exposure struct {
	Options
	settings atomic.Pointer[Settings]
	holder   string // of this process, for leases
	tokens   tokens
	keys     publicKeys
	received *prometheus.CounterVec
	learned  atomic.Int64  // when every secret was last learned, in seconds since 1970
	filled   atomic.Int64  // when those of which none was known were last learned
	searches chan struct{} // one in it for each that is under way
}

// New makes an Exposure. It does nothing by itself: its methods are called by rounds (rounds.Follow), the web and
// commands, and ScanSources by the daemon.
func New(o Options, s Settings) *Exposure {
	if o.Look <= 0 {
		o.Look = lookForScans
	}
	x := &Exposure{Options: o, holder: uuid.NewString(), received: newReceivedMetric(o.Metrics)}
	x.searches = make(chan struct{}, MostSearches)
	x.Reload(s)
	return x
}

// Reload takes new settings. The secrets of credentials that it brought are read at the next Try.
func (x *Exposure) Reload(s Settings) {
	x.settings.Store(&s)
	x.filled.Store(0)
	x.Leaks.WantHMSL(wantsHMSL(s.Webhooks))
}

// Try is a tick: it tries the secrets that are due, and the deliveries that wait. Once an hour it reads the secrets
// that no check has read yet, as those of a passive provider, so that reports and scans can be held against them.
func (x *Exposure) Try(ctx context.Context) error {
	return errors.Join(x.learnUnknown(ctx), x.tryLeaked(ctx), x.takeWaiting(ctx))
}

// Died returns when the last former secret of each of these credentials was proven dead; those without one are left out.
func (x *Exposure) Died(ctx context.Context, tx pgx.Tx, ids []int64) (map[int64]time.Time, error) {
	return x.Leaks.Died(ctx, tx, ids)
}

func (x *Exposure) inTx(ctx context.Context, f func(pgx.Tx) error) error {
	return postgres.InTx(ctx, x.Pool, f)
}
