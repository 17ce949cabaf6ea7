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
		limit uint32
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
			list, err := at.notifications(cmd.Context(), int(limit))
			if err != nil {
				return err
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
			if len(rows) == 0 && out.people() {
				nothing := map[bool]string{true: "nothing was told yet", false: "nothing was told since then"}
				fmt.Fprintln(cmd.OutOrStdout(), nothing[from.IsZero()])
				return nil
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
	cmd.Flags().Uint32Var(&limit, "limit", 50, "at most `N` of those that were sent")
	since.flag(cmd, "of those that were sent only those")
	return cmd
}
