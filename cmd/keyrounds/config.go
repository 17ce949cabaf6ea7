package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/app"
	"github.com/keyrounds/keyrounds/config"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/secret"
)

func newConfig(o *options) *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "The configuration file: check, schema"}
	cmd.AddCommand(newConfigCheck(o), &cobra.Command{
		Use: "schema", Short: "Print the JSON schema of the configuration file, for editors", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			b, err := config.Schema()
			if err == nil {
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s\n", b)
			}
			return err
		},
	})
	return cmd
}

func newConfigCheck(o *options) *cobra.Command {
	var noSecrets bool
	var as string
	cmd := &cobra.Command{
		Use:   "check [FILE]",
		Short: "Check the configuration file, and what its schedules add up to",
		Long: "Check the configuration file: every problem at once, with its place. The secrets that it refers to are\n" +
			"read and dropped, exec: commands and those of Vault among them, and the logs, repositories, keys and files of\n" +
			"certificates that it names are opened; nothing else is asked or sent. What can be read is a matter of who\n" +
			"reads: root tries it as the user that will run the daemon by --user. Exit 0: valid; 2: not.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				o.configPath = args[0]
			}
			c, path, err := o.load()
			if err != nil {
				return err
			}
			if as != "" && !noSecrets {
				abs, err := filepath.Abs(path)
				if err == nil {
					err = checkAs(cmd.Context(), c, as, []string{"config", "check", "--config", abs})
				}
				if err != nil {
					return err
				}
			}
			secret.KeepInExec(c.ExecEnv)
			if !noSecrets {
				if err := app.ReadVault(c.Vault, time.Now); err != nil {
					return err
				}
				if err := readAll(cmd.Context(), c, path); err != nil {
					return err
				}
			}
			for _, w := range c.Warnings {
				fmt.Fprintf(cmd.ErrOrStderr(), "warning: %s\n", w)
			}
			return summarize(cmd.OutOrStdout(), c, path)
		},
	}
	cmd.Flags().BoolVar(&noSecrets, "no-secrets", false, "do not read the secrets, logs and repositories")
	cmd.Flags().StringVar(&as, "user", "", "read them as this user (root only)")
	return cmd
}

// readAll tries all that the file names on this host, and returns what cannot be read.
func readAll(ctx context.Context, c *config.Config, path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return config.Locate(path, text, unread(ctx, c))
}

func summarize(w io.Writer, c *config.Config, path string) error {
	fmt.Fprintf(
		w,
		"%s is valid; providers: %d, credentials: %d, feeds: %d, receivers: %d\n",
		path,
		len(c.Providers),
		len(c.Credentials),
		len(c.Feeds),
		len(c.ReceiverNames()),
	)
	if len(c.Providers) == 0 {
		return nil
	}
	var rows [][]string
	for _, name := range slices.Sorted(maps.Keys(c.Providers)) {
		p := c.Providers[name]
		n := 0
		next := time.Time{}
		for _, cred := range c.Credentials {
			if cred.Provider != name {
				continue
			}
			n++
			if s, err := credential.ParseSchedule(cred.Schedule, c.Zone); err == nil {
				if at := s.NextCheck(cred.Name, time.Now()); next.IsZero() || at.Before(next) {
					next = at
				}
			}
		}
		budget := "no limit"
		if p.Budget > 0 {
			budget = fmt.Sprint(p.Budget)
		}
		rows = append(
			rows,
			[]string{
				name,
				p.Preset,
				p.Way(),
				fmt.Sprint(n),
				fmt.Sprintf("%.0f", config.MonthlyRequests(p, c.Credentials)),
				budget,
				stamp(next),
			},
		)
	}
	columns := []string{"PROVIDER", "PRESET", "AUTH METHOD", "CREDENTIALS", "TOKENS A MONTH", "BUDGET", "NEXT CHECK"}
	if err := writeTable(w, columns, rows); err != nil || len(c.Credentials) == 0 {
		return err
	}
	fmt.Fprintln(w)
	return writeTable(w, []string{"SCHEDULE", "CREDENTIALS", "NEXT SLOTS (each credential has its own delay after them)"}, slots(c))
}

// slots lists the schedules, those of most credentials first, with their next three slots.
func slots(c *config.Config) [][]string {
	count := map[string]int{}
	for _, cred := range c.Credentials {
		count[cred.Schedule]++
	}
	var rows [][]string
	mostFirst := func(a, b string) int { return cmp.Or(count[b]-count[a], cmp.Compare(a, b)) }
	for _, expr := range slices.SortedFunc(maps.Keys(count), mostFirst) {
		s, err := credential.ParseSchedule(expr, c.Zone)
		if err != nil {
			continue
		}
		var next []string
		for at := s.Next(time.Now()); !at.IsZero() && len(next) < 3; at = s.Next(at) {
			next = append(next, at.In(c.Zone).Format("2006-01-02 15:04:05 MST"))
		}
		rows = append(rows, []string{expr, fmt.Sprint(count[expr]), strings.Join(next, ", ")})
	}
	return rows
}
