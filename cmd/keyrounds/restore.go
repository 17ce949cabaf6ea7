package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/secret"
)

func newCredentialsRestore(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "restore NAME",
		Short: "Register a retired credential again, as it was, with its history",
		Long: "Register a retired credential again, as it was, with its history. Its sealed secret went when it was retired, so\n" +
			"it is asked for as by credentials add. One of the configuration file comes back with the file.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := o.open(cmd.Context())
			if err != nil {
				return err
			}
			defer a.Close()
			c, err := a.Registry.Get(cmd.Context(), args[0])
			switch {
			case err != nil:
				return notRegistered(cmd.Context(), a, args[0], err)
			case c.Retired.IsZero():
				return &hintError{fmt.Errorf("%q is not retired", c.Name), "see keyrounds credentials show " + c.Name}
			case c.Source == credential.FromFile:
				return &hintError{fmt.Errorf("%q was registered by the configuration file", c.Name), "write it into the file again"}
			}
			c.Retired, c.Secret = time.Time{}, secret.Sealed
			v, err := askSecret(cmd, "Secret of "+c.Name)
			if err != nil {
				return err
			}
			defer v.Wipe()
			err = a.Actions.Add(cmd.Context(), actor(), []credential.Credential{c}, []secret.Value{v}, firstCheck(cmd), nil)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s is registered again\n", c.Name)
			return tryFirst(cmd, a, []string{c.Name})
		},
	}
	takesPassphrase(cmd)
	tries(cmd)
	return cmd
}
