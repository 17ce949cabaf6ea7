package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/api"
	"github.com/keyrounds/keyrounds/checker"
)

func newCheck(o *options) *cobra.Command {
	var (
		out     output
		verbose bool
	)
	cmd := &cobra.Command{
		Use:   "check [NAME...]",
		Short: "Check credentials now, all or those named",
		Long: "Check credentials now, whatever their schedules say, and judge and record the results as any round\n" +
			"does. While a daemon runs it makes the checks, with the secrets that it reads; otherwise this process\n" +
			"does, and what it cannot read is shown and not recorded. Exit 0: all are ok; 1: something is not; 2: it\n" +
			"could not be done, of all or of some.",
		Example: "  keyrounds check\n  keyrounds check -v ats-sync\n  keyrounds check -o json | jq '.[] | select(.outcome != \"ok\")'",
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := o.deskOfAll(cmd)
			if err != nil {
				return err
			}
			defer d.close()
			creds, err := d.toCheck(cmd.Context(), args)
			if err != nil {
				return err
			}
			calm := sayInterrupted(cmd)
			defer calm()
			var checks []api.CheckJSON
			err = counting(cmd.ErrOrStderr(), len(creds), "checked", waitingFor(creds), func(at func(int)) error {
				return d.check(cmd.Context(), args, verbose, func(c api.CheckJSON) {
					checks = append(checks, c)
					at(len(checks))
				})
			})
			if (err != nil && len(creds) > 1 || cmd.Context().Err() != nil) && !answered(err, http.StatusConflict) {
				fmt.Fprintln(cmd.ErrOrStderr(), notChecked(creds, checks))
			}
			if err != nil && len(checks) == 0 {
				return err
			}
			slices.SortFunc(checks, func(a, b api.CheckJSON) int { return strings.Compare(a.Credential, b.Credential) })
			for i := range checks {
				printTrace(cmd.ErrOrStderr(), checks[i])
				checks[i].Trace = nil
			}
			out.none = d.none("no credential is registered")
			if err := errors.Join(tellChecks(cmd.OutOrStdout(), out, checks), err); err != nil {
				return err // of some that could be checked there are results, and of the others the reason
			}
			if slices.ContainsFunc(checks, func(c api.CheckJSON) bool { return c.Outcome != string(checker.OK) }) {
				return errFound
			}
			return nil
		},
	}
	out.flags(cmd, "table", "json", "csv")
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "show how each answer was read, on standard error")
	return cmd
}

// sayInterrupted says at Ctrl-C that what is under way is waited for. The function that it returns ends that.
func sayInterrupted(cmd *cobra.Command) (end func() bool) {
	return context.AfterFunc(cmd.Context(), func() {
		fmt.Fprintf(cmd.ErrOrStderr(),
			"\ninterrupted: no further check begins; those under way end within %s (Ctrl-C again: at once)\n", checker.Timeout)
	})
}

// notChecked names the credentials that an interrupted command did not come to.
func notChecked(creds []api.CredentialJSON, checks []api.CheckJSON) string {
	var names []string
	for _, c := range creds {
		if !slices.ContainsFunc(checks, func(done api.CheckJSON) bool { return done.Credential == c.Name }) {
			names = append(names, c.Name)
		}
	}
	switch {
	case len(names) == 0:
		return "all were checked"
	case len(names) > 10:
		return fmt.Sprintf("%d checked; not checked: %s and %d more", len(checks), joinComma(names[:10]), len(names)-10)
	}
	return fmt.Sprintf("%d checked; not checked: %s", len(checks), joinComma(names))
}

// waitingFor says whose answers are waited for.
func waitingFor(creds []api.CredentialJSON) string {
	var names []string
	for _, c := range creds {
		if !slices.Contains(names, c.Provider) {
			names = append(names, c.Provider)
		}
	}
	if len(names) > 3 {
		return fmt.Sprintf("waiting for %d providers", len(names))
	}
	return "waiting for " + joinComma(names)
}

func orNull[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

func orEmpty[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

func tellChecks(w io.Writer, out output, checks []api.CheckJSON) error {
	var rows [][]string
	for _, c := range checks {
		reason := ""
		if c.Reason != nil {
			reason = *c.Reason
		}
		latency := out.unit(fmt.Sprintf("%.1f", c.LatencyMS), "ms")
		rows = append(rows, []string{c.Credential, c.Outcome, reason, c.Status, latency, c.Message})
	}
	return out.list(w, []string{"CREDENTIAL", "OUTCOME", "REASON", "STATUS", "LATENCY", "MESSAGE"}, rows, checks)
}

func printTrace(w io.Writer, c api.CheckJSON) {
	if c.Trace == nil {
		return
	}
	fmt.Fprintf(w, "%s at %s:\n", c.Credential, c.Provider)
	for _, line := range c.Trace {
		fmt.Fprintf(w, "  %s\n", printable(line, false))
	}
}
