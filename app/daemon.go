package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"reflect"
	"runtime/debug"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	toolkit "github.com/prometheus/exporter-toolkit/web"

	"github.com/keyrounds/keyrounds/api"
	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/collector"
	"github.com/keyrounds/keyrounds/config"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/idempotency"
	"github.com/keyrounds/keyrounds/postgres"
	"github.com/keyrounds/keyrounds/safefile"
	"github.com/keyrounds/keyrounds/secret"
	"github.com/keyrounds/keyrounds/web"
	"github.com/keyrounds/keyrounds/web/pages"
)

// Start listens, and begins the rounds as soon as the database answers; until then /readyz says
// why not. Only an address that cannot be listened on, a web_config that cannot be served by, and for root a data_dir of somebody
// else are errors, and ErrStopped after Stop. It is
// called once.
func (a *App) Start(ctx context.Context) error {
	if a.ends.over() {
		return ErrStopped
	}
	c := a.config.Load()
	a.Metrics.MustRegister(collector.New(collector.Sources{
		Audit:       a.Audit,
		Registry:    a.Registry,
		Usage:       a.Usage,
		Engine:      a.Rounds.Engine,
		Lanes:       a.Notifier.Lanes,
		LeakSources: a.Exposure.SourceStates,
		Storing:     a.storingError,
		Log:         a.Log,
		Now:         a.Now,
		Longest:     a.longest,
		Series: collector.Series{
			PerCredential: c.Metrics.PerCredential,
			Match:         c.Metrics.Match,
			Labels:        c.Metrics.Labels,
			Limit:         c.Metrics.Limit,
		},
	}))
	if err := safefile.Ours(c.DataDir); err != nil { // where we write more than Postgres does
		return err
	}
	a.notReady("starting")
	a.setLevel(c.LogLevel)
	a.Exposure.ShowReporters()
	ended := make(chan struct{})
	door := a.newDoor(c)
	site := web.New(web.Options{
		Access: a.Access,
		Door:   door,
		Enter:  a.Enter,
		Pages: pages.Options{
			Actions: a.Actions, Audit: a.Audit, Registry: a.Registry, Usage: a.Usage, Leaks: a.Leaks, Notifier: a.Notifier,
			Reports: a.Reports, Unregistered: a.Unregistered, Sources: a.Exposure.Sources,
			CertificateEnds: a.Rounds.CertificateEnds,
			Decisions:       a.Decisions, Config: a.Config, About: a.about, Version: a.Version, Log: a.Log, Now: a.Now,
		},
		API:        a.API(ended),
		PushFeeds:  a.pushFeeds,
		Ingest:     a.Rounds.IngestUsage,
		TakeReport: a.Exposure.Receive,
		Gatherer:   a.Metrics,
		Ready:      a.isReady,
		Log:        a.Log,
		Now:        a.Now,
	})
	var err error
	if a.web, err = a.listen(c, door, site); err != nil {
		return err
	}
	a.ends.push(a.serving.Wait)
	a.ends.push(a.web.close)
	if err := a.listenForDebug(c.DebugListen, site); err != nil {
		a.web.close()
		return err
	}
	if err := a.listenLocal(c, site); err != nil {
		a.endDebug()
		a.web.close()
		return err
	}
	if a.local != nil {
		a.ends.push(a.local.close)
		a.local.serve(a)
	}
	a.ends.push(a.endDebug)
	a.ends.push(a.hangUp)
	a.web.serve(a)
	a.ends.push(func() {
		if a.started.Load() {
			a.Rounds.Stop() // a check that was asked for on Slack ends with it
		}
	})
	a.ends.push(func() { close(ended) }) // first of all: what breaks off from now on does so since the daemon stops
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	a.noteWrite(nil)
	a.beginning.Go(func() { a.begin(ctx) })
	a.beginning.Go(func() { a.watchStorage(ctx) })
	if !a.ends.push(func() { stop(); a.beginning.Wait() }) {
		return ErrStopped
	}
	return nil
}

