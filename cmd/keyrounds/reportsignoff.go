package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/report"
)

func newReportSignOff(o *options) *cobra.Command {
	var (
		month string
		r     report.Review
	)
	cmd := &cobra.Command{
		Use:   "signoff",
		Short: "Sign off a frozen report: somebody went through it",
		Long: "Sign off a frozen report: you went through it, and everything in it that asks for a decision is decided by now.\n" +
			"While something is undecided it is refused, unless --with-undecided; how much was undecided is noted. It is in the\n" +
			"record and in report list, with who and when, and the report after it says so. A sign-off stays; an edition that\n" +
			"is made later (report amend) is signed off anew.",
		Example: "  keyrounds report signoff --month 2026-10\n" +
			"  keyrounds report signoff --month 2026-10 --owner talent-platform --with-undecided --note 'two wait for the vendor'",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			at, err := o.desk(cmd)
			if err != nil {
				return err
			}
			defer at.close()
			s, err := at.signOff(cmd.Context(), month, r)
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), s.Words())
			return nil
		},
	}
	cmd.Flags().StringVar(&month, "month", "", "the month, such as 2026-10 (default the last one that is over)")
	cmd.Flags().StringVar(&r.Owner, "owner", "", "only the extract of this owner")
	cmd.Flags().BoolVar(&r.WithUndecided, "with-undecided", false, "also while something in it is undecided")
	cmd.Flags().IntVar(&r.Edition, "edition", 0, "which edition was read: another one is refused (default the newest)")
	cmd.Flags().StringVar(&r.Note, "note", "", "for those who read it later")
	return cmd
}
