package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/api"
	"github.com/keyrounds/keyrounds/api/client"
	"github.com/keyrounds/keyrounds/secret"
)

// login is a daemon elsewhere, and the token that opens it.
type login struct {
	Server string
	Token  secret.Value
}

// loginText is how a login is kept.
type loginText struct {
	Server string `yaml:"server"`
	Token  string `yaml:"token"`
}

// loginFile is where a login is kept, readable by us alone.
func loginFile() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("where a login is kept is not known: %w", err)
	}
	return filepath.Join(dir, "keyrounds", "login.yaml"), nil
}

// readLogin returns the zero login where there is none.
func readLogin() (l login, err error) {
	path, err := loginFile()
	if err != nil {
		return l, nil //nolint:nilerr // no home: nobody has logged in
	}
	st, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return l, nil
	}
	if err != nil {
		return l, err
	}
	if st.Mode().Perm()&0o077 != 0 && runtime.GOOS != "windows" {
		return l, &hintError{
			fmt.Errorf("%s holds a token, and others can read it", path),
			"chmod 600 " + path + "; revoke the token if it was read",
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return l, err
	}
	defer clear(text)
	var kept loginText
	if yaml.Unmarshal(text, &kept) != nil {
		return l, &hintError{fmt.Errorf("%s cannot be read", path), "keyrounds login writes it anew"}
	}
	return login{kept.Server, secret.New([]byte(kept.Token))}, nil
}

func newLogin(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "login", Short: "Keep the address of a daemon elsewhere, and a token for it", Args: cobra.NoArgs,
		Long: "Keep the address of a daemon elsewhere (--server, or KEYROUNDS_SERVER), and a token for it, for the commands of this\n" +
			"machine: findings, silences, checks and lists then work from here, as the token's role allows. The token is asked for,\n" +
			"or read from standard input, tried, and kept in a file that you alone can read. keyrounds access tokens add makes one\n" +
			"on the machine of the daemon; so does the page /account.",
		Example: "  keyrounds login --server https://keyrounds.example.com\n  keyrounds status",
		RunE: func(cmd *cobra.Command, _ []string) error {
			l := login{Server: strings.TrimSuffix(cmp.Or(o.server, os.Getenv("KEYROUNDS_SERVER")), "/")}
			if l.Server == "" { // the one of before, if its file can be read
				l, _ = readLogin()
			}
			if l.Server == "" {
				return &hintError{errors.New("it is not said where"), "keyrounds login --server https://keyrounds.example.com"}
			}
			if strings.HasPrefix(l.Server, "unix:") {
				return &hintError{
					errors.New("a socket needs no login: it knows who you are"),
					"name it with --server, or in KEYROUNDS_SERVER",
				}
			}
			token, err := tokenOf(cmd)
			if err != nil {
				return err
			}
			defer token.Wipe()
			c, err := client.New(l.Server, token, agent())
			if err != nil {
				return err
			}
			var me api.Me
			if err := c.IsKeyrounds(cmd.Context()); err != nil {
				return plainly(err)
			}
			if err := c.Get(cmd.Context(), "/me", nil, &me); err != nil {
				return plainly(err)
			}
			path, err := keepLogin(login{l.Server, token})
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "you are %s at %s, with the role %s; the token is kept in %s\n",
				printable(me.Name, false), l.Server, printable(roleOf(me.Role, me.Owners), false), path)
			return nil
		},
	}
}

func tokenOf(cmd *cobra.Command) (secret.Value, error) {
	var text []byte
	var err error
	if f, ok := terminalOf(cmd); ok {
		text, err = hidden(cmd, f, "Token", "token")
	} else {
		text, err = io.ReadAll(io.LimitReader(cmd.InOrStdin(), 4096))
	}
	if err != nil {
		return secret.Value{}, err
	}
	defer clear(text)
	trimmed := strings.TrimSpace(string(text))
	if trimmed == "" {
		return secret.Value{}, &hintError{
			errors.New("no token was given"),
			"keyrounds access tokens add NAME, on the machine of the daemon, makes one",
		}
	}
	return secret.New([]byte(trimmed)), nil
}

// keepLogin writes the file whole, or not at all.
func keepLogin(l login) (path string, err error) {
	if path, err = loginFile(); err != nil {
		return path, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return path, err
	}
	text, err := yaml.Marshal(loginText{l.Server, l.Token.Reveal()})
	if err != nil {
		return path, err
	}
	defer clear(text)
	f, err := os.CreateTemp(filepath.Dir(path), ".login*") // 0600
	if err != nil {
		return path, err
	}
	defer os.Remove(f.Name()) // where it is not in place
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return path, err
	}
	return path, os.Rename(f.Name(), path)
}

func newLogout() *cobra.Command {
	return &cobra.Command{
		Use: "logout", Short: "Forget the login; the token stays in force until it ends or is revoked", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			path, err := loginFile()
			if err == nil {
				err = os.Remove(path)
			}
			if errors.Is(err, fs.ErrNotExist) {
				fmt.Fprintln(cmd.OutOrStdout(), "nobody has logged in from here")
				return nil
			}
			if err == nil {
				fmt.Fprintln(
					cmd.OutOrStdout(),
					"the login is forgotten; the token is in force until it ends: keyrounds access tokens revoke ends it",
				)
			}
			return err
		},
	}
}
