package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/action"
	"github.com/keyrounds/keyrounds/api"
	"github.com/keyrounds/keyrounds/api/client"
	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/decision"
	"github.com/keyrounds/keyrounds/notify"
	"github.com/keyrounds/keyrounds/report"
	"github.com/keyrounds/keyrounds/secret"
)

// desk is where the daily work is done: at the database of this machine's configuration (here), or at a daemon by its API,
// from another machine (there).
type desk interface {
	close()
	status(ctx context.Context) (api.StatusJSON, error)
	// findings lists up to f.Limit, and says how many there are.
	findings(ctx context.Context, f audit.Filter) (list []api.FindingJSON, total int, err error)
	finding(ctx context.Context, id int64) (api.FindingJSON, error)
	respond(ctx context.Context, d deed, id int64) (api.FindingJSON, error)
	credentials(ctx context.Context, retired bool, each func(api.CredentialJSON)) error
	// named returns an error that says which credential may have been meant, where none has the name.
	named(ctx context.Context, name string) error
	silence(ctx context.Context, s notify.Silence) (notify.Silence, error)
	silences(ctx context.Context, all bool) ([]notify.Silence, error)
	endSilence(ctx context.Context, id int64) (notify.Silence, error)
	decide(ctx context.Context, name string, c action.Choice) (decision.Decision, error)
	undecide(ctx context.Context, name string) (decision.Decision, error)
	decisions(ctx context.Context) ([]decision.Decision, error)
	// signOff signs off the report of a month, "": of the last one that is over.
	signOff(ctx context.Context, month string, r report.Review) (report.SignOff, error)
	notifications(ctx context.Context, limit int) ([]notify.Delivery, error)
}

// desk opens the desk that --server, KEYROUNDS_SERVER or a login names, and else the one here.
func (o *options) desk(cmd *cobra.Command) (desk, error) {
	c, err := o.remote()
	if err != nil {
		return nil, err
	}
	if c != nil {
		return &there{c}, nil
	}
	a, err := o.openAnyhow(cmd)
	if err != nil {
		return nil, err
	}
	return &here{a}, nil
}

// remote is a client of the daemon that was named; nil: none was.
func (o *options) remote() (*client.Client, error) {
	l, err := o.serverNamed()
	if err != nil || l.Server == "" {
		return nil, err
	}
	token := os.Getenv("KEYROUNDS_TOKEN")
	if token == "" {
		token = l.Token
	}
	return client.New(l.Server, secret.New([]byte(token)), "keyrounds/"+buildVersion())
}

// serverNamed is the daemon that --server or KEYROUNDS_SERVER name, with the token of a login there; or that of the login, where no
// configuration is named and none lies where it usually does.
func (o *options) serverNamed() (login, error) {
	server := o.server
	if server == "" {
		server = os.Getenv("KEYROUNDS_SERVER")
	}
	if server == "" {
		if _, err := o.path(); err == nil {
			return login{}, nil
		}
	}
	l, err := readLogin()
	switch {
	case err != nil:
		return login{}, err
	case server == "" || server == l.Server:
		return l, nil
	}
	return login{Server: strings.TrimSuffix(server, "/")}, nil
}

// atDesks are the commands that work at a desk, wherever it is. By their paths below keyrounds.
var atDesks = []string{
	"status", "check", "login", "logout", "credentials list", "credentials show", "findings list", "findings show",
	"findings ack", "findings unack", "findings snooze", "findings unsnooze", "findings false-alarm",
	"silence add", "silence list", "silence end", "notifications",
	"report unused", "report list", "report decide", "report undecide", "report decisions", "report signoff",
}

// ofThisMachine are the commands that have nothing to do with a daemon elsewhere, named or not.
var ofThisMachine = []string{
	"run", "demo", "config", "backup", "restore", "explain", "man", "version", "completion", "help", "init", "migrate", "ready", "confined",
	"__complete", "__completeNoDesc", "leaks scan", "report schema", "usage formats",
}

// whereItWorks refuses a command that works at the database only, where a daemon elsewhere is named: it would do it here instead.
func (o *options) whereItWorks(cmd *cobra.Command) error {
	path := strings.TrimPrefix(strings.TrimPrefix(cmd.CommandPath(), "keyrounds"), " ")
	begins := func(all []string) bool {
		for _, p := range all {
			if path == p || strings.HasPrefix(path, p+" ") {
				return true
			}
		}
		return path == ""
	}
	named := o.server != "" || os.Getenv("KEYROUNDS_SERVER") != ""
	if !named || begins(atDesks) || o.server == "" && begins(ofThisMachine) || !cmd.Runnable() {
		return nil
	}
	return &hintError{
		fmt.Errorf("keyrounds %s works on the machine of the daemon, and a daemon elsewhere is named (--server or KEYROUNDS_SERVER)", path),
		"run it there, or ask the API (docs/api.md); docs/access.md has the commands that work from elsewhere",
	}
}

// elsewhere is said of what only works beside the database.
func elsewhere(what string) error {
	return &hintError{errors.New(what + " works on the machine of the daemon only"), "leave it out, or run the command there"}
}
