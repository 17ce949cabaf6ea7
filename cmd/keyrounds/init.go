package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/action"
	"github.com/keyrounds/keyrounds/api"
	"github.com/keyrounds/keyrounds/app"
	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/config"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/rounds"
	"github.com/keyrounds/keyrounds/secret"
)

// first is what a first configuration needs to be told.
type first struct {
	preset, tokenURL, authMethod string
	private                      bool
	provider                     string // its name
	credential                   config.CredentialIn
	slackToken, slackChannel     string
	dataDir, database            string

	path  string
	force bool
	typed secret.Value // empty: credential.Secret says where it is
}

func newInit(o *options) *cobra.Command {
	var in first
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Write a first configuration file, and try it",
		Long: "Write a first configuration file: keyrounds.yaml, or what --config or $KEYROUNDS_CONFIG names. On a terminal what no\n" +
			"flag says is asked for; elsewhere flags say it, and standard input has the secret unless --secret says where it is. A\n" +
			"secret that is typed or piped is sealed in the database, which is made for that; it is never a flag. Then one token is\n" +
			"asked for, and shown as keyrounds check shows it. Who is interrupted, or gives what is not valid, finds nothing\n" +
			"changed.\n\n" +
			"Exit 0: it is written, and a token came; 1: it is written, and no token came; 2: it is not written; 130: interrupted.",
		Example: "  keyrounds init\n" +
			"  keyrounds init --preset smartrecruiters --name ats-sync --client-id 82e4… --secret env:ATS_SYNC_SECRET",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			defer func() { in.typed.Wipe() }()
			in.path = cmp.Or(o.configPath, os.Getenv("KEYROUNDS_CONFIG"), usualConfigs[0])
			if _, err := os.Lstat(in.path); !in.force && !errors.Is(err, fs.ErrNotExist) {
				return in.exists(err)
			}
			if err := in.ask(cmd); err != nil {
				return err
			}
			text, err := in.text()
			if err != nil {
				return err
			}
			c, err := config.Parse(in.path, text)
			if err != nil {
				return err
			}
			for _, w := range c.Warnings {
				fmt.Fprintf(cmd.ErrOrStderr(), "warning: %s\n", w)
			}
			result, err := in.try(cmd, c)
			if err != nil {
				return err
			}
			if err := in.keep(cmd, o, c, text); err != nil {
				return err
			}
			fmt.Fprint(cmd.OutOrStdout(), in.next(c, result))
			if result != nil && result.Outcome != checker.OK {
				return errFound
			}
			return nil
		},
	}
	takesPassphrase(cmd)
	tries(cmd)
	f := cmd.Flags()
	f.BoolVar(&in.force, "force", false, "write over a file that is there")
	f.StringVar(&in.preset, "preset", "", "what kind of provider it is, as keyrounds explain --list has them")
	f.StringVar(&in.tokenURL, "token-url", "", "its token endpoint, where the preset has none")
	f.StringVar(&in.authMethod, "auth-method", "", "how the client authenticates (default that of the preset, else client_secret_post)")
	f.BoolVar(&in.private, "allow-private-networks", false, "the provider may be on a private network")
	f.StringVar(&in.provider, "provider-name", "", "what to call the provider (default the preset, or its host)")
	f.StringVar(&in.credential.Name, "name", "", "what to call the credential")
	f.StringVar(&in.credential.ClientID, "client-id", "", "client id")
	f.StringVar(&in.credential.Secret, "secret", "", "where the secret is: env:NAME, file:/path and so on; never the secret itself")
	f.StringSliceVar(&in.credential.Scopes, "scopes", nil, "declared scopes")
	f.StringVar(&in.credential.Owner, "owner", "", "team or person")
	f.StringVar(&in.slackChannel, "slack-channel", "", "where findings are told")
	f.StringVar(&in.slackToken, "slack-token", "", "where the bot token is: env:NAME, file:/path and so on")
	f.StringVar(&in.dataDir, "data-dir", "", "directory of the private Postgres and the sealing key")
	f.StringVar(&in.database, "database-url", "", "where the URL of your own Postgres is, such as env:DATABASE_URL (default a private one)")
	return cmd
}

func (in *first) exists(err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", in.path, unnamed(err))
	}
	return &hintError{
		fmt.Errorf("%s exists already", in.path),
		"--force writes over it; keyrounds credentials add registers one more credential",
	}
}

