package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func newReady(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "ready",
		Short: "Ask the daemon on this machine whether it is ready, for health checks of containers",
		Long: "Ask the daemon on this machine whether it is ready: its database answers, and the schema is current. It is\n" +
			"asked on debug.listen, which needs no sign-in, or else on listen. Exit status 1: it is not.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, _, err := o.load()
			if err != nil {
				return err
			}
			address, hint := c.DebugListen, ""
			if address == "" {
				address, hint = c.Listen, "give debug.listen in the configuration: there no sign-in is asked for"
			}
			client := &http.Client{Timeout: 5 * time.Second}
			req, err := http.NewRequestWithContext(cmd.Context(), http.MethodGet, "http://"+address+"/readyz", nil)
			if err != nil {
				return err
			}
			resp, err := client.Do(req)
			if err != nil {
				return &hintError{fmt.Errorf("no daemon answers on %s", address), "does one run here with this configuration?"}
			}
			defer resp.Body.Close()
			text, _ := io.ReadAll(io.LimitReader(resp.Body, 1000))
			switch resp.StatusCode {
			case http.StatusOK:
				fmt.Fprintln(cmd.OutOrStdout(), "ready")
				return nil
			case http.StatusServiceUnavailable:
				fmt.Fprintln(cmd.OutOrStdout(), printable(strings.TrimSpace(string(text)), false))
				return errFound
			case http.StatusUnauthorized, http.StatusBadRequest:
				return &hintError{errors.New("the daemon asks for sign-in or TLS on " + address), hint}
			}
			return fmt.Errorf("%s answers HTTP %d", address, resp.StatusCode)
		},
	}
}
