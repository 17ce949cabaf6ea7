package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/api"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/secret"
)

func newCredentialsRotate(o *options) *cobra.Command {
	var (
		clientID string
		expires  string
		verify   bool
		undo     bool
		patience time.Duration
	)
	cmd := &cobra.Command{
		Use:   "rotate NAME",
		Short: "Replace the sealed secret of a credential",
		Long: "Replace the sealed secret of a credential. The new one is asked for without echo, or read from standard\n" +
			"input where that is no terminal. Until a token is issued for it the credential is pending. The old one is\n" +
			"kept, sealed, and tried until it is proven dead; --verify-revoked waits for that and prints the proof. The new one is\n" +
			"tried at once, by the daemon where one runs; exit 1: it is stored, and not ok. --undo goes back to the old one while it\n" +
			"is kept: until it is proven dead, for 30 days at most.\n\n" +
			"A secret that is read from the host is changed there; with --verify-revoked the old one is asked for.",
		Example: "  keyrounds credentials rotate ats-sync --client-id 5f1c… --verify-revoked",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, other := range []string{"client-id", "expires", "verify-revoked", passphraseFlag} {
				if undo && cmd.Flags().Changed(other) {
					return mistake(cmd, "", "--undo goes without --%s: all comes back as it was", other)
				}
			}
			d, err := o.deskOfAll(cmd)
			if err != nil {
				return err
			}
			defer d.close()
			c, err := d.credential(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if c.Source == string(credential.FromFile) {
				for _, flag := range []string{"client-id", "expires"} {
					if cmd.Flags().Changed(flag) {
						return &hintError{fmt.Errorf("--%s: %q is in the configuration file", flag, c.Name), "change it there"}
					}
				}
			}
			if undo {
				return undone(cmd, d, c.Name)
			}
			if verify && c.Secret != secret.Sealed.String() {
				return changedOnHost(cmd, d, c, patience)
			}
			if expires != "" {
				if _, err := credential.ParseEnd(expires); err != nil {
					return &hintError{fmt.Errorf("--expires: %w", err), credential.EndHint}
				}
			}
			to, in := ofName(c.Name)+"/rotate", toRotate{ClientID: clientID, Expires: expires}
			var next api.ChangedCredential
			if err := d.Post(cmd.Context(), to+dryRun, in, &next); err != nil {
				return plainly(err)
			}
			warnOf(cmd, next.Warnings)
			v, err := askSecret(cmd, "New secret of "+c.Name)
			if err != nil {
				return err
			}
			defer v.Wipe()
			in.ClientSecret = v.Reveal()
			if err := d.Post(cmd.Context(), to+whenFirst(cmd), in, &next); err != nil {
				return plainly(err)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s has a new secret\n", c.Name)
			err = tryFirst(cmd, d, []string{c.Name})
			if verify {
				if alive := verifyDead(cmd, d, c.Name, patience); alive != nil {
					err = alive
				}
			}
			return err
		},
	}
	takesPassphrase(cmd)
	tries(cmd)
	cmd.Flags().StringVar(&clientID, "client-id", "", "the new client id, where the provider gives a new pair")
	cmd.Flags().StringVar(&expires, "expires", "", "date or time when the new secret ends by itself; without it, that is not known")
	cmd.Flags().BoolVar(&verify, "verify-revoked", false, "wait until the old secret is proven dead, and print the proof")
	cmd.Flags().BoolVar(&undo, "undo", false, "go back to the secret before, which is kept for a while, and to its client id")
	cmd.Flags().DurationVar(&patience, "timeout", 15*time.Minute, "how long --verify-revoked tries")
	return cmd
}

func undone(cmd *cobra.Command, d *desk, name string) error {
	if err := d.Post(cmd.Context(), ofName(name)+"/rotate/undo"+whenFirst(cmd), nil, nil); err != nil {
		return plainly(err)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s has the secret that it had before\n", name)
	return tryFirst(cmd, d, []string{name})
}

// changedOnHost: the secret is read from the host, so it was changed there. It is read by a check, which notes that it was replaced.
func changedOnHost(cmd *cobra.Command, d *desk, c api.CredentialJSON, patience time.Duration) error {
	if err := d.check(cmd.Context(), []string{c.Name}, false, func(api.CheckJSON) {}); err != nil {
		return err
	}
	return verifyDead(cmd, d, c.Name, patience)
}
