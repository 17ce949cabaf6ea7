package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func newMigrate(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "migrate",
		Short: "Bring the database's schema up to date",
		Long: "Bring the database's schema up to date. The daemon does the same when it starts; processes that do it\n" +
			"at once wait for each other. A schema of a newer keyrounds is refused.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := o.open(cmd.Context())
			if err != nil {
				return err
			}
			defer a.Close()
			v, err := a.SchemaVersion(cmd.Context())
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "the schema is up to date, at version %d\n", v.Current)
			return nil
		},
	}
}
