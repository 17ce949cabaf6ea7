package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/api"
	"github.com/keyrounds/keyrounds/app"
	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/rounds"
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
			if c, err := o.remote(); c != nil || err != nil {
				if err == nil {
					err = checkFrom(cmd, &there{c}, args, verbose, out)
				}
				return err
			}
			a, err := o.open(cmd.Context())
			if err != nil {
				return err
			}
			defer a.Close()
			creds, err := named(cmd.Context(), a, args)
			if err != nil {
				return err
			}
			calm := sayInterrupted(cmd)
			defer calm()
			var judged []rounds.Judged
			err = counting(cmd.ErrOrStderr(), len(creds), "checked", waitingFor(creds), func(at func(int)) error {
				return a.Actions.Check(cmd.Context(), creds, func(js []rounds.Judged) {
					judged = append(judged, js...)
					at(len(judged))
				})
			})
			if err != nil && len(judged) == 0 {
				return err
			}
			slices.SortFunc(judged, func(a, b rounds.Judged) int { return strings.Compare(a.Result.Credential, b.Result.Credential) })
			if verbose {
				printTraces(cmd.ErrOrStderr(), judged)
			}
			if cmd.Context().Err() != nil {
				fmt.Fprintln(cmd.ErrOrStderr(), notChecked(creds, judged))
			}
			if err := errors.Join(printChecks(cmd.OutOrStdout(), out, judged), err); err != nil {
				return err // of some that could be checked there are results, and of the others the reason
			}
			if slices.ContainsFunc(judged, func(j rounds.Judged) bool { return j.Result.Outcome != checker.OK }) {
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
func notChecked(creds []credential.Credential, judged []rounds.Judged) string {
	var names []string
	for _, c := range creds {
		if !slices.ContainsFunc(judged, func(j rounds.Judged) bool { return j.Result.CredentialID == c.ID }) {
			names = append(names, c.Name)
		}
	}
	switch {
	case len(names) == 0:
		return "all were checked"
	case len(names) > 10:
		return fmt.Sprintf("%d checked; not checked: %s and %d more", len(judged), joinComma(names[:10]), len(names)-10)
	}
	return fmt.Sprintf("%d checked; not checked: %s", len(judged), joinComma(names))
}

// waitingFor says whose answers are waited for.
func waitingFor(creds []credential.Credential) string {
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

// named are the credentials with these names, all where there are none. Each must be registered.
func named(ctx context.Context, a *app.App, names []string) ([]credential.Credential, error) {
	if len(names) == 0 {
		return a.Registry.List(ctx, false)
	}
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	chosen, err := a.Registry.Named(ctx, names)
	if err != nil {
		return nil, err
	}
	for _, n := range names {
		if !slices.ContainsFunc(chosen, func(c credential.Credential) bool { return c.Name == n }) {
			return nil, noCredential(ctx, a, n)
		}
	}
	return chosen, nil
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

func printChecks(w io.Writer, out output, judged []rounds.Judged) error {
	values := []api.CheckJSON{}
	for _, j := range judged {
		values = append(values, api.NewCheckJSON(j))
	}
	return tellChecks(w, out, values)
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

func printTraces(w io.Writer, judged []rounds.Judged) {
	for _, j := range judged {
		fmt.Fprintf(w, "%s at %s:\n", j.Result.Credential, j.Result.Provider)
		for _, line := range j.Result.Trace {
			fmt.Fprintf(w, "  %s\n", printable(line, false))
		}
	}
}
