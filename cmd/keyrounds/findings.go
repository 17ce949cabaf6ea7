package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/api"
	"github.com/keyrounds/keyrounds/app"
	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/notify"
)

func newFindings(o *options) *cobra.Command {
	cmd := &cobra.Command{Use: "findings", Short: "What someone should know: list, show, ack, snooze, false-alarm, precision"}
	cmd.AddCommand(
		newFindingsList(o),
		newFindingsShow(o),
		newFindingsAck(o),
		newFindingsSnooze(o),
		newFindingsFalseAlarm(o),
		newFindingsPrecision(o),
	)
	return cmd
}

func newFindingsList(o *options) *cobra.Command {
	var (
		out    output
		filter audit.Filter
		kind   string
	)
	cmd := &cobra.Command{
		Use: "list", Short: "List findings, the most severe first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := o.openAsIs(cmd.Context())
			if err != nil {
				return err
			}
			defer a.Close()
			filter.Kind = finding.Kind(kind)
			list, err := a.Audit.Findings(cmd.Context(), filter)
			if err != nil {
				return err
			}
			values := []api.FindingJSON{}
			var rows [][]string
			for _, f := range list {
				values = append(values, api.NewFindingJSON(f))
				rows = append(
					rows,
					[]string{
						strconv.FormatInt(f.ID, 10),
						string(f.Severity),
						string(f.Kind),
						f.Subject.Name(),
						f.Subject.Provider,
						string(f.State),
						stamp(f.OpenedAt),
						stamp(f.ResolvedAt),
					},
				)
			}
			if len(rows) == 0 && out.format == "table" {
				fmt.Fprintln(cmd.OutOrStdout(), "no findings")
				return nil
			}
			return out.list(
				cmd.OutOrStdout(),
				[]string{"ID", "SEVERITY", "KIND", "SUBJECT", "PROVIDER", "STATE", "OPENED", "RESOLVED"},
				rows,
				values,
			)
		},
	}
	out.flags(cmd, "table", "json", "csv")
	cmd.Flags().BoolVarP(&filter.Resolved, "all", "a", false, "also resolved ones")
	cmd.Flags().StringVar(&kind, "kind", "", "only this kind, such as revoked")
	cmd.Flags().StringVar(&filter.Credential, "credential", "", "only of this credential")
	cmd.Flags().IntVar(&filter.Limit, "limit", 1000, "at most so many")
	cmd.Flags().Int64Var(&filter.After, "after", 0, "only those after the finding with this `ID`: the last one of a list before")
	return cmd
}

func newFindingsShow(o *options) *cobra.Command {
	var out output
	cmd := &cobra.Command{
		Use: "show ID", Short: "Show a finding with its evidence", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.withFinding(cmd, args[0], func(a *app.App, id int64) (finding.Finding, error) {
				return a.Finding(cmd.Context(), id)
			}, func(f finding.Finding) error {
				return out.one(cmd.OutOrStdout(), api.NewFindingJSON(f), story(f))
			})
		},
	}
	out.flags(cmd, "table", "json")
	return cmd
}

// story is a finding in words for a terminal.
func story(f finding.Finding) string {
	w := notify.Describe(f)
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", w.Title)
	line := func(label, text string) {
		if text != "" {
			fmt.Fprintf(&b, "  %-20s %s\n", label, printable(text, false))
		}
	}
	line("Finding", fmt.Sprintf("%d, %s, %s", f.ID, f.Kind, f.State))
	line("Opened", stamp(f.OpenedAt))
	line("State", w.State)
	line("Effect", w.Effect)
	line("Owner", w.Owner)
	facts := w.Facts
	if f.State == finding.Resolved { // a message says no more of what is over, and here it is the record
		facts = append(facts, notify.Evidence(f)...)
	}
	for _, fact := range facts {
		line(fact.Label, fact.Text)
	}
	line("Read by", f.Evidence.Rule)
	if f.State != finding.Resolved && len(w.Steps) > 0 {
		b.WriteString("\nWhat to do:\n")
		for _, s := range w.Steps {
			fmt.Fprintf(&b, "  - %s\n", printable(s, false))
		}
	}
	return b.String()
}

func newFindingsAck(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "ack ID", Aliases: []string{"acknowledge"}, Short: "Say that someone looks after a finding", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.withFinding(cmd, args[0], func(a *app.App, id int64) (finding.Finding, error) {
				return a.Actions.Acknowledge(cmd.Context(), actor(), id)
			}, func(f finding.Finding) error {
				fmt.Fprintf(cmd.OutOrStdout(), "finding %d is acknowledged by %s\n", f.ID, f.AcknowledgedBy)
				return nil
			})
		},
	}
}

func newFindingsSnooze(o *options) *cobra.Command {
	var howLong string
	cmd := &cobra.Command{
		Use: "snooze ID", Short: "Put a finding aside for a time", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := credential.ParseDuration(howLong)
			if err != nil || d <= 0 {
				return &hintError{fmt.Errorf("--for %q is not a time", howLong), "for example 1h, 1d or 7d"}
			}
			return o.withFinding(cmd, args[0], func(a *app.App, id int64) (finding.Finding, error) {
				return a.Actions.Snooze(cmd.Context(), actor(), id, d)
			}, func(f finding.Finding) error {
				fmt.Fprintf(cmd.OutOrStdout(), "finding %d is snoozed until %s\n", f.ID, stamp(f.SnoozedUntil))
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&howLong, "for", "1d", "how long")
	return cmd
}

func (o *options) withFinding(
	cmd *cobra.Command,
	arg string,
	do func(*app.App, int64) (finding.Finding, error),
	show func(finding.Finding) error,
) error {
	id, err := strconv.ParseInt(arg, 10, 64)
	if err != nil || id < 1 {
		return &hintError{fmt.Errorf("%q is not the number of a finding", arg), "see keyrounds findings list"}
	}
	a, err := o.openAsIs(cmd.Context())
	if err != nil {
		return err
	}
	defer a.Close()
	f, err := do(a, id)
	if err != nil {
		return err
	}
	return show(f)
}
