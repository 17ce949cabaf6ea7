package main

import (
	"github.com/spf13/cobra"
)

func newCredentials(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "credentials",
		Aliases: []string{"credential", "creds"},
		Short:   "The registry: add, list, show, import, edit, rotate, retire, restore",
	}
	cmd.AddCommand(
		newCredentialsAdd(o),
		newCredentialsList(o),
		newCredentialsShow(o),
		newCredentialsImport(o),
		newCredentialsEdit(o),
		newCredentialsRotate(o),
		newCredentialsRetire(o),
		newCredentialsRestore(o),
	)
	return cmd
}
