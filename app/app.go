// Package app joins the parts to a daemon: the database, the rounds, the receivers and the web.
// The commands, the demo and the tests build the same one.
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.opentelemetry.io/otel/trace"

	"github.com/keyrounds/keyrounds/access"
	"github.com/keyrounds/keyrounds/action"
	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/config"
	"github.com/keyrounds/keyrounds/confine"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/decision"
	"github.com/keyrounds/keyrounds/exposure"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/leak"
	"github.com/keyrounds/keyrounds/notify"
	"github.com/keyrounds/keyrounds/postgres"
	"github.com/keyrounds/keyrounds/registry"
	"github.com/keyrounds/keyrounds/report"
	"github.com/keyrounds/keyrounds/rounds"
	"github.com/keyrounds/keyrounds/safefile"
	"github.com/keyrounds/keyrounds/sealing"
	"github.com/keyrounds/keyrounds/secret"
	"github.com/keyrounds/keyrounds/usage"
	"github.com/keyrounds/keyrounds/vault"
)

// Options are options of Open. Config and Log are required.
type Options struct {
	Config  *config.Config
	Version string
	Log     *slog.Logger
	// Level is that of Log, which debug.listen changes; nil: nothing does.
	Level   *slog.LevelVar
	Metrics Metrics       // default a new registry
	Tracer  trace.Tracer  // nil: nothing is traced
	Daemon  bool          // takes the data_dir for itself
	File    string        // of the configuration, whole; "": none, or none that commands could name
	Tick    time.Duration // between sweeps; 0: the default of rounds
	Judge   time.Duration // between judgements of usage; likewise
	// Confine starts git for scans; the zero value: as it is.
	Confine confine.Launcher
	// JobTimeout and RescueAfter are those of rounds.Options; 0: its defaults.
	JobTimeout, RescueAfter time.Duration
	Now                     func() time.Time // default time.Now
	// Enter is who a one-time link lets in, of which the address is /enter/ and a token; nil: there are none.
	Enter func(token string) (access.Person, bool)
	// Stderr is where the token of the first run is printed, and nothing else; default os.Stderr.
	Stderr io.Writer
}

// Metrics is a registry of Prometheus metrics: parts register with it, and /metrics shows what it gathers.
type Metrics interface {
	prometheus.Registerer
	prometheus.Gatherer
}

// App is everything, opened. Without Start it serves commands. Its methods are safe for concurrent use where they do
// not say otherwise.
type App struct {
	Options
	Pool      *pgxpool.Pool
	Registry  *registry.Store
	Audit     *audit.Store
	Usage     *usage.Store
	Notifier  *notify.Notifier
	Rounds    *rounds.Rounds
	Reports   *report.Maker
	Decisions *decision.Store
	Leaks     *leak.Store
	Exposure  *exposure.Exposure // follows secrets that got out
	Actions   *action.Actions    // does what people ask for
	Sealing   *sealing.Keeper
	Access    *access.Access // who may do what

	owner     postgres.Owner
	storage   storing
	watched   *postgres.Metrics
	announcer *report.Announcer
	config    atomic.Pointer[config.Config]           // without credentials
	file      atomic.Pointer[[]credential.Credential] // of the configuration, not registered yet; nil: they are
	reloaded  reloadMetrics

	ready              atomic.Pointer[string] // why not; nil: ready
	broken             chan error             // why the daemon has to end
	web                *server
	local              *local // nil: there is none
	ends               cleanups
	beginning, serving sync.WaitGroup
	started            atomic.Bool // rounds are running
	pressing           sync.Mutex
	socket             socket
	debug              *http.Server
}

// Open opens the database, or starts the private one, and makes all parts. It does not wait for a database of someone
// else's to answer, and changes nothing in it; Prepare does. Close lets go of what it opened; after an error nothing
// is left open. Of the private one, *postgres.InUseError says that another daemon has the data_dir.
func Open(ctx context.Context, o Options) (*App, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Stderr == nil {
		o.Stderr = os.Stderr
	}
	if o.Metrics == nil {
		o.Metrics = prometheus.NewRegistry()
	}
	secret.KeepInExec(o.Config.ExecEnv)
	if err := ReadVault(o.Config.Vault, o.Now); err != nil {
		return nil, err
	}
	a := &App{Options: o, broken: make(chan error, 1)}
	a.file.Store(&o.Config.Credentials)
	a.Options.Config = withoutCredentials(o.Config)
	a.config.Store(a.Options.Config)
	if err := a.open(ctx); err != nil {
		a.Close()
		return nil, err
	}
	return a, nil
}