// API is what answers below /api/, to whom each request's context names (access.With); streams of it end when ended is closed.
func (a *App) API(ended <-chan struct{}) http.Handler {
	var tell func(error) string
	if !a.Daemon {
		tell = func(err error) string { return postgres.Plain(err).Error() }
	}
	return api.New(api.Options{
		Tell:         tell,
		ConfigFile:   a.File,
		Access:       a.Access,
		Actions:      a.Actions,
		Audit:        a.Audit,
		Registry:     a.Registry,
		Usage:        a.Usage,
		Leaks:        a.Leaks,
		Notifier:     a.Notifier,
		Reports:      a.Reports,
		Decisions:    a.Decisions,
		Sources:      a.Exposure.Sources,
		ProveDead:    a.Exposure.ProveDead,
		Search:       a.Exposure.Search,
		Unregistered: a.Unregistered,
		Ended:        ended,
		Refused:      a.refused,
		Still:        a.Access.Still,
		About:        a.about,
		Once:         idempotency.New(a.Pool),
		Config:       a.Config,
		Version:      a.Version,
		Log:          a.Log,
		Now:          a.Now,
	})
}

// begin tries until the database answers.
func (a *App) begin(ctx context.Context) {
	for wait := 250 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		err := a.Prepare(ctx)
		if err == nil {
			err = a.recordStart(ctx)
		}
		if err == nil {
			err = a.inviteFirst(ctx)
		}
		if err == nil {
			err = a.Rounds.Start(ctx)
		}
		if err == nil {
			a.started.Store(true)
			a.tellReload(ctx, nil)
			a.ready.Store(nil)
			debug.FreeOSMemory() // that the credentials of the file took
			a.listenToSlack(a.config.Load())
			a.beginning.Go(func() { a.Exposure.ScanSources(ctx, nil) })
			a.Log.Info(
				"the rounds begin",
				"providers", len(a.config.Load().Providers),
				"version", a.Version,
			)
			return
		}
		if ctx.Err() != nil {
			return
		}
		a.notReady(err.Error())
		a.Log.Error("not ready yet, trying again", "error", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

func (a *App) notReady(why string) { a.ready.Store(&why) }

// isReady: it has begun, the database answers, and nobody made the schema newer meanwhile.
func (a *App) isReady(ctx context.Context) error {
	if why := a.ready.Load(); why != nil {
		return errors.New(*why)
	}
	if err := a.storingError(); err != nil {
		return err
	}
	if err := postgres.Ping(ctx, a.Pool); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	_, err := postgres.CurrentVersion(ctx, a.Pool)
	return err
}

// Addr is the host and port where the web listens. Call it after Start returned nil: before, it panics.
func (a *App) Addr() string { return a.web.listener.Addr().String() }

// Stop ends the daemon: no further check begins, those in flight end, and all is closed. That takes 15 s at most, but
// for a file feed that is being read (30 s) and a slow private Postgres. It may be called again, and from several
// goroutines: each returns when all is closed.
func (a *App) Stop() {
	a.notReady("stopping")
	a.Close()
}

// Reload takes a new configuration, one call at a time. What can fail is done first: on an error the old one stays in
// force, whole, but credentials of the new one may be registered already (action.Sync). What needs a restart is in
// the log.
func (a *App) Reload(ctx context.Context, c *config.Config) error {
	err := a.reload(ctx, c)
	a.reloaded.done(err == nil, a.Now())
	a.tellReload(ctx, err)
	debug.FreeOSMemory() // that the credentials of the file took
	return err
}

// ReloadFailed notes in the metrics, and tells people, that a new configuration could not even be read. err says why; it
// holds no secret.
func (a *App) ReloadFailed(ctx context.Context, err error) {
	a.reloaded.done(false, a.Now())
	a.tellReload(ctx, err)
}

// inShort is what is wrong with a configuration, without the lines of the file, which may hold a secret by mistake.
func inShort(err error) string {
	var many *config.Errors
	if !errors.As(err, &many) || len(many.Problems) == 0 {
		return err.Error()
	}
	p := many.Problems[0]
	text := fmt.Sprintf("%s:%d:%d: %s", filepath.Base(p.File), p.Line, p.Column, p.Message)
	if n := len(many.Problems) - 1; n > 0 {
		text += fmt.Sprintf("; and %s more", finding.Plural(n, "problem"))
	}
	return text
}

// tellReload opens the finding that the new configuration was not taken, and ends it with one that was; err is nil then.
// Where the database is away only the log and the metrics say so.
func (a *App) tellReload(ctx context.Context, err error) {
	e := finding.Event{Op: finding.OpResolve, Kind: finding.ReloadFailed, At: a.Now(), Why: "a configuration was taken"}
	if err != nil {
		e.Op, e.Why = finding.OpOpen, ""
		e.Evidence = finding.Evidence{Since: e.At, Answer: finding.Answer{Message: secret.Scrubber{}.Clean(inShort(err), 1000)}}
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	failed := pgx.BeginFunc(ctx, a.Pool, func(tx pgx.Tx) error {
		_, err := a.Audit.Publish(ctx, tx, []finding.Event{e})
		return err
	})
	if failed != nil {
		a.Log.Warn("nobody is told how the configuration was taken", "error", failed)
	}
}

func (a *App) reload(ctx context.Context, c *config.Config) error {
	old, file := a.config.Load(), c.Credentials
	if err := config.CheckWeb(c.WebConfig); err != nil {
		return err
	}
	c = withoutCredentials(c)
	setup, err := a.notifySetup(c)
	if err != nil {
		return err
	}
	if err := ReadVault(c.Vault, a.Now); err != nil {
		return err
	}
	if a.ready.Load() == nil {
		if err := a.sync(ctx, c, file); err != nil {
			return err
		}
		a.config.Store(c)
	} else { // begin will register them
		a.config.Store(c)
		a.file.Store(&file)
	}
	secret.KeepInExec(c.ExecEnv)
	a.setLevel(c.LogLevel)
	a.Access.Reload(accessSettings(c))
	a.Exposure.Reload(exposureSettings(c))
	a.announcer.Reload(announcerSettings(c))
	a.Exposure.ShowReporters()
	a.Notifier.Reload(setup)
	a.listenToSlack(c)
	a.Rounds.Reload(settings(c))
	for key, differs := range map[string]bool{
		"data_dir":   old.DataDir != c.DataDir,
		"database":   old.Database != c.Database,
		"listen":     old.Listen != c.Listen,
		"web_config": old.WebConfig != c.WebConfig,
		"sealing":    old.SealingKey != c.SealingKey || old.SealingKMS != c.SealingKMS,
		"timezone":   old.Zone.String() != c.Zone.String(),
		"metrics":    !reflect.DeepEqual(old.Metrics, c.Metrics),
		"debug":      old.DebugListen != c.DebugListen,
		"access":     old.Access.Socket != c.Access.Socket || old.Access.SocketGroup != c.Access.SocketGroup,
	} {
		if differs {
			a.Log.Warn("this change needs a restart", "key", key)
		}
	}
	return nil
}

type server struct {
	http     *http.Server
	listener net.Listener
	flags    *toolkit.FlagConfig
	door     func(toolkit http.Handler) http.Handler
}

func (a *App) newDoor(c *config.Config) *web.Door {
	return (&web.Door{
		Trusted: func() []netip.Prefix { return a.config.Load().TrustedProxies },
		Asked:   func() (web.Asked, error) { return a.asked(c) },
		People:  func() bool { return a.Access.Settings().SignIn() },
		Ours:    func(host string) bool { return a.config.Load().Answers(host) },
		Log:     a.Log,
		Now:     a.Now,
	}).Open(a.Metrics)
}

func (a *App) listen(c *config.Config, door *web.Door, pages http.Handler) (*server, error) {
	if err := config.CheckWeb(c.WebConfig); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	systemd := false
	return &server{
		door: func(toolkit http.Handler) http.Handler { return door.Before(toolkit, pages) },
		http: &http.Server{
			Handler: pages, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
			WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 64 << 10,
		},
		listener: l,
		flags:    &toolkit.FlagConfig{WebListenAddresses: &[]string{c.Listen}, WebSystemdSocket: &systemd, WebConfigFile: &c.WebConfig},
	}, nil
}

// asked is what the file of the web asks of people now. The error says that nobody is let in: the file cannot be read, or something
// was changed so that others than this machine would come in without. begun is the configuration that we listen by: where we listen,
// and by which file, stays so until a restart; who signs in otherwise is as it was configured last.
func (a *App) asked(begun *config.Config) (web.Asked, error) {
	now := a.config.Load()
	path := cmp.Or(begun.WebConfig, now.WebConfig) // one that came since: its users sign in, though its TLS needs a restart
	var f config.WebFile
	if path != "" {
		var err error
		if f, err = config.ReadWeb(path); err != nil {
			return web.Asked{}, err
		}
	}
	if host, _, _ := net.SplitHostPort(begun.Listen); !f.SignIn() && !now.Access.SignIn() && !config.Loopback(host) {
		return web.Asked{}, config.ErrNoUsers
	}
	return web.Asked{Users: f.Users, Certificate: f.Certificate()}, nil
}

func (s *server) serve(a *App) {
	a.serving.Go(func() {
		l := &beforeFirst{s.listener, sync.OnceFunc(func() { s.http.Handler = s.door(s.http.Handler) })}
		if err := toolkit.Serve(l, s.http, s.flags, a.Log); err != nil && !errors.Is(err, http.ErrServerClosed) {
			a.broken <- fmt.Errorf("listen: %w", err)
		}
	})
}

// beforeFirst is a listener that does something before its first connection: the toolkit puts its sign-in before the handler when
// it begins to serve, and only then the door can be put before that.
type beforeFirst struct {
	net.Listener
	do func()
}

func (b *beforeFirst) Accept() (net.Conn, error) {
	b.do()
	return b.Listener.Accept()
}

func (s *server) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if s.http.Shutdown(ctx) != nil {
		_ = s.http.Close()
	}
}

type reloadMetrics struct{ success, at prometheus.Gauge }

func newReloadMetrics(reg prometheus.Registerer, version string) reloadMetrics {
	build := prometheus.NewGauge(
		prometheus.GaugeOpts{
			Name:        "keyrounds_build_info",
			Help:        "Always 1; the version is a label.",
			ConstLabels: prometheus.Labels{"version": version},
		},
	)
	m := reloadMetrics{
		prometheus.NewGauge(
			prometheus.GaugeOpts{
				Name: "keyrounds_config_last_reload_successful",
				Help: "1 if the last reload of the configuration took effect.",
			},
		),
		prometheus.NewGauge(
			prometheus.GaugeOpts{
				Name: "keyrounds_config_last_reload_success_timestamp_seconds",
				Help: "When the configuration last took effect.",
			},
		),
	}
	reg.MustRegister(build, m.success, m.at)
	build.Set(1)
	m.done(true, time.Now())
	return m
}

func (m reloadMetrics) done(ok bool, at time.Time) {
	if !ok {
		m.success.Set(0)
		return
	}
	m.success.Set(1)
	m.at.Set(float64(at.UnixMilli()) / 1000)
}

// recordStart writes into the record that the rounds begin, and how long nobody did them.
func (a *App) recordStart(ctx context.Context) error {
	last, err := a.Audit.LastCheck(ctx)
	if err != nil {
		return err
	}
	detail := map[string]any{"version": a.Version}
	if !last.IsZero() {
		detail["last_check_at"], detail["gap_seconds"] = last, int(a.Now().Sub(last).Seconds())
	}
	return a.Audit.Note(ctx, audit.Daemon, "daemon.started", "keyrounds", detail)
}

// longest is how long a check of a provider's credential may be away, given what its schedule says.
func (a *App) longest(provider string, scheduled time.Duration) time.Duration {
	p := a.config.Load().Providers[provider]
	if p.Passive {
		return 0
	}
	return max(scheduled, p.MinInterval)
}
