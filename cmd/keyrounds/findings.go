package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/api"
	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/finding"
)

func newFindings(o *options) *cobra.Command {
	cmd := &cobra.Command{Use: "findings", Short: "What someone should know: list, show, ack, snooze, false-alarm, and take that back"}
	cmd.AddCommand(
		newFindingsList(o),
		newFindingsShow(o),
		newFindingsAck(o),
		newFindingsUnack(o),
		newFindingsSnooze(o),
		newFindingsUnsnooze(o),
		newFindingsFalseAlarm(o),
		newFindingsPrecision(o),
	)
	return cmd
}

func newFindingsList(o *options) *cobra.Command {
	var (
		out    output
		watch  watch
		filter audit.Filter
		kind   string
		since  since
	)
	cmd := &cobra.Command{
		Use: "list", Short: "List findings, the most severe first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := known(cmd, "kind", finding.Kind(kind), finding.Kinds()); err != nil {
				return err
			}
			from, err := since.time(time.Now())
			if err != nil {
				return err
			}
			filter.Since = from
			d, err := o.desk(cmd)
			if err != nil {
				return err
			}
			defer d.close()
			filter.Kind = finding.Kind(kind)
			return watch.show(cmd, func(w io.Writer) error { return showFindings(cmd, w, d, filter, out) })
		},
	}
	out.flags(cmd, "table", "json", "csv")
	watch.flags(cmd, &out)
	cmd.Flags().BoolVarP(&filter.Resolved, "all", "a", false, "also resolved ones")
	cmd.Flags().StringVar(&kind, "kind", "", "only this kind, such as revoked")
	cmd.Flags().StringVar(&filter.Credential, "credential", "", "only of this credential")
	since.flag(cmd, "only those that were opened")
	mostOf(cmd, &filter.Limit, 1000, "at most `N` of them")
	cmd.Flags().Int64Var(&filter.After, "after", 0, "only those after the finding with this `ID`: the last one of a list before")
	return cmd
}

// showFindings prints a list of findings.
func showFindings(cmd *cobra.Command, w io.Writer, d *desk, filter audit.Filter, out output) error {
	list, total, err := d.findings(cmd.Context(), filter)
	if err != nil {
		return err
	}
	var rows [][]string
	for _, f := range list {
		subject := finding.Subject{Credential: f.Credential, Provider: f.Provider}.Name()
		rows = append(rows, []string{
			strconv.FormatInt(f.ID, 10), string(f.Severity), string(f.Kind), subject, f.Provider, string(f.State), stamp(f.OpenedAt),
			stamp(f.ResolvedAt), f.Title,
		})
	}
	if len(rows) == 0 && filter.Credential != "" {
		if err := d.named(cmd.Context(), filter.Credential); err != nil {
			return err
		}
	}
	out.none = d.none("no findings")
	if total > len(list) && len(list) > 0 {
		fmt.Fprintf(cmd.ErrOrStderr(), "%d of %d are shown: --after %d shows the next, --limit more of them\n",
			len(list), total, list[len(list)-1].ID)
	}
	return out.list(
		w,
		[]string{"ID", "SEVERITY", "KIND", "SUBJECT", "PROVIDER", "STATE", "OPENED", "RESOLVED", "TITLE"},
		rows,
		list,
	)
}

func newFindingsShow(o *options) *cobra.Command {
	var out output
	cmd := &cobra.Command{
		Use: "show ID", Short: "Show a finding with its evidence", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ids, err := findingNumbers(args)
			if err != nil {
				return err
			}
			d, err := o.desk(cmd)
			if err != nil {
				return err
			}
			defer d.close()
			f, err := d.finding(cmd.Context(), ids[0])
			if err != nil {
				return err
			}
			return out.one(cmd.OutOrStdout(), f, story(f))
		},
	}
	out.flags(cmd, "table", "json")
	return cmd
}

// story is a finding in words for a terminal. f has words.
func story(f api.FindingJSON) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", f.Title)
	line := func(label, text string) {
		if text != "" {
			fmt.Fprintf(&b, "  %-20s %s\n", label, printable(text, false))
		}
	}
	line("Finding", fmt.Sprintf("%d, %s, %s", f.ID, f.Kind, f.State))
	line("Opened", stamp(f.OpenedAt))
	line("State", f.Words.State)
	line("Effect", f.Words.Effect)
	line("Owner", f.Words.Owner)
	for _, fact := range f.Words.Facts {
		line(fact.Label, fact.Text)
	}
	line("Read by", f.Evidence.Rule)
	if len(f.Words.Steps) > 0 {
		b.WriteString("\nWhat to do:\n")
		for _, s := range f.Words.Steps {
			fmt.Fprintf(&b, "  - %s\n", printable(s, false))
		}
	}
	return b.String()
}
