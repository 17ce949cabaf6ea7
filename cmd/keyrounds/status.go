package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/api"
	"github.com/keyrounds/keyrounds/verdict"
)

func newStatus(o *options) *cobra.Command {
	var (
		out   output
		watch watch
	)
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Say on one screen how the credentials do, and what waits for somebody",
		Long: "Say on one screen how the credentials do, by provider, and which findings wait for somebody. Exit 0: all work, and\n" +
			"nothing waits; 1: something does; 2: it could not be done.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := o.desk(cmd)
			if err != nil {
				return err
			}
			defer d.close()
			return watch.show(cmd, func(w io.Writer) error { return showStatus(cmd.Context(), w, d, out) })
		},
	}
	out.flags(cmd, "table", "json")
	watch.flags(cmd, &out)
	return cmd
}

// showStatus returns errFound where something does not work or waits.
func showStatus(ctx context.Context, w io.Writer, d *desk, out output) error {
	s, err := d.status(ctx)
	if err != nil {
		return err
	}
	if err := out.one(w, s, statusScreen(s, layoutOf(w, false))); err != nil {
		return err
	}
	if s.Waiting > 0 || refused(s) > 0 {
		return errFound
	}
	return nil
}

func refused(s api.StatusJSON) (n int) {
	for _, statuses := range s.Providers {
		n += statuses[verdict.Revoked] + statuses[verdict.Suspect]
	}
	return n
}

func statusScreen(s api.StatusJSON, l layout) string {
	var b strings.Builder
	fmt.Fprintln(&b, printable(s.Sentence, false))
	if len(s.Providers) > 0 {
		head, rows := []string{"PROVIDER", "CREDENTIALS"}, [][]string{}
		var shown []verdict.Status
		for _, status := range verdict.Statuses() {
			if slices.ContainsFunc(
				slices.Collect(maps.Values(s.Providers)),
				func(of map[verdict.Status]int) bool { return of[status] > 0 },
			) {
				shown = append(shown, status)
				head = append(head, strings.ToUpper(string(status)))
			}
		}
		for _, name := range slices.Sorted(maps.Keys(s.Providers)) {
			of, all := s.Providers[name], 0
			row := []string{name, ""}
			for _, n := range of {
				all += n
			}
			row[1] = strconv.Itoa(all)
			for _, status := range shown {
				cell := "" // no zero where nothing is
				if n := of[status]; n > 0 {
					cell = strconv.Itoa(n)
				}
				row = append(row, cell)
			}
			rows = append(rows, row)
		}
		fmt.Fprintln(&b)
		_ = l.write(&b, head, rows)
	}
	if len(s.Findings) > 0 {
		var rows [][]string
		for _, f := range s.Findings {
			rows = append(rows, []string{strconv.FormatInt(f.ID, 10), string(f.Severity), f.Title})
		}
		fmt.Fprintln(&b)
		_ = l.write(&b, []string{"FINDING", "SEVERITY", "TITLE"}, rows)
	}
	if more := s.Waiting - len(s.Findings); more > 0 {
		fmt.Fprintf(&b, "and %d more: keyrounds findings list\n", more)
	}
	return b.String()
}
