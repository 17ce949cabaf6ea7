package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/access"
	"github.com/keyrounds/keyrounds/api"
	"github.com/keyrounds/keyrounds/api/client"
	"github.com/keyrounds/keyrounds/app"
	"github.com/keyrounds/keyrounds/config"
	"github.com/keyrounds/keyrounds/secret"
)

// desk is where people's work is done: at a daemon elsewhere, at the one on this machine, or in this process, where no daemon
// runs. Each is asked by the API, and by nothing else.
type desk struct {
	*client.Client
	elsewhere bool // it is on another machine
	close     func()
}

// desk opens the desk that --server, KEYROUNDS_SERVER or a login names, else that of the daemon beside us, else one in this process,
// which needs nothing of the configuration but where the database is.
func (o *options) desk(cmd *cobra.Command) (*desk, error) {
	return o.deskBy(cmd, func(path string) (*config.Config, error) {
		c, err := settingsAnyhow(cmd, path)
		if err == nil && c.Database.IsZero() && nothingIn(c.DataDir) { // a database would be made, to read nothing from it
			err = &hintError{fmt.Errorf("nothing is stored in %s yet", c.DataDir), "keyrounds run, or keyrounds check, begins with it"}
		}
		return c, err
	}, (*app.App).RequireSchema)
}

func nothingIn(dir string) bool {
	all, err := os.ReadDir(dir)
	return errors.Is(err, fs.ErrNotExist) || err == nil && len(all) == 0
}

func noPermission(dir string) bool {
	_, err := os.ReadDir(dir)
	return errors.Is(err, fs.ErrPermission)
}

// deskOfAll is desk for commands that may need the whole configuration. Where none runs beside us, the schema and the registry are
// brought up to date first, as a daemon does.
func (o *options) deskOfAll(cmd *cobra.Command) (*desk, error) {
	return o.deskBy(cmd, config.Load, (*app.App).Prepare)
}

func (o *options) deskBy(
	cmd *cobra.Command,
	load func(path string) (*config.Config, error),
	prepare func(*app.App, context.Context) error,
) (*desk, error) {
	remote, err := o.remote()
	if err != nil {
		return nil, err
	}
	if remote != nil {
		err := awaiting(cmd.ErrOrStderr(), "waiting for the daemon", func() error { return remote.IsKeyrounds(cmd.Context()) })
		if err != nil {
			return nil, plainly(err)
		}
		return &desk{remote, true, remote.Close}, nil
	}
	c, file, err := o.loadBy(load)
	if err != nil {
		return nil, err
	}
	if beside := beside(cmd, c, file); beside != nil {
		return &desk{beside, false, beside.Close}, nil
	}
	a, err := o.openConfig(cmd.Context(), c, prepare)
	if err != nil {
		return nil, err
	}
	return inProcess(a)
}

// remote is a client of the daemon that was named; nil: none was.
func (o *options) remote() (*client.Client, error) {
	l, err := o.serverNamed()
	if err != nil || l.Server == "" {
		return nil, err
	}
	return client.New(l.Server, l.bearer(), agent())
}

// bearer is the token that a daemon is asked with: KEYROUNDS_TOKEN, or else that of the login.
func (l login) bearer() secret.Value {
	if given := strings.TrimSpace(os.Getenv("KEYROUNDS_TOKEN")); given != "" {
		return secret.New([]byte(given))
	}
	return l.Token
}

func agent() string { return "keyrounds/" + buildVersion() }

// startsWithin is how long a daemon beside us that is starting is waited for.
const startsWithin = 30 * time.Second

// beside is a client of the daemon that runs by a configuration, and listens on its socket; nil: none does, or not for us. One that
// runs by another file has other credentials, maybe in another database.
func beside(cmd *cobra.Command, c *config.Config, file string) *client.Client {
	path := socketOf(c)
	if path == "" {
		return nil
	}
	found, err := client.New("unix:"+path, secret.Value{}, agent())
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), startsWithin)
	defer cancel()
	err = awaiting(cmd.ErrOrStderr(), "waiting for the daemon, which starts", func() error { return found.Started(ctx) })
	var v api.Version
	if err != nil || found.Get(ctx, "/version", nil, &v) != nil || !sameFile(v.Config, file) {
		found.Close()
		return nil
	}
	return found
}

// socketOf is where a daemon that runs by a configuration listens for this machine; "": nowhere.
func socketOf(c *config.Config) string {
	switch path := c.Access.Socket; path {
	case config.SocketOff:
		return ""
	case "":
		return filepath.Join(c.DataDir, app.SocketName)
	default:
		return path
	}
}

func sameFile(a, b string) bool {
	first, err := os.Stat(a)
	if err != nil {
		return false
	}
	second, err := os.Stat(b)
	return err == nil && os.SameFile(first, second)
}

// inProcess is the API of this process, by which whoever runs it is an admin.
func inProcess(a *app.App) (*desk, error) {
	ended := make(chan struct{})
	pipes := make(chan net.Conn)
	who := access.Ourselves()
	server := &http.Server{
		Handler: a.API(ended), ReadHeaderTimeout: time.Minute,
		ConnContext: func(ctx context.Context, _ net.Conn) context.Context { return access.With(ctx, who) },
	}
	go func() { _ = server.Serve(pipeListener{pipes, ended}) }()
	c, err := client.Over("keyrounds", func(ctx context.Context) (net.Conn, error) {
		ours, theirs := net.Pipe()
		select {
		case pipes <- theirs:
			return ours, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-ended:
			return nil, net.ErrClosed
		}
	}, agent())
	return &desk{c, false, func() {
		close(ended)
		_ = server.Close()
		a.Close()
	}}, err
}

// pipeListener accepts the pipes of this process.
type pipeListener struct {
	pipes chan net.Conn
	ended chan struct{}
}

func (l pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.pipes:
		return c, nil
	case <-l.ended:
		return nil, net.ErrClosed
	}
}

func (l pipeListener) Close() error { return nil }

func (l pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

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
	"status", "check", "login", "logout", "credentials", "findings", "silence", "notifications", "notify", "audit", "access",
	"explain", "report unused", "report list", "report decide", "report undecide", "report decisions", "report signoff", "report freeze",
	"report amend", "usage list", "usage show", "usage status", "usage unregistered", "leaks list", "leaks status", "leaks verify",
	"leaks hook",
}

// ofThisMachine are the commands that have nothing to do with a daemon elsewhere, named or not.
var ofThisMachine = []string{
	"run", "demo", "config", "backup", "restore", "man", "version", "completion", "help", "init", "ready", "confined",
	"__complete", "__completeNoDesc", "report schema", "usage formats",
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