// withoutCredentials is a configuration to keep: its credentials are held as long as they are not registered, no longer.
func withoutCredentials(c *config.Config) *config.Config {
	kept := *c
	kept.Credentials = nil
	return &kept
}

func (a *App) open(ctx context.Context) error {
	c := a.Options.Config
	url, err := a.database(ctx)
	if err != nil {
		return err
	}
	a.watched = postgres.NewMetrics(a.Metrics)
	if a.Pool, err = postgres.OpenWatched(ctx, url, a.watched); err != nil {
		return err
	}
	a.ends.push(a.Pool.Close)
	a.owner.App = a.Pool
	a.Metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	a.reloaded = newReloadMetrics(a.Metrics, a.Version)
	waker, err := notify.NewWaker(a.Pool)
	if err != nil {
		return err
	}
	a.Registry, a.Audit = registry.New(a.Pool, c.Zone), audit.New(audit.Options{Pool: a.Pool, Wake: waker.Wake, Now: a.Now})
	a.Access = access.New(access.Options{Pool: a.Pool, Record: a.recordAccess, Log: a.Log, Now: a.Now}, accessSettings(c))
	a.Usage = rounds.OpenUsage(a.Pool, c.Zone, a.Registry, a.Audit)
	if a.Sealing, err = a.newKeeper(); err != nil {
		return err
	}
	a.Leaks = leak.NewStore(leak.StoreOptions{Pool: a.Pool, Registry: a.Registry, Sealer: a.Sealing})
	a.Sealing.Over(a.Registry, a.Leaks)
	setup, err := a.notifySetup(c)
	if err != nil {
		return err
	}
	a.Notifier, err = notify.New(notify.Options{
		Pool: a.Pool, Setup: setup, Findings: tellable{a.Audit, a}, Waker: waker,
		Record: a.recordNotification, Metrics: a.Metrics, Tracer: a.Tracer, Log: a.Log, Now: a.Now,
	})
	if err != nil {
		return err
	}
	a.Decisions = decision.NewStore(a.Pool)
	a.Reports = report.New(
		report.Options{
			Pool: a.Pool, Registry: a.Registry, Audit: a.Audit, Usage: a.Usage, Decisions: a.Decisions, Zone: c.Zone, Version: a.Version,
			Registered: a.registered,
		},
	)
	a.announcer = report.NewAnnouncer(
		report.AnnouncerOptions{Maker: a.Reports, Notifier: a.Notifier, Log: a.Log, Now: a.Now},
		announcerSettings(c),
	)
	a.Rounds, err = rounds.New(rounds.Options{
		Pool:        a.Pool,
		Owner:       a.owner,
		Registry:    a.Registry,
		Audit:       a.Audit,
		Usage:       a.Usage,
		Decisions:   a.Decisions,
		Notifier:    a.Notifier,
		Sealing:     a.Sealing,
		Checker:     checker.New(checker.Options{Version: a.Version, Now: a.Now}),
		Metrics:     a.Metrics,
		Daemon:      a.Daemon,
		Exemplars:   c.Metrics.Exemplars,
		Tracer:      a.Tracer,
		Log:         a.Log,
		Tick:        a.Tick,
		Judge:       a.Judge,
		JobTimeout:  a.JobTimeout,
		RescueAfter: a.RescueAfter,
		Monthly:     a.announcer.Tick,
		Storing:     a.storingError,
		Now:         a.Now,
	}, settings(c))
	if err != nil {
		return err
	}
	a.Exposure = exposure.New(exposure.Options{
		Pool:     a.Pool,
		Registry: a.Registry,
		Audit:    a.Audit,
		Leaks:    a.Leaks,
		Usage:    a.Usage,
		Rounds:   a.Rounds,
		Metrics:  a.Metrics,
		Version:  a.Version,
		Log:      a.Log,
		Look:     a.look(),
		Confine:  a.Confine,
		Now:      a.Now,
	}, exposureSettings(c))
	a.Rounds.Follow(a.Exposure)
	a.Actions = action.New(action.Options{
		Pool: a.Pool, Registry: a.Registry, Audit: a.Audit, Usage: a.Usage, Leaks: a.Leaks, Notifier: a.Notifier, Rounds: a.Rounds,
		Reports: a.Reports, Decisions: a.Decisions, Sealing: a.Sealing, Now: a.Now,
	})
	return nil
}

// look is how often it is looked for sources of leaks that are due: in tests and the demo as often as all else.
func (a *App) look() time.Duration {
	if a.Tick <= 0 {
		return 0
	}
	return max(a.Tick, time.Second)
}

func announcerSettings(c *config.Config) report.Settings {
	return report.Settings{Unused: c.Reports.Unused, Digest: c.Digest, Zone: c.Zone}
}

