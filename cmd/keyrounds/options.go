package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"slices"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/keyrounds/keyrounds/access"
	"github.com/keyrounds/keyrounds/app"
	"github.com/keyrounds/keyrounds/config"
)

// options are the flags of every command.
type options struct {
	configPath string
	server     string // "": see remote
	logLevel   string
}

var usualConfigs = []string{"keyrounds.yaml", "/etc/keyrounds/config.yaml"}

func (o *options) path() (string, error) {
	if o.configPath != "" {
		return o.configPath, nil
	}
	if p := os.Getenv("KEYROUNDS_CONFIG"); p != "" {
		return p, nil
	}
	for _, p := range usualConfigs {
		if _, err := os.Stat(p); err == nil {
			return p, nil
		}
	}
	return "", &hintError{
		errors.New("no configuration file was found"),
		"name one with --config; config.example.yaml shows every key, and `keyrounds demo` needs none",
	}
}

func (o *options) load() (*config.Config, string, error) { return o.loadBy(config.Load) }

func (o *options) loadBy(load func(path string) (*config.Config, error)) (*config.Config, string, error) {
	path, err := o.path()
	if err != nil {
		return nil, "", err
	}
	c, err := load(path)
	if errors.Is(err, os.ErrNotExist) {
		err = &hintError{err, "name the file with --config; config.example.yaml shows every key"}
	}
	return c, path, err
}

// level is that of --log-level, or else usual.
func (o *options) level(usual slog.Level) (*slog.LevelVar, error) {
	level := &slog.LevelVar{}
	level.Set(usual)
	if o.logLevel != "" && level.UnmarshalText([]byte(o.logLevel)) != nil {
		return nil, &hintError{fmt.Errorf("unknown log level %q", o.logLevel), "one of debug, info, warn, error"}
	}
	return level, nil
}

// overrule has --log-level win over log.level.
func (o *options) overrule(c *config.Config) {
	if o.logLevel != "" {
		_ = c.LogLevel.UnmarshalText([]byte(o.logLevel)) // level read it before
	}
}

// quiet is the log of commands: errors only, unless --log-level says more.
func (o *options) quiet() (*slog.Logger, error) {
	level, err := o.level(slog.LevelError)
	if err != nil {
		return nil, err
	}
	return logger(os.Stderr, level), nil
}

// logger writes text on a terminal, JSON otherwise.
func logger(w *os.File, level slog.Leveler) *slog.Logger {
	h := &slog.HandlerOptions{Level: level, ReplaceAttr: app.LogAttr}
	if isTerminal(w) {
		return slog.New(slog.NewTextHandler(w, h))
	}
	return slog.New(slog.NewJSONHandler(w, h))
}

func isTerminal(w io.Writer) bool {
	f, ok := fileOf(w)
	return ok && term.IsTerminal(int(f.Fd()))
}

// fileOf is the file that is written to in the end.
func fileOf(w io.Writer) (*os.File, bool) {
	if drawn, ok := w.(*frame); ok {
		return drawn.of, true
	}
	f, ok := w.(*os.File)
	return f, ok
}

// open opens the database for a command that changes something: it brings the schema and the registry up to date first, as
// the daemon does. A database that is away fails it.
func (o *options) open(ctx context.Context) (*app.App, error) {
	return o.openWith(ctx, config.Load, (*app.App).Prepare)
}

// openAsIs opens the database for a command that reads, or that changes what is there already: neither the schema nor the
// registry is touched.
func (o *options) openAsIs(ctx context.Context) (*app.App, error) {
	return o.openWith(ctx, config.LoadSettings, (*app.App).RequireSchema)
}

// settingsAnyhow reads a configuration for commands that need nothing of it but where the database is: they go on where the rest
// of the file is not valid, and say so.
func settingsAnyhow(cmd *cobra.Command, path string) (*config.Config, error) {
	c, err := config.LoadSettings(path)
	var invalid *config.Errors
	if !errors.As(err, &invalid) {
		return c, err
	}
	c, rescue := config.Rescue(path)
	if rescue != nil {
		return nil, err
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%s is not valid (see keyrounds config check); this goes on with the database that it names\n", path)
	return c, nil
}

func (o *options) openWith(
	ctx context.Context,
	load func(path string) (*config.Config, error),
	prepare func(*app.App, context.Context) error,
) (*app.App, error) {
	c, _, err := o.loadBy(load)
	if err != nil {
		return nil, err
	}
	return o.openConfig(ctx, c, prepare)
}

// openConfig opens the database of a configuration.
func (o *options) openConfig(ctx context.Context, c *config.Config, prepare func(*app.App, context.Context) error) (*app.App, error) {
	log, err := o.quiet()
	if err != nil {
		return nil, err
	}
	var a *app.App
	err = awaiting(os.Stderr, opening(c), func() (err error) {
		if a, err = app.Open(ctx, app.Options{Config: c, Version: buildVersion(), Log: log}); err != nil {
			return err
		}
		if err := a.Ping(ctx); err != nil {
			a.Close()
			return &hintError{err, "is the database running, and does database.url name it?"}
		}
		if err := prepare(a, ctx); err != nil {
			a.Close()
			return err
		}
		return nil
	})
	if path := socketOf(c); errors.Is(err, fs.ErrPermission) && path != "" {
		return nil, &hintError{err, "be the user of the daemon, or of a group that may use its socket " + path + " (access.socket_group)"}
	}
	if err != nil {
		return nil, err
	}
	return a, nil
}

// opening says what is waited for while the database is opened.
func opening(c *config.Config) string {
	switch {
	case !c.Database.IsZero():
		return "waiting for the database"
	case app.HasDatabase(c):
		return "waiting for the private Postgres in " + c.DataDir
	}
	return "making the private Postgres in " + c.DataDir
}

// actor names who runs a command, for the record.
func actor() string { return access.Ourselves().Name }

func oneOf(value string, allowed []string) error {
	if !slices.Contains(allowed, value) {
		return &hintError{fmt.Errorf("unknown output %q", value), "one of " + joinComma(allowed)}
	}
	return nil
}
