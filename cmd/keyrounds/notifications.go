package main

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/notify"
)

func newNotifications(o *options) *cobra.Command {
	var (
		out   output
		limit int
		since since
	)
	cmd := &cobra.Command{
		Use:   "notifications",
		Short: "Show what receivers were told, what waits, and what failed and why",
		Long:  "Show what receivers were told, what waits, and what failed and why. Exit 1: something fails, or was given up.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			from, err := since.time(time.Now())
			if err != nil {
				return err
			}
			at, err := o.desk(cmd)
			if err != nil {
				return err
			}
			defer at.close()
			list, total, err := at.notifications(cmd.Context(), limit)
			if err != nil {
				return err
			}
			if n := len(list); total > n && !list[n-1].At.Before(from) {
				fmt.Fprintf(cmd.ErrOrStderr(), "%d of %d are shown: --limit shows more of them\n", n, total)
			}
			list = slices.DeleteFunc(list, func(d notify.Delivery) bool { return d.State == "sent" && d.At.Before(from) })
			var rows [][]string
			for _, d := range list {
				what := d.Letter
				if n := len(d.Findings); n > 0 {
					what = strings.TrimSpace("finding " + strconv.FormatInt(d.Findings[0], 10) + " " + d.About)
					if n > 1 {
						what += fmt.Sprintf(" and %d more", n-1)
					}
				}
				where := d.Channel
				if d.Ref != "" && len(d.Ref) <= 40 { // an Alertmanager's are all the labels
					where += " " + d.Ref
				}
				next := ""
				if d.State != "sent" && d.State != "given_up" {
					next = stamp(d.At)
				}
				why := cmp.Or(d.Error, d.Waits, where)
				rows = append(rows, []string{
					d.Receiver, what, d.State, stamp(d.Posted), stamp(d.Updated), next, fmt.Sprint(d.Tries), why,
				})
			}
			out.none = at.none("nothing was told yet")
			if !from.IsZero() {
				out.none = at.none("nothing was told since then")
			}
			columns := []string{"RECEIVER", "WHAT", "STATE", "POSTED", "LAST SENT", "NEXT TRY", "FAILED", "WHERE, OR WHY NOT"}
			if err := out.list(cmd.OutOrStdout(), columns, rows, orEmpty(list)); err != nil {
				return err
			}
			if slices.ContainsFunc(list, func(d notify.Delivery) bool { return d.State == "given_up" || d.State == "failing" }) {
				return errFound
			}
			return nil
		},
	}
	out.flags(cmd, "table", "json", "csv")
	mostOf(cmd, &limit, 50, "at most `N` of those that were sent")
	since.flag(cmd, "of those that were sent only those")
	return cmd
}
