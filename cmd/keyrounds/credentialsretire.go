package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/secret"
)

func newCredentialsRetire(o *options) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "retire NAME",
		Short: "End the registration of a credential; its history stays, its sealed secret goes",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := o.deskOfAll(cmd)
			if err != nil {
				return err
			}
			defer d.close()
			c, err := d.credential(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if err := d.Post(cmd.Context(), ofName(c.Name)+"/retire"+dryRun, nil, nil); err != nil {
				return plainly(err)
			}
			question := "Retire " + c.Name + "? It is not checked any more"
			if c.Secret == secret.Sealed.String() {
				question += ", and its sealed secret is removed for good"
			}
			if err := confirmed(cmd, yes, question); err != nil {
				return err
			}
			if err := d.Post(cmd.Context(), ofName(c.Name)+"/retire", nil, nil); err != nil {
				return plainly(err)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s is retired; it still works at the provider until it is revoked there\n", args[0])
			return nil
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask on a terminal")
	return cmd
}
