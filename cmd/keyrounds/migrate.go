package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func newMigrate(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "migrate",
		Short: "Bring the database's schema up to date, and the registry to what the file says",
		Long: "Bring the database's schema up to date, and the registry to what the configuration file says. The daemon does the\n" +
			"same when it starts, and so do commands that change something; processes that do it at once wait for each other.\n" +
			"A schema of a newer keyrounds is refused.",
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
