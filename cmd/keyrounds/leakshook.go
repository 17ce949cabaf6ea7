package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/api/client"
	"github.com/keyrounds/keyrounds/config"
	"github.com/keyrounds/keyrounds/leak/hook"
	"github.com/keyrounds/keyrounds/secret"
)

// hookKind is a hook of git.
type hookKind struct {
	name, what  string
	onFailure   string // where nothing says otherwise
	takes       string // arguments
	most        int    // of those
	example     string
	brought     func(ctx context.Context, args []string, in io.Reader) (*hook.Brought, error)
	wordsBefore string // what would happen
}

var hookKinds = []hookKind{
	{
		name: "pre-receive", what: "refuse a push to this server that brings a registered secret", onFailure: refuse,
		wordsBefore: "this push",
		example:     "  exec keyrounds --server unix:/run/keyrounds/keyrounds.sock leaks hook pre-receive",
		brought: func(ctx context.Context, _ []string, in io.Reader) (*hook.Brought, error) {
			return hook.PreReceive(ctx, in)
		},
	},
	{
		name: "pre-commit", what: "refuse a commit of a registered secret", onFailure: allow, wordsBefore: "this commit",
		takes: " [FILE...]", most: -1, // the framework pre-commit gives files
		example: "  exec keyrounds --server https://keyrounds.example.com leaks hook pre-commit",
		brought: func(ctx context.Context, _ []string, _ io.Reader) (*hook.Brought, error) { return hook.PreCommit(ctx) },
	},
	{
		name: "pre-push", what: "refuse to push a registered secret", onFailure: refuse, takes: " [REMOTE [URL]]", most: 2,
		wordsBefore: "this push",
		example:     `  exec keyrounds --server https://keyrounds.example.com leaks hook pre-push "$@"`,
		brought: func(ctx context.Context, args []string, in io.Reader) (*hook.Brought, error) {
			return hook.PrePush(ctx, append(args, "")[0], in)
		},
	},
}

// What a hook does where the daemon could not be asked.
const (
	refuse = "refuse"
	allow  = "allow"
)

func newLeaksHook(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "hook",
		Short: "Refuse commits and pushes that bring a registered secret, as a hook of git",
		Long: "Refuse commits and pushes that bring a registered secret. git runs this in a repository: docs/leaks.md has the hooks'\n" +
			"files. It sends what is new (files, names of files and refs, messages, authors) to the daemon, which searches it and\n" +
			"keeps nothing: neither a secret nor a fingerprint leaves the daemon, and no finding is opened, since nothing got out.",
	}
	for _, k := range hookKinds {
		cmd.AddCommand(newHook(o, k))
	}
	return cmd
}

// hookFlags are the flags of a hook.
type hookFlags struct {
	onFailure string
	tokenFile string
	timeout   time.Duration
}

func newHook(o *options, k hookKind) *cobra.Command {
	var f hookFlags
	cmd := &cobra.Command{
		Use:   k.name + k.takes,
		Short: strings.ToUpper(k.what[:1]) + k.what[1:],
		Long: "As git's hook " + k.name + ": " + k.what + ".\n\n" +
			"The daemon that --server or KEYROUNDS_SERVER names is asked, or the one that runs by the configuration of --config,\n" +
			"KEYROUNDS_CONFIG or /etc/keyrounds/config.yaml, on its socket; or that of keyrounds login. A keyrounds.yaml of the\n" +
			"repository is not read. A token with the role scanner is enough: keyrounds access tokens add git --role scanner.\n\n" +
			"Where the daemon cannot be asked, does not answer in time (--timeout), or cannot search all that is new, it says so, and\n" +
			k.wordsBefore + " is refused, or allowed, as --on-failure says, or else `git config keyrounds.onFailure`; by itself:\n" +
			k.onFailure + ".\n" +
			"What only could not be opened, such as an encrypted archive, is named and refuses nothing.\n\n" +
			"Exit 0: no secret, or it could not be asked and that is allowed; 1: there is a secret; 2: it could not be asked.",
		Example: "  #!/bin/sh\n" + k.example,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), f.timeout)
			defer cancel()
			onFailure, err := f.failure(ctx, k)
			if err != nil {
				return err
			}
			found, err := askAsHook(ctx, o, cmd, k, f, args)
			if err != nil {
				return couldNotAsk(cmd, k, onFailure, timely(ctx, err, f.timeout))
			}
			found.tell(ctx, cmd.ErrOrStderr(), k)
			if len(found.places) > 0 {
				return errFound
			}
			if found.tooLarge != "" {
				return couldNotAsk(cmd, k, onFailure, errors.New(found.tooLarge))
			}
			return nil
		},
	}
	switch {
	case k.most < 0:
		cmd.Args = cobra.ArbitraryArgs
	case k.most > 0:
		cmd.Args = cobra.MaximumNArgs(k.most)
	}
	about := "what to do where the daemon cannot be asked: refuse or allow (default " + k.onFailure + ")"
	cmd.Flags().StringVar(&f.onFailure, "on-failure", "", about)
	about = "read the token for --server from this file (default $KEYROUNDS_TOKEN, or that of the login)"
	cmd.Flags().StringVar(&f.tokenFile, "token-file", "", about)
	cmd.Flags().DurationVar(&f.timeout, "timeout", 5*time.Minute, "how long it may take in all")
	complete := cobra.FixedCompletions([]string{refuse, allow}, cobra.ShellCompDirectiveNoFileComp)
	_ = cmd.RegisterFlagCompletionFunc("on-failure", complete)
	return cmd
}

