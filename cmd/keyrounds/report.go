package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/app"
	"github.com/keyrounds/keyrounds/report"
)

func newReport(o *options) *cobra.Command {
	cmd := &cobra.Command{Use: "report", Short: "Reports: unused, list, schema"}
	cmd.AddCommand(newReportUnused(o), newReportList(o), &cobra.Command{
		Use: "schema", Short: "Print the JSON schema of the report", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			b, err := report.Schema()
			if err == nil {
				_, err = cmd.OutOrStdout().Write(b)
			}
			return err
		},
	})
	return cmd
}

type reportFlags struct {
	month, asOf, owner, format, out string
}

func newReportUnused(o *options) *cobra.Command {
	var f reportFlags
	cmd := &cobra.Command{
		Use:   "unused",
		Short: "The monthly report of unused credentials",
		Long: "The monthly report of unused credentials. Without --month it is the last month that is over. The first time a\n" +
			"month is asked for, or when the daemon makes it on schedule, the report is frozen: it has the same bytes for\n" +
			"ever, and its SHA-256 is in the record. --as-of makes a trial of any day, which is not frozen.",
		Example: "  keyrounds report unused --month 2026-10 -o html --out october.html\n" +
			"  keyrounds report unused --as-of 2026-11-24 -o json | jq '.credentials[] | select(.recommendation == \"revoke\")'\n" +
			"  keyrounds report unused --owner talent-platform -o csv",
		Args: cobra.NoArgs,
		PreRunE: func(*cobra.Command, []string) error {
			if !slices.Contains(report.Formats(), report.Format(f.format)) {
				return &hintError{fmt.Errorf("unknown output %q", f.format), "one of html, csv, json"}
			}
			if f.month != "" && f.asOf != "" {
				return &hintError{errors.New("--month and --as-of exclude each other"), "--month is frozen, --as-of is a trial"}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := o.open(cmd.Context())
			if err != nil {
				return err
			}
			defer a.Close()
			content, err := f.make(cmd, a)
			if err != nil {
				return err
			}
			if f.out == "" || f.out == "-" {
				_, err = cmd.OutOrStdout().Write(content)
				return err
			}
			if err := writeWhole(f.out, content); err != nil {
				return err
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "%s is written (%d bytes)\n", f.out, len(content))
			return nil
		},
	}
	cmd.Flags().StringVar(&f.month, "month", "", "the month, such as 2026-10 (default the last one that is over)")
	cmd.Flags().StringVar(&f.asOf, "as-of", "", "a trial as of the end of this date, or of this time (RFC 3339)")
	cmd.Flags().StringVar(&f.owner, "owner", "", "only the credentials of this owner")
	cmd.Flags().StringVarP(&f.format, "output", "o", "html", "html, csv or json")
	cmd.Flags().StringVar(&f.out, "out", "", "write it to this file")
	_ = cmd.RegisterFlagCompletionFunc(
		"output",
		cobra.FixedCompletions([]string{"html", "csv", "json"}, cobra.ShellCompDirectiveNoFileComp),
	)
	return cmd
}

func (f reportFlags) make(cmd *cobra.Command, a *app.App) ([]byte, error) {
	zone, now := a.Config().Zone, a.Now()
	if f.asOf == "" {
		month := report.MonthOf(now, zone).Add(-1)
		if f.month != "" {
			var err error
			if month, err = report.ParseMonth(f.month); err != nil {
				return nil, &hintError{err, "for example --month 2026-10"}
			}
		}
		return a.Reports.Monthly(cmd.Context(), month, f.owner, report.Format(f.format), now)
	}
	at, err := time.Parse(time.RFC3339, f.asOf)
	if err != nil {
		day, err := time.ParseInLocation(time.DateOnly, f.asOf, zone)
		if err != nil {
			return nil, &hintError{fmt.Errorf("--as-of %q is not a date", f.asOf), "for example 2026-11-24"}
		}
		at = day.AddDate(0, 0, 1)
		if day.After(now) {
			return nil, &hintError{fmt.Errorf("%s is in the future", f.asOf), "a trial tells of what was"}
		}
		if at.After(now) {
			at = now
		}
	}
	if at.After(now) {
		return nil, &hintError{fmt.Errorf("%s is in the future", f.asOf), "a trial tells of what was"}
	}
	r, err := a.Reports.Trial(cmd.Context(), at, f.owner, now)
	if err != nil {
		return nil, err
	}
	return r.Render(report.Format(f.format))
}

// writeWhole leaves the old file, or the new one whole.
func writeWhole(name string, content []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(name), ".keyrounds-")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(content)
	if err := errors.Join(err, tmp.Chmod(0o644), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), name)
}

func newReportList(o *options) *cobra.Command {
	var out output
	cmd := &cobra.Command{
		Use: "list", Short: "List the months whose report was made", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := o.open(cmd.Context())
			if err != nil {
				return err
			}
			defer a.Close()
			made, err := a.Reports.List(cmd.Context())
			if err != nil {
				return err
			}
			var rows [][]string
			for _, m := range made {
				rows = append(rows, []string{m.Month, m.Owner, m.Format, stamp(m.MadeAt), fmt.Sprint(m.Bytes), m.SHA256})
			}
			return out.list(cmd.OutOrStdout(), []string{"MONTH", "OWNER", "FORMAT", "MADE AT", "BYTES", "SHA256"}, rows, orEmpty(made))
		},
	}
	out.flags(cmd, "table", "json", "csv")
	return cmd
}
