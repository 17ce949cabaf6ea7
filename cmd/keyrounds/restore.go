package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func newCredentialsRestore(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "restore NAME",
		Short: "Register a retired credential again, as it was, with its history",
		Long: "Register a retired credential again, as it was, with its history. Its sealed secret went when it was retired, so\n" +
			"it is asked for as by credentials add. One of the configuration file comes back with the file.",
		Args: cobra.ExactArgs(1),
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
			if err := d.Post(cmd.Context(), ofName(c.Name)+"/restore"+dryRun, onlySecret{}, nil); err != nil {
				return plainly(err)
			}
			v, err := askSecret(cmd, "Secret of "+c.Name)
			if err != nil {
				return err
			}
			defer v.Wipe()
			if err := d.Post(cmd.Context(), ofName(c.Name)+"/restore"+whenFirst(cmd), onlySecret{v.Reveal()}, nil); err != nil {
				return plainly(err)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s is registered again\n", c.Name)
			return tryFirst(cmd, d, []string{c.Name})
		},
	}
	takesPassphrase(cmd)
	tries(cmd)
	return cmd
}
