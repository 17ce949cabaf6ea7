package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/config"
)

func newReady(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "ready",
		Short: "Ask the daemon on this machine whether it is ready, for health checks of containers",
		Long: "Ask the daemon on this machine whether it is ready: its database answers, and the schema is current. It is\n" +
			"asked on debug.listen, which needs no sign-in, or else on listen. Exit status 1: it is not;\n" +
			"2: nobody answers there, or it cannot be asked.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, _, err := o.load()
			if err != nil {
				return err
			}
			switch not, err := askReady(cmd.Context(), c); {
			case errors.Is(err, errNoDaemon):
				return &hintError{err, "does one run here with this configuration?"}
			case errors.Is(err, errSignIn):
				hint := ""
				if c.DebugListen == "" {
					hint = "give debug.listen in the configuration: there no sign-in is asked for"
				}
				return &hintError{err, hint}
			case err != nil:
				return err
			case not != "":
				fmt.Fprintln(cmd.OutOrStdout(), not)
				return errFound
			}
			fmt.Fprintln(cmd.OutOrStdout(), "ready")
			return nil
		},
	}
}

var (
	errNoDaemon = errors.New("no daemon answers")
	errSignIn   = errors.New("the daemon asks for sign-in or TLS")
)

// askReady asks the daemon on this machine whether it is ready, and returns why it is not; "": it is. The error wraps errNoDaemon
// where nobody answers, and errSignIn where who asks has to sign in.
func askReady(ctx context.Context, c *config.Config) (not string, err error) {
	address := cmp.Or(c.DebugListen, c.Listen)
	client := &http.Client{Timeout: 5 * time.Second}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/readyz", nil)
	if err != nil {
		return "", err
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", fmt.Errorf("%w on %s", errNoDaemon, address)
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 1000))
	switch resp.StatusCode {
	case http.StatusOK:
		return "", nil
	case http.StatusServiceUnavailable:
		return cmp.Or(printable(strings.TrimSpace(string(text)), false), "it does not say why"), nil
	case http.StatusUnauthorized, http.StatusBadRequest:
		return "", fmt.Errorf("%w on %s", errSignIn, address)
	}
	return "", fmt.Errorf("%s answers HTTP %d", address, resp.StatusCode)
}
