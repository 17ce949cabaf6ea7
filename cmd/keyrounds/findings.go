package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/api"
	"github.com/keyrounds/keyrounds/app"
	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/notify"
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
			a, err := o.openAnyhow(cmd)
			if err != nil {
				return err
			}
			defer a.Close()
			filter.Kind = finding.Kind(kind)
			return watch.show(cmd, func(w io.Writer) error { return showFindings(cmd, w, a, filter, out) })
		},
	}
	out.flags(cmd, "table", "json", "csv")
	watch.flags(cmd, &out)
	cmd.Flags().BoolVarP(&filter.Resolved, "all", "a", false, "also resolved ones")
	cmd.Flags().StringVar(&kind, "kind", "", "only this kind, such as revoked")
	cmd.Flags().StringVar(&filter.Credential, "credential", "", "only of this credential")
	since.flag(cmd, "only those that were opened")
	cmd.Flags().IntVar(&filter.Limit, "limit", 1000, "at most so many")
	cmd.Flags().Int64Var(&filter.After, "after", 0, "only those after the finding with this `ID`: the last one of a list before")
	return cmd
}

// showFindings prints a list of findings.
func showFindings(cmd *cobra.Command, w io.Writer, a *app.App, filter audit.Filter, out output) error {
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
				notify.Describe(f).Title,
			},
		)
	}
	if len(rows) == 0 && filter.Credential != "" {
		if _, err := a.Registry.Get(cmd.Context(), filter.Credential); err != nil {
			return notRegistered(cmd.Context(), a, filter.Credential, err)
		}
	}
	if len(rows) == 0 && out.people() {
		fmt.Fprintln(w, "no findings")
		return nil
	}
	if err := sayMore(cmd, a, filter, list); err != nil {
		return err
	}
	return out.list(
		w,
		[]string{"ID", "SEVERITY", "KIND", "SUBJECT", "PROVIDER", "STATE", "OPENED", "RESOLVED", "TITLE"},
		rows,
		values,
	)
}

// sayMore says on standard error how many findings there are beside those of a list, and how to see them.
func sayMore(cmd *cobra.Command, a *app.App, f audit.Filter, list []finding.Finding) error {
	if len(list) < f.Limit || len(list) == 0 {
		return nil
	}
	all, err := a.Audit.Found(cmd.Context(), f)
	if err == nil && all > len(list) {
		fmt.Fprintf(cmd.ErrOrStderr(), "%d of %d are shown: --after %d shows the next, --limit more of them\n",
			len(list), all, list[len(list)-1].ID)
	}
	return err
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
			a, err := o.openAnyhow(cmd)
			if err != nil {
				return err
			}
			defer a.Close()
			f, err := a.Finding(cmd.Context(), ids[0])
			if err != nil {
				return err
			}
			return out.one(cmd.OutOrStdout(), api.NewFindingJSON(f), story(f))
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