func exposureSettings(c *config.Config) exposure.Settings {
	s := exposure.Settings{
		TryEvery:     c.Leaks.TryEvery,
		Confirm:      2 * time.Minute,
		Sources:      c.Leaks.Sources,
		Webhooks:     c.Leaks.Webhooks,
		Transmitters: c.Leaks.Transmitters,
		Zone:         c.Zone,
	}
	if len(c.Policy.Confirm) > 0 {
		s.Confirm = c.Policy.Confirm[0]
	}
	return s
}

func settings(c *config.Config) rounds.Settings {
	s := rounds.Settings{
		Providers:      c.Providers,
		Policy:         c.Policy,
		Keep:           c.Keep,
		Forgotten:      c.AckTimeout,
		ExpiringBefore: c.Defaults.ExpiringBefore,
		FeedAuth:       map[string]rounds.FeedAuth{},
	}
	s.Heartbeat = rounds.Heartbeat{URL: c.Heartbeat.URL, Every: c.Heartbeat.Every, Policy: receiverPolicy(c)}
	for _, f := range c.Feeds {
		s.Feeds = append(s.Feeds, f.Feed)
		if f.Polled() {
			s.FeedAuth[f.Name] = rounds.FeedAuth{Token: f.Token, Credential: f.Credential}
		}
	}
	return s
}

// database returns where the application connects, and notes who owns the schema there.
func (a *App) database(ctx context.Context) (string, error) {
	c := a.Options.Config
	if !c.Database.IsZero() {
		if !c.AdminDatabase.IsZero() {
			a.owner.URL = c.AdminDatabase.Resolve
		}
		return c.Database.Resolve(ctx)
	}
	p, err := postgres.StartPrivate(ctx, postgres.PrivateOptions{DataDir: c.DataDir, Daemon: a.Daemon, Log: a.Log})
	if err != nil {
		return "", err
	}
	a.ends.push(p.Stop)
	p.Watch(a.Metrics)
	a.owner.URL = func(context.Context) (string, error) { return p.AdminURL(), nil }
	return p.URL(), nil
}

// sealingFile is where the sealing key is, and what opens it.
func (a *App) sealingFile() (secret.KeyFile, error) {
	file := secret.KeyFile{Path: keyPath(a.Options.Config)}
	if t := a.Options.Config.SealingKMS; t.Key != "" {
		client, err := newVault(a.Options.Config.Vault, a.Now)
		if err != nil {
			return file, err
		}
		if client == nil {
			return file, errors.New("sealing.kms needs a Vault: set vault.address, or VAULT_ADDR")
		}
		a.ends.push(client.Close)
		file.KMS = vault.Transit{Client: client, Mount: t.Mount, Key: t.Key}
	}
	return file, nil
}

// newKeeper makes what seals. Whether the key is there is asked by those who need it; without sealed secrets nobody does.
func (a *App) newKeeper() (*sealing.Keeper, error) {
	file, err := a.sealingFile()
	if err != nil {
		return nil, err
	}
	own, dir := a.Options.Config.SealingKey == "", filepath.Dir(file.Path)
	return sealing.New(sealing.Options{
		Pool: a.Pool,
		File: file,
		Make: own,
		Dir: func() error {
			err := safefile.Ours(dir)
			if err == nil && own {
				err = os.MkdirAll(dir, 0o711)
			}
			if err != nil {
				return fmt.Errorf("the directory of the sealing key: %w", err)
			}
			return nil
		},
		Record: func(ctx context.Context, tx pgx.Tx, actor, act string, detail any) error {
			e, err := audit.NewEntry(a.Now(), actor, act, "sealing", detail)
			if err != nil {
				return err
			}
			return a.Audit.Append(ctx, tx, e)
		},
		Now: a.Now,
	}), nil
}

// Prepare brings the schema up to date, makes the partitions ahead, and registers the credentials of the file; those last
// not where this is no daemon and one lives: the credentials are those of its file, which may be another one. It
// fails while the database is away, and can be called again. postgres.ErrNewer: the schema is of a newer keyrounds.
func (a *App) Prepare(ctx context.Context) error {
	if _, err := a.owner.Migrate(ctx); err != nil {
		return err
	}
	keep := a.config.Load().Keep
	err := a.owner.Do(ctx, func(owner *pgxpool.Pool) error { return audit.EnsurePartitions(ctx, owner, a.Now(), keep) })
	if err != nil {
		return postgres.Plain(err)
	}
	if err := a.Sealing.Check(ctx); err != nil {
		if ctx.Err() != nil {
			return err
		}
		a.Log.Warn("what is sealed cannot be opened, and nothing can be sealed", "error", err)
	}
	if !a.Daemon {
		lives, err := a.Rounds.DaemonLives(ctx)
		if err != nil || lives {
			return err
		}
	}
	for file := a.file.Load(); file != nil; file = a.file.Load() { // again, if it was reloaded meanwhile
		if err := a.sync(ctx, a.config.Load(), *file); err != nil {
			return err
		}
		a.Log.Info("the credentials of the configuration are registered", "credentials", len(*file))
		a.file.CompareAndSwap(file, nil)
	}
	return nil
}

