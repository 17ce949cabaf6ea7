package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/api"
	"github.com/keyrounds/keyrounds/config"
	"github.com/keyrounds/keyrounds/secret"
)

func newCredentialsAdd(o *options) *cobra.Command {
	var in config.CredentialIn
	cmd := &cobra.Command{
		Use:   "add NAME --provider NAME --client-id ID",
		Short: "Register a credential; its secret is asked for and sealed in the database",
		Long: "Register a credential. The secret is asked for without echo, or read from standard input where that\n" +
			"is no terminal; it is sealed in the database. It is never a flag: flags are seen by others and kept\n" +
			"in histories. Then it is tried, by the daemon where one runs. Exit 0: it is ok, or could not be tried yet; 1: it is\n" +
			"registered, and not ok; 2: it was not registered.",
		Example: "  keyrounds credentials add ats-sync --provider smartrecruiters --client-id 82e4… --scopes candidates_read\n" +
			"  pass show ats-sync | keyrounds credentials add ats-sync --provider smartrecruiters --client-id 82e4…",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			in.Name = args[0]
			d, err := o.deskOfAll(cmd)
			if err != nil {
				return err
			}
			defer d.close()
			var c api.ChangedCredential
			if err := d.Post(cmd.Context(), "/credentials"+dryRun, toAdd(in, secret.Value{}), &c); err != nil {
				return plainly(err)
			}
			warnOf(cmd, c.Warnings)
			v, err := askSecret(cmd, "Secret of "+in.Name)
			if err != nil {
				return err
			}
			defer v.Wipe()
			if err := d.Post(cmd.Context(), "/credentials"+whenFirst(cmd), toAdd(in, v), &c); err != nil {
				return plainly(err)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s is registered\n", c.Name)
			return tryFirst(cmd, d, []string{c.Name})
		},
	}
	takesPassphrase(cmd)
	tries(cmd)
	f := cmd.Flags()
	f.StringVar(&in.Provider, "provider", "", "name of a provider of the configuration (required)")
	f.StringVar(&in.ClientID, "client-id", "", "client id (required, but of API keys)")
	f.StringVar(&in.KeyID, "key-id", "", "which of the client's keys it is, as the provider's log names it")
	f.StringVar(&in.Description, "description", "", "what it is for")
	f.StringSliceVar(&in.Scopes, "scopes", nil, "declared scopes")
	f.StringVar(&in.Owner, "owner", "", "team or person")
	f.StringToStringVar(&in.Labels, "labels", nil, "labels, such as env=prod")
	f.StringVar(&in.Schedule, "schedule", "", "cron (default that of the configuration)")
	f.StringVar(&in.UnusedAfter, "unused-after", "", "how long without use makes it unused")
	f.StringVar(&in.MaxAge, "max-age", "", "how old the secret may become")
	f.StringVar(&in.Created, "created", "", "date when the provider made it")
	f.StringVar(&in.Expires, "expires", "", "date or time when it ends by itself, such as 2027-03-01; a certificate says so itself")
	f.BoolVar(&in.Canary, "canary", false, "nobody may ever use it")
	f.StringSliceVar(&in.ExpectedNetworks, "expected-networks", nil, "networks that its use comes from")
	_ = cmd.MarkFlagRequired("provider")
	return cmd
}
