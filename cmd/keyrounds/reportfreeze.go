package main

import (
	"fmt"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/api"
	"github.com/keyrounds/keyrounds/api/client"
	"github.com/keyrounds/keyrounds/report"
)

func newReportFreeze(o *options) *cobra.Command {
	var (
		month  string
		anyway bool
	)
	cmd := &cobra.Command{
		Use:   "freeze",
		Short: "Freeze the report of a month that is over",
		Long: "Freeze the report of a month that is over, and the extracts of all owners: from then on they have the same bytes\n" +
			"for ever, and their SHA-256 is in the record, with who froze them. The daemon does so on its schedule\n" +
			"(reports.unused). A month in which nothing was watched is refused, since its report says nothing of anybody.\n\n" +
			"Exit 0: it is frozen; 1: it was before; 2: it could not be done.",
		Example: "  keyrounds report freeze\n  keyrounds report freeze --month 2026-10",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := o.deskOfAll(cmd)
			if err != nil {
				return err
			}
			defer d.close()
			m, err := d.monthOf(cmd.Context(), month)
			if err != nil {
				return err
			}
			files, _, err := client.List[report.File](cmd.Context(), d.Client, "/reports", url.Values{"month": {m.String()}}, 1)
			if err == nil && len(files) == 0 {
				err = d.Post(cmd.Context(), "/reports", api.FreezeIn{Month: m.String(), Anyway: anyway}, nil)
			}
			switch {
			case err != nil:
				return plainly(err)
			case len(files) > 0:
				fmt.Fprintf(
					cmd.ErrOrStderr(),
					"the report %s was frozen before; keyrounds report amend --month %s makes another edition\n",
					m,
					m,
				)
				return errFound
			}
			fmt.Fprintf(cmd.OutOrStdout(), "the report %s is frozen: keyrounds report unused --month %s\n", m, m)
			return nil
		},
	}
	cmd.Flags().StringVar(&month, "month", "", "the month, such as 2026-10 (default the last one that is over)")
	cmd.Flags().BoolVar(&anyway, "anyway", false, "also where nothing was watched")
	return cmd
}

func newReportAmend(o *options) *cobra.Command {
	var month, why string
	cmd := &cobra.Command{
		Use:   "amend --month MONTH --why TEXT",
		Short: "Make another edition of a frozen report",
		Long: "Make another edition of a frozen report, by what is known now, such as by logs that were imported later. The\n" +
			"editions before it stay as they are (report unused --edition). It is in the record, with who did it and why.",
		Example: "  keyrounds report amend --month 2026-10 --why 'the logs of the second gateway came later'",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := o.deskOfAll(cmd)
			if err != nil {
				return err
			}
			defer d.close()
			m, err := d.monthOf(cmd.Context(), month)
			if err != nil {
				return err
			}
			var made api.Frozen
			if err := d.Post(cmd.Context(), "/reports/"+m.String()+"/amend", api.AmendIn{Why: why}, &made); err != nil {
				return plainly(err)
			}
			fmt.Fprintf(
				cmd.OutOrStdout(),
				"edition %d of the report %s is frozen: keyrounds report unused --month %s\n",
				made.Edition,
				m,
				m,
			)
			return nil
		},
	}
	cmd.Flags().StringVar(&month, "month", "", "the month, such as 2026-10")
	cmd.Flags().StringVar(&why, "why", "", "what is known now and was not, for the record")
	_ = cmd.MarkFlagRequired("month")
	_ = cmd.MarkFlagRequired("why")
	return cmd
}
