// Package demo shows all of keyrounds on one machine: the real daemon with its private Postgres, beside a
// simulated provider and a simulated Slack, and a story that happens to them.
//
// It is a show, and no part of the daemon: nothing imports it but the command.
package demo

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/keyrounds/keyrounds/app"
	"github.com/keyrounds/keyrounds/config"
	"github.com/keyrounds/keyrounds/finding"
)

// Options of Run.
type Options struct {
	Out  io.Writer
	For  time.Duration // it ends so long after the first line of its story; 0: it goes on until ctx ends
	Keep bool          // the directory with the database, configuration and log stays
	// Credentials are so many more than those of the story.
	Credentials int
	// Daemon returns the options of the daemon, which logs to log, and what ends what they began. Config,
	// Daemon, Tick and Judge are set here.
	Daemon func(ctx context.Context, log *os.File) (o app.Options, end func(), err error)
	Actor  string                             // who does what the story does by commands
	Paint  func(code, text string) string     // colours a text with an ANSI code, or leaves it
	Proof  func(string, finding.Death) string // the proof that a credential's secret is dead, as text
}

// Run shows the demo until ctx ends. An error says why it could not begin.
func Run(ctx context.Context, o Options) error {
	dir, err := os.MkdirTemp("", "keyrounds-demo-")
	if err != nil {
		return err
	}
	if !o.Keep {
		defer os.RemoveAll(dir)
	}
	if err := os.Chmod(dir, 0o711); err != nil { // an unprivileged Postgres passes through
		return err
	}
	stage, err := setStage(ctx, dir)
	if err != nil {
		return err
	}
	defer stage.close()
	c, err := config.Load(stage.config)
	if err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(dir, "keyrounds.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	daemon, end, err := o.Daemon(ctx, log)
	if err != nil {
		return err
	}
	defer end()
	daemon.Config, daemon.File, daemon.Daemon, daemon.Tick, daemon.Judge = c, stage.config, true, time.Second, 3*time.Second
	entrance := newEntrance()
	daemon.Enter, daemon.Stderr = entrance.enter, io.Discard
	fmt.Fprintln(o.Out, "starting a private Postgres …")
	a, err := app.Open(ctx, daemon)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	defer a.Stop()
	if err := a.Start(ctx); err != nil {
		return err
	}
	for a.RequireSchema(ctx) != nil && ctx.Err() == nil { // it is being made
		time.Sleep(tick)
	}
	if ctx.Err() != nil {
		return nil
	}
	password, err := entrance.open(ctx, a, dir)
	if err != nil {
		return err
	}
	t := newTeller(o, a, stage)
	t.introduce(dir, entrance.token, password)
	if o.Credentials > 0 {
		fmt.Fprintf(o.Out, "registering %d credentials more …\n", o.Credentials)
		if err := addFleet(ctx, a, stage.provider, o.Credentials); err != nil {
			return err
		}
	}
	if o.For > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.For)
		defer cancel()
	}
	t.play(ctx)
	t.summarize()
	return nil
}
