package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/keyrounds/keyrounds/app"
	"github.com/keyrounds/keyrounds/config"
	"github.com/keyrounds/keyrounds/secret"
)

// patient is what the doctor looks at: the configuration, as far as it can be read, and the database that it names.
type patient struct {
	*options
	log    *slog.Logger
	config *config.Config // nil: it cannot even be told where the database is
}

// examinations reads the configuration, and lists what can be looked at with it.
func (p *patient) examinations() []examination {
	of, whole := p.readConfig()
	said := func(r remark) examination {
		return examination{r.Check, func(context.Context) []remark { return []remark{r} }}
	}
	all := []examination{said(of)}
	if p.config == nil {
		return append(all, said(remark{
			Check: "rest", Result: warning, Message: "nothing else was looked at, since it stands in the configuration",
			Advice: "fix the configuration, and run keyrounds doctor again",
		}))
	}
	secret.KeepInExec(p.config.ExecEnv)
	if whole {
		all = append(all, examination{"secrets", p.secrets})
	}
	all = append(all, examination{"disk", p.disk}, examination{"database", p.database})
	if !whole {
		return append(all, said(remark{
			Check: "rest", Result: warning,
			Message: "providers, receivers, the daemon's address and secrets were not looked at, since the configuration is not valid",
			Advice:  "fix the configuration, and run keyrounds doctor again",
		}))
	}
	all = append(all, examination{"daemon", p.daemon}, examination{"certificate", p.certificate})
	for _, name := range slices.Sorted(maps.Keys(p.config.Providers)) {
		all = append(all, examination{"provider " + name, p.provider(p.config.Providers[name])})
	}
	return append(all, p.receivers()...)
}

// readConfig reads the file; whole: it is valid.
func (p *patient) readConfig() (_ remark, whole bool) {
	r := remark{Check: "configuration", Result: failed}
	c, path, err := p.load()
	var invalid *config.Errors
	var hinted interface{ Hint() string }
	switch {
	case errors.As(err, &invalid):
		first := invalid.Problems[0]
		r.Message = fmt.Sprintf("%s is not valid (problems: %d): line %d: %s", path, len(invalid.Problems), first.Line, first.Message)
		r.Advice = "keyrounds config check shows each with its place"
		if first.Hint != "" {
			r.Advice = first.Hint + "; " + r.Advice
		}
		if c, err := config.Rescue(path); err == nil {
			p.config = c
		}
		return r, false
	case err != nil:
		r.Message = err.Error()
		if r.Advice = "name a file that can be read with --config"; errors.As(err, &hinted) {
			r.Advice = hinted.Hint()
		}
		return r, false
	}
	p.config = c
	r.Result = fine
	r.Message = fmt.Sprintf("%s is valid; providers: %d, credentials: %d, feeds: %d, receivers: %d",
		path, len(c.Providers), len(c.Credentials), len(c.Feeds), len(c.ReceiverNames()))
	if n := len(c.Warnings); n > 0 {
		w := c.Warnings[0]
		r.Result = warning
		r.Message += fmt.Sprintf("; warnings: %d, the first: line %d: %s", n, w.Line, w.Message)
		r.Advice = "keyrounds config check shows them"
	}
	return r, true
}

// secrets reads all that the configuration names on this host, as config check does.
func (p *patient) secrets(ctx context.Context) []remark {
	r := remark{Check: "secrets", Result: fine}
	if err := app.ReadVault(p.config.Vault, time.Now); err != nil {
		return []remark{{Check: "secrets", Result: failed, Message: err.Error(), Advice: "correct vault in the configuration"}}
	}
	bad := unread(ctx, p.config)
	r.Message = fmt.Sprintf("all that the configuration names on this host can be read; secrets: %d", len(references(p.config)))
	if len(bad) > 0 {
		r.Result = failed
		r.Message = fmt.Sprintf("what cannot be read here: %d, such as %s: %v", len(bad), bad[0].Path, bad[0].Err)
		r.Advice = "keyrounds config check shows each; run it as the daemon's user and with its environment, since only that counts"
		if os.Geteuid() == 0 {
			r.Advice = "keyrounds config check --user NAME shows each, as the daemon's user NAME"
		}
	}
	return []remark{r}
}
