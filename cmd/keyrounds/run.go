package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/app"
	"github.com/keyrounds/keyrounds/config"
)

func newRun(o *options) *cobra.Command {
	var jobTimeout, rescueAfter time.Duration
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run the daemon",
		Long: "Run the daemon. SIGHUP, or a change of the configuration file, reloads it; a file with a mistake\n" +
			"changes nothing. SIGTERM lets the checks in flight end and stops within 15 s.\n\n" +
			"The log is text on a terminal and JSON otherwise. Traces (OpenTelemetry) go where the standard variables\n" +
			"OTEL_TRACES_EXPORTER, OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_TRACES_SAMPLER and their like say; without them nowhere.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, path, err := o.load()
			if err != nil {
				return err
			}
			level, err := o.level(slog.LevelInfo)
			if err != nil {
				return err
			}
			log := logger(os.Stderr, level)
			if os.Geteuid() == 0 {
				log.Warn("keyrounds runs as root, which it does not need: a user of its own is safer (docs/security.md)")
			}
			tuneMemory()
			return o.daemon(
				cmd.Context(),
				path,
				app.Options{Config: c, Log: log, Level: level, JobTimeout: jobTimeout, RescueAfter: rescueAfter},
			)
		},
	}
	// For the tests that kill it, which cannot wait for minutes.
	cmd.Flags().DurationVar(&jobTimeout, "job-timeout", 0, "how long a job may last")
	cmd.Flags().DurationVar(&rescueAfter, "rescue-after", 0, "when the jobs of a killed daemon are taken over")
	for _, name := range []string{"job-timeout", "rescue-after"} {
		_ = cmd.Flags().MarkHidden(name)
	}
	return cmd
}

// tuneMemory has the collector run when the heap is five times what lives, not twice: a check leaves 20 KB behind, and
// what lives is small. Near memoryLimit it runs as often as it must, so that a large registry does not take five times
// its size. GOGC and GOMEMLIMIT win where they are set.
func tuneMemory() {
	const memoryLimit = 200 << 20
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
}

func (o *options) daemon(ctx context.Context, path string, opts app.Options) error {
	c, log := opts.Config, opts.Log
	o.overrule(c)
	tracer, flush, err := tracing(ctx, log)
	if err != nil {
		return err
	}
	defer flush()
	for _, w := range c.Warnings {
		log.Warn("configuration", "file", w.File, "line", w.Line, "warning", w.Message, "hint", w.Hint)
	}
	if !app.HasDatabase(c) {
		log.Info("the private Postgres is made, which takes some seconds", "data_dir", c.DataDir)
	}
	if opts.File, err = filepath.Abs(path); err != nil {
		return err
	}
	opts.Version, opts.Tracer, opts.Daemon, opts.Confine = buildVersion(), tracer, true, confineCommand()
	a, err := app.Open(ctx, opts)
	if err != nil {
		return err
	}
	if err := a.Start(ctx); err != nil {
		a.Close()
		return err
	}
	log.Info("keyrounds is up", "listen", a.Addr(), "config", path, "version", buildVersion())
	going, end := context.WithCancelCause(ctx)
	defer end(nil)
	go func() {
		select {
		case err := <-a.Broken():
			end(err)
		case <-going.Done():
		}
	}()
	reloads(going, path, func() { o.reload(going, a, path, log) })
	log.Info("stopping")
	a.Stop()
	log.Info("stopped")
	if ctx.Err() == nil {
		return context.Cause(going)
	}
	return nil
}

func (o *options) reload(ctx context.Context, a *app.App, path string, log *slog.Logger) {
	c, err := config.Load(path)
	if err != nil {
		a.ReloadFailed(ctx, err)
		var many *config.Errors
		if errors.As(err, &many) {
			shown, more := many.Shown()
			for _, p := range shown {
				log.Error(
					"the configuration was not reloaded, the old one stays",
					"file", p.File,
					"line", p.Line,
					"column", p.Column,
					"problem", p.Message,
					"hint", p.Hint,
				)
			}
			if more != "" {
				log.Error("the configuration was not reloaded, the old one stays", "problem", more)
			}
			return
		}
		log.Error("the configuration was not reloaded, the old one stays", "error", err)
		return
	}
	o.overrule(c)
	credentials, providers := len(c.Credentials), len(c.Providers)
	if err := a.Reload(ctx, c); err != nil { // which lets go of c
		log.Error("the configuration was not reloaded, the old one stays", "error", err)
		return
	}
	log.Info("the configuration was reloaded", "credentials", credentials, "providers", providers)
}

// reloads calls f at SIGHUP and when the file's content has changed, until ctx ends. The content is
// compared, since mounted files are often replaced behind a link; and twice, since a file that is being written
// may be cut short.
func reloads(ctx context.Context, path string, f func()) {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	look := time.NewTicker(time.Second)
	defer look.Stop()
	known := content(path)
	last := known
	for {
		select {
		case <-ctx.Done():
			return
		case <-hup:
			known = content(path)
			f()
		case <-look.C:
			now := content(path)
			if now != known && now == last && now != [32]byte{} {
				known = now
				f()
			}
			last = now
		}
	}
}

func content(path string) (sum [32]byte) {
	f, err := os.Open(path)
	if err != nil {
		return sum
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err == nil {
		h.Sum(sum[:0])
	}
	return sum
}
