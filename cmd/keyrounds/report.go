package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/api"
	"github.com/keyrounds/keyrounds/api/client"
	"github.com/keyrounds/keyrounds/report"
)

func newReport(o *options) *cobra.Command {
	cmd := &cobra.Command{Use: "report", Short: "Reports: unused, decide, signoff, freeze, amend, list, schema"}
	cmd.AddCommand(
		newReportUnused(o), newReportDecide(o), newReportUndecide(o), newReportDecisions(o), newReportSignOff(o),
		newReportFreeze(o), newReportAmend(o), newReportList(o),
	)
	cmd.AddCommand(&cobra.Command{
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
	edition                         int
}

var reportOutputs = []string{"table", "html", "csv", "json"}

func newReportUnused(o *options) *cobra.Command {
	var f reportFlags
	cmd := &cobra.Command{
		Use:   "unused",
		Short: "Show the monthly report of unused credentials",
		Long: "Show the monthly report of unused credentials. Without --month it is the last month that is over. A month that\n" +
			"was frozen, by the daemon on schedule or by report freeze, has the same bytes for ever; of another this is a\n" +
			"trial, as of the month's end, and so is --as-of of any day. Reading freezes nothing.\n\n" +
			"On a terminal it is a table; into a file or a pipe it is HTML, or what --out ends in.",
		Example: "  keyrounds report unused\n" +
			"  keyrounds report unused --month 2026-10 --out october.html\n" +
			"  keyrounds report unused --as-of 2026-11-24 -o json | jq '.credentials[] | select(.recommendation == \"revoke\")'\n" +
			"  keyrounds report unused --owner talent-platform -o csv",
		Args: cobra.NoArgs,
		PreRunE: func(cmd *cobra.Command, _ []string) error {
			ext := strings.TrimPrefix(filepath.Ext(f.out), ".")
			if f.format == "" && ext != "" && !slices.Contains(reportOutputs, ext) {
				return &hintError{
					fmt.Errorf("--out %s: unknown output %q", f.out, ext),
					"one of " + joinComma(reportOutputs) + ", or say -o",
				}
			}
			if f.format == "" {
				f.format = f.defaultFormat(isTerminal(cmd.OutOrStdout()))
			}
			switch {
			case !slices.Contains(reportOutputs, f.format):
				return &hintError{fmt.Errorf("unknown output %q", f.format), "one of " + joinComma(reportOutputs)}
			case f.format == "html" && f.toStdout() && isTerminal(cmd.OutOrStdout()):
				return &hintError{errors.New("HTML is nothing for a terminal"), "--out october.html writes it to a file"}
			case f.month != "" && f.asOf != "":
				return &hintError{
					errors.New("--month and --as-of exclude each other"),
					"--month is a whole month, --as-of a trial of any day",
				}
			case f.edition != 0 && (f.asOf != "" || f.edition < 0):
				return &hintError{errors.New("--edition is a number of a frozen month"), "see keyrounds report list"}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			content, err := f.content(cmd, o)
			if err != nil {
				return err
			}
			if f.toStdout() {
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
	cmd.Flags().IntVar(&f.edition, "edition", 0, "of a month that was amended (default the newest)")
	cmd.Flags().StringVarP(&f.format, "output", "o", "", joinComma(reportOutputs)+" (default table on a terminal, else html)")
	cmd.Flags().StringVar(&f.out, "out", "", "write it to this file")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(reportOutputs, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (f reportFlags) content(cmd *cobra.Command, o *options) (content []byte, err error) {
	d, err := o.desk(cmd)
	if err != nil {
		return nil, err
	}
	defer d.close()
	err = awaiting(cmd.ErrOrStderr(), "making the report", func() error {
		content, err = f.from(cmd.Context(), d)
		return err
	})
	return content, err
}

func (f reportFlags) toStdout() bool { return f.out == "" || f.out == "-" }

func (f reportFlags) defaultFormat(terminal bool) string {
	if ext := strings.TrimPrefix(filepath.Ext(f.out), "."); !f.toStdout() && slices.Contains(reportOutputs, ext) {
		return ext
	}
	if terminal && f.toStdout() {
		return "table"
	}
	return "html"
}

// monthOf reads --month; "" is the last one that is over.
func monthOf(text string, zone *time.Location, now time.Time) (report.Month, error) {
	if text == "" {
		return report.MonthOf(now, zone).Add(-1), nil
	}
	month, err := report.ParseMonth(text)
	if err != nil {
		return month, &hintError{err, "for example --month 2026-10"}
	}
	return month, nil
}

// from asks a desk for the report.
func (f reportFlags) from(ctx context.Context, d *desk) (content []byte, err error) {
	q := url.Values{"format": {f.format}, "owner": {f.owner}}
	if f.format == "table" {
		q.Set("format", "json")
	}
	path := "/trial"
	if f.asOf == "" {
		month, err := d.monthOf(ctx, f.month)
		if err != nil {
			return nil, err
		}
		path = "/reports/" + month.String()
		q.Set("trial", "true")
		if f.edition != 0 {
			q.Set("edition", strconv.Itoa(f.edition))
		}
	} else {
		at, err := d.asOf(ctx, f.asOf)
		if err != nil {
			return nil, err
		}
		q.Set("as_of", at.UTC().Format(time.RFC3339Nano))
	}
	if err := d.Get(ctx, path, q, &content); err != nil || f.format != "table" {
		return content, plainly(err)
	}
	var r report.Report
	if err := json.Unmarshal(content, &r); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = printReport(&b, &r)
	return b.Bytes(), err
}

// zone is the time zone of months and days there.
func (d *desk) zone(ctx context.Context) (*time.Location, error) {
	var v api.Version
	if err := d.Get(ctx, "/version", nil, &v); err != nil {
		return nil, plainly(err)
	}
	zone, err := time.LoadLocation(v.Timezone)
	if err != nil {
		return time.UTC, nil //nolint:nilerr // of a machine that knows more zones than this one
	}
	return zone, nil
}

// monthOf reads --month; "" is the last one that is over there.
func (d *desk) monthOf(ctx context.Context, text string) (report.Month, error) {
	zone := time.UTC
	if text == "" {
		var err error
		if zone, err = d.zone(ctx); err != nil {
			return report.Month{}, err
		}
	}
	return monthOf(text, zone, time.Now())
}

// asOf reads --as-of: a time, or the end of a day there, and of today now.
func (d *desk) asOf(ctx context.Context, text string) (time.Time, error) {
	now := time.Now()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		zone, err := d.zone(ctx)
		if err != nil {
			return at, err
		}
		day, err := time.ParseInLocation(time.DateOnly, text, zone)
		if err != nil {
			return at, &hintError{fmt.Errorf("--as-of %q is not a date", text), "for example 2026-11-24"}
		}
		if at = day.AddDate(0, 0, 1); !day.After(now) && at.After(now) {
			at = now
		}
	}
	if at.After(now) {
		return at, &hintError{fmt.Errorf("%s is in the future", text), "a trial tells of what was"}
	}
	return at, nil
}

// writeWhole leaves the old file, or the new one whole.
func writeWhole(name string, content []byte) error {
	if st, err := os.Stat(name); err == nil && st.IsDir() {
		return fmt.Errorf("%s: it is a directory", name)
	}
	if _, err := os.Stat(filepath.Dir(name)); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: there is no such directory", filepath.Dir(name))
	}
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
		Use: "list", Short: "List the months whose report was frozen, with their editions", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := o.desk(cmd)
			if err != nil {
				return err
			}
			defer d.close()
			made, _, err := client.List[report.File](cmd.Context(), d.Client, "/reports", nil, 0)
			if err != nil {
				return plainly(err)
			}
			var rows [][]string
			for _, m := range made {
				rows = append(rows, []string{
					m.Month, fmt.Sprint(m.Edition), m.Owner, m.Format, stamp(m.MadeAt), fmt.Sprint(m.Bytes), m.SHA256, m.SignedOffBy,
				})
			}
			out.none = d.none("no report was frozen yet: keyrounds report freeze, or report unused for a trial")
			return out.list(
				cmd.OutOrStdout(),
				[]string{"MONTH", "EDITION", "OWNER", "FORMAT", "MADE AT", "BYTES", "SHA256", "SIGNED OFF BY"},
				rows,
				orEmpty(made),
			)
		},
	}
	out.flags(cmd, "table", "json", "csv")
	return cmd
}