// failure is what to do where the daemon cannot be asked.
func (f hookFlags) failure(ctx context.Context, k hookKind) (string, error) {
	from, value := "--on-failure", f.onFailure
	if value == "" {
		from = "git config keyrounds.onFailure"
		text, _ := exec.CommandContext(ctx, "git", "config", "--get", "keyrounds.onFailure").Output()
		value = cmp.Or(strings.TrimSpace(string(text)), k.onFailure)
	}
	if value != refuse && value != allow {
		return "", &hintError{fmt.Errorf("%s is %q", from, printable(value, false)), "refuse or allow"}
	}
	return value, nil
}

// timely says that it took too long, where that is why.
func timely(ctx context.Context, err error, most time.Duration) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return &hintError{fmt.Errorf("it took more than %s", most), "--timeout allows more"}
	}
	return err
}

// couldNotAsk ends a hook that knows nothing.
func couldNotAsk(cmd *cobra.Command, k hookKind, onFailure string, err error) error {
	if cmd.Context().Err() != nil {
		return cmd.Context().Err()
	}
	w := cmd.ErrOrStderr()
	explainError(w, err)
	if onFailure == refuse {
		fmt.Fprintf(w, "keyrounds: %s was not searched for registered secrets, so it is refused\n", k.wordsBefore)
		return exitWith(exitError)
	}
	fmt.Fprintf(w, "keyrounds: warning: %s was not searched for registered secrets, and is allowed all the same\n", k.wordsBefore)
	return nil
}

// hookConfig is the only configuration that a hook reads without being told to: one that lies in the repository is anybody's.
const hookConfig = "/etc/keyrounds/config.yaml"

// daemonOfHook is a client of the daemon that a hook asks.
func daemonOfHook(o *options, cmd *cobra.Command, tokenFile string) (*client.Client, error) {
	server, named := cmp.Or(o.server, os.Getenv("KEYROUNDS_SERVER")), cmp.Or(o.configPath, os.Getenv("KEYROUNDS_CONFIG"))
	if server == "" && named == "" {
		if _, err := os.Stat(hookConfig); err == nil {
			named = hookConfig
		}
	}
	if server == "" && named != "" {
		besides := *o
		besides.configPath = named
		c, file, err := besides.loadBy(func(path string) (*config.Config, error) { return settingsAnyhow(cmd, path) })
		if err != nil {
			return nil, err
		}
		if found := beside(cmd, c, file); found != nil {
			return found, nil
		}
		return nil, &hintError{
			fmt.Errorf("no daemon runs by %s, or its socket is not for you", file),
			"--server names a daemon, such as unix:/run/keyrounds/keyrounds.sock; access: {socket_group: …} says who may",
		}
	}
	l, err := readLogin()
	switch {
	case err != nil && tokenFile == "":
		return nil, err
	case server == "":
		server = l.Server
	case server != l.Server:
		l = login{}
	}
	if server == "" {
		return nil, &hintError{errors.New("it is not said which daemon"), "--server names it, or KEYROUNDS_SERVER, or keyrounds login"}
	}
	token := l.bearer()
	if tokenFile != "" {
		if token, err = readToken(tokenFile); err != nil {
			return nil, err
		}
	}
	return client.New(strings.TrimSuffix(server, "/"), token, agent())
}

// readToken reads a token from a file that not everybody can read.
func readToken(path string) (secret.Value, error) {
	f, err := os.Open(path)
	if err != nil {
		return secret.Value{}, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return secret.Value{}, err
	}
	if st.Mode().Perm()&0o007 != 0 && st.Mode()&fs.ModeType == 0 && runtime.GOOS != "windows" {
		return secret.Value{}, &hintError{
			fmt.Errorf("%s holds a token, and everybody can read it", path), "chmod o= " + path + "; revoke the token if it was read",
		}
	}
	text, err := io.ReadAll(io.LimitReader(f, 4096))
	defer clear(text)
	if err != nil {
		return secret.Value{}, err
	}
	trimmed := strings.TrimSpace(string(text))
	if trimmed == "" {
		return secret.Value{}, fmt.Errorf("%s has no token", path)
	}
	return secret.New([]byte(trimmed)), nil
}
