package main

import (
	"strconv"

	"github.com/spf13/cobra"
)

func newAudit(o *options) *cobra.Command {
	cmd := &cobra.Command{Use: "audit", Short: "The record of who did what: log"}
	var (
		out     output
		subject string
		limit   uint32
	)
	log := &cobra.Command{
		Use: "log", Short: "Show the record of who did what, the newest first", Args: cobra.NoArgs,
		Example: "  keyrounds audit log --subject credential/ats-sync",
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := o.openAnyhow(cmd)
			if err != nil {
				return err
			}
			defer a.Close()
			entries, err := a.Audit.Log(cmd.Context(), subject, int(limit))
			if err != nil {
				return err
			}
			var rows [][]string
			for _, e := range entries {
				rows = append(rows, []string{strconv.FormatInt(e.ID, 10), stamp(e.At), e.Actor, e.Action, e.Subject, string(e.Detail)})
			}
			return out.list(cmd.OutOrStdout(), []string{"ID", "AT", "ACTOR", "ACTION", "SUBJECT", "DETAIL"}, rows, orEmpty(entries))
		},
	}
	out.flags(log, "table", "json", "csv")
	log.Flags().StringVar(&subject, "subject", "", "only of this subject: credential/NAME, provider/NAME or report/MONTH")
	log.Flags().Uint32Var(&limit, "limit", 100, "at most `N` of them")
	cmd.AddCommand(log)
	return cmd
}