// Ping asks the database for an answer.
func (a *App) Ping(ctx context.Context) error { return postgres.Ping(ctx, a.Pool) }

// RequireSchema is instead of Prepare for what takes the database as it is: it changes nothing and locks nothing. A schema
// that is older than this binary is a *postgres.OlderError.
func (a *App) RequireSchema(ctx context.Context) error { return postgres.RequireCurrent(ctx, a.Pool) }

func (a *App) sync(ctx context.Context, c *config.Config, file []credential.Credential) error {
	var passive []string
	for name, p := range c.Providers {
		if p.Passive {
			passive = append(passive, name)
		}
	}
	actor := audit.Daemon
	if !a.Daemon {
		actor = access.Ourselves().Name
	}
	return a.Actions.Sync(ctx, actor, file, settings(c).Feeds, passive)
}

// tellable is the store of findings, which come with what a message says about their credential.
type tellable struct {
	*audit.Store
	a *App
}

// Finding loads a finding as receivers are told it.
func (t tellable) Finding(ctx context.Context, id int64) (finding.Finding, error) {
	f, err := t.a.Audit.Finding(ctx, id)
	if err == nil {
		f, err = t.a.about(ctx, f)
	}
	return f, postgres.Plain(err)
}

// about fills in what is registered of the credential of a finding, or of those of its provider.
func (a *App) about(ctx context.Context, f finding.Finding) (finding.Finding, error) {
	if f.Subject.Credential == "" {
		f.About.Owners = a.ownersOf(ctx, f.Evidence.Affected)
	}
	provider := a.config.Load().Providers[f.Subject.Provider]
	f.About.Console, f.About.Key = provider.ConsoleURL, provider.Kind == checker.APIKey
	c, err := a.Registry.Get(ctx, f.Subject.Credential)
	if errors.Is(err, registry.ErrNotFound) {
		return f, nil
	}
	if err != nil {
		return f, err
	}
	if f.About.InFile = c.Source == credential.FromFile; c.Secret.ReachesHost() {
		if f.About.Kept = c.Secret.String(); c.Secret.Scheme() == secret.SchemeExec { // a command may hold anything
			f.About.Kept = secret.SchemeExec
		}
	}
	f.About.Owner, f.About.Description, f.About.Scopes, f.About.Labels = c.Owner, c.Description, c.Scopes, c.Labels
	return f, nil
}

// mostOwned bounds the credentials whose owners a finding about a provider names.
const mostOwned = 50

// ownersOf are the owners of credentials, each once.
func (a *App) ownersOf(ctx context.Context, names []string) (owners []string) {
	for _, name := range names[:min(len(names), mostOwned)] {
		if c, err := a.Registry.Get(ctx, name); err == nil && c.Owner != "" { // one that is gone has none
			owners = append(owners, c.Owner)
		}
	}
	return slices.Compact(slices.Sorted(slices.Values(owners)))
}

// Finding returns a finding as receivers are told it: with what is registered of its credential and the console of
// its provider. The error wraps finding.ErrNotFound where there is none.
func (a *App) Finding(ctx context.Context, id int64) (finding.Finding, error) {
	return tellable{a.Audit, a}.Finding(ctx, id)
}

// Broken says why a daemon that has started cannot go on. What it says has to end it.
func (a *App) Broken() <-chan error { return a.broken }

// Config returns the configuration that is in force, without its credentials, which are in Registry. It is shared: do not
// change it.
func (a *App) Config() *config.Config { return a.config.Load() }

// Close lets go of the database, and stops the private one if this process started it. It may be
// called again.
func (a *App) Close() { a.ends.run() }

// SchemaVersion tells where the schema is. It returns postgres.ErrNewer where that is beyond this binary.
func (a *App) SchemaVersion(ctx context.Context) (postgres.Version, error) {
	return postgres.CurrentVersion(ctx, a.Pool)
}

func (a *App) recordNotification(ctx context.Context, tx pgx.Tx, act string, subject finding.Subject, detail any) error {
	e, err := audit.NewEntry(a.Now(), audit.Daemon, act, subject.Key(), detail)
	if err != nil {
		return err
	}
	return a.Audit.Append(ctx, tx, e)
}
