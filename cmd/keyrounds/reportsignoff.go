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
			r.By = actor()
			a, err := o.openAsIs(cmd.Context())
			if err != nil {
				return err
			}
			defer a.Close()
			m, err := monthOf(month, a.Config().Zone, a.Now())
			if err != nil {
				return err
			}
			s, err := a.Actions.SignOff(cmd.Context(), m, r)
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
	cmd.Flags().StringVar(&r.Note, "note", "", "for those who read it later")
	return cmd
}