// try asks for one token, and shows what came. nil: it was not tried.
func (in *first) try(cmd *cobra.Command, c *config.Config) (*checker.Result, error) {
	if off, _ := cmd.Flags().GetBool(noCheckFlag); off {
		return nil, nil
	}
	cred := c.Credentials[0]
	p := c.Providers[cred.Provider]
	if p.Passive {
		return nil, nil
	}
	secret.KeepInExec(c.ExecEnv)
	if err := app.ReadVault(c.Vault, time.Now); err != nil {
		return nil, err
	}
	read := func(ctx context.Context) (secret.Value, error) {
		if in.typed.IsZero() {
			return secret.ResolveKey(ctx, cred.Secret, cred.KeyPassphrase)
		}
		return secret.New([]byte(in.typed.Reveal())), nil
	}
	var r checker.Result
	_ = awaiting(cmd.ErrOrStderr(), "waiting for "+p.Name, func() error {
		r = checker.New(checker.Options{Version: buildVersion(), Now: time.Now}).
			Check(cmd.Context(), p, checker.Target{Credential: cred, Secret: read})
		return nil
	})
	if cmd.Context().Err() != nil {
		return nil, errInterrupted
	}
	shown := output{format: "table", columns: []string{"credential", "outcome", "reason", "latency", "message"}}
	return &r, tellChecks(cmd.OutOrStdout(), shown, []api.CheckJSON{api.NewCheckJSON(rounds.Judged{Result: r})})
}

// keep stores a secret that was typed, and writes the file last: where either fails nothing is left.
func (in *first) keep(cmd *cobra.Command, o *options, c *config.Config, text []byte) (err error) {
	if !in.typed.IsZero() {
		made := missing(c.DataDir)
		defer func() {
			if err != nil && made != "" {
				_ = os.RemoveAll(made)
			}
		}()
		err = func() error {
			a, err := o.openConfig(cmd.Context(), c, func(a *app.App, ctx context.Context) error { return prepareNew(ctx, a) })
			if err != nil {
				return err
			}
			defer a.Close()
			return a.Actions.Rotate(cmd.Context(), actor(), c.Credentials[0].Name, "", time.Time{}, in.typed, action.AsScheduled)
		}()
	}
	switch {
	case cmd.Context().Err() != nil:
		return errInterrupted
	case err != nil:
		return err
	}
	return in.write(text)
}

// prepareNew is Prepare of a database that has no credentials of another file, which would be retired.
func prepareNew(ctx context.Context, a *app.App) error {
	v, err := a.SchemaVersion(ctx)
	if err != nil {
		return err
	}
	if v.Current > 0 {
		have, err := a.Registry.List(ctx, false)
		if err != nil {
			return err
		}
		for _, c := range have {
			if c.Source == credential.FromFile {
				return &hintError{
					fmt.Errorf("the database has credentials of another configuration file already, such as %q", c.Name),
					"name another --data-dir or --database-url, or add the credential to that file",
				}
			}
		}
	}
	return a.Prepare(ctx)
}

// missing is the topmost directory of a path that there is not; "": all are there.
func missing(dir string) (top string) {
	for at := filepath.Clean(dir); ; at = filepath.Dir(at) {
		if _, err := os.Lstat(at); err == nil || at == filepath.Dir(at) {
			return top
		}
		top = at
	}
}

// write has only its owner read the file.
func (in *first) write(text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(in.path), ".keyrounds-*.yaml") // with mode 0600
	if err != nil {
		return fmt.Errorf("%s: %w", in.path, unnamed(err))
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Sync(), f.Close())
	switch {
	case err != nil:
	case in.force:
		err = os.Rename(f.Name(), in.path)
	default:
		err = os.Link(f.Name(), in.path) // which fails where one came meanwhile
	}
	_ = os.Remove(f.Name())
	if errors.Is(err, fs.ErrExist) {
		return in.exists(nil)
	}
	return err
}

// next says what was written and what to do now.
func (in *first) next(c *config.Config, r *checker.Result) string {
	with := ""
	if in.path != usualConfigs[0] {
		with = " -c " + in.path
	}
	said := in.path + " is written, for you alone to read.\n"
	switch {
	case r == nil:
	case r.Outcome != checker.OK:
		said += fmt.Sprintf("No token came. Correct the file, or the secret, and try it again: keyrounds check%s\n", with)
	}
	return said + fmt.Sprintf(`Next:
  keyrounds run%s       checks it by its schedule; the pages are on http://%s
  keyrounds doctor%s    looks at all that is needed
`, with, c.Listen, with)
}
