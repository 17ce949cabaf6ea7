package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/api"
	"github.com/keyrounds/keyrounds/finding"
)

func newNotify(o *options) *cobra.Command {
	cmd := &cobra.Command{Use: "notify", Short: "Try the receivers: test"}
	cmd.AddCommand(newNotifyTest(o))
	return cmd
}

func newNotifyTest(o *options) *cobra.Command {
	var kind, receiver string
	cmd := &cobra.Command{
		Use:   "test",
		Short: "Send a sample of a finding to the receivers",
		Long: "Send a sample of a finding to the receivers, to see that they work and what they show. Its title says TEST,\n" +
			"and nothing is stored but that it was asked for. Receivers that page somebody (PagerDuty, Opsgenie) get one only by\n" +
			"--receiver. Exit 0: all that were asked have it; 2: one did not take it, or there is none.",
		Example: "  keyrounds notify test --kind revoked",
		Args:    cobra.NoArgs,
		PreRunE: func(*cobra.Command, []string) error {
			if !slices.Contains(finding.Kinds(), finding.Kind(kind)) {
				return &hintError{fmt.Errorf("unknown kind %q", kind), "one of " + joinComma(kindNames())}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := o.deskOfAll(cmd)
			if err != nil {
				return err
			}
			defer d.close()
			var out api.ReceiversTestOut
			err = awaiting(cmd.ErrOrStderr(), "waiting for the receivers", func() error {
				in := map[string]string{"kind": kind, "receiver": receiver} // api.ReceiversTestIn
				return d.Post(cmd.Context(), "/receivers/test", in, &out)
			})
			for _, to := range out.Sent {
				where := ""
				if to.Where != "" {
					where = " (" + to.Where + ")"
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s%s has a sample of %s\n", to.Receiver, where, kind)
			}
			for _, name := range out.Left {
				fmt.Fprintf(cmd.OutOrStdout(), "%s has none, since it pages somebody; to test it all the same: --receiver %s\n", name, name)
			}
			if len(out.Failed) > 0 {
				var why []string
				for _, f := range out.Failed {
					why = append(why, f.Why)
				}
				return &hintError{errors.New(strings.Join(why, "\n")), out.Failed[0].Hint}
			}
			return plainly(err)
		},
	}
	cmd.Flags().StringVar(&kind, "kind", string(finding.Revoked), "of which kind, as in keyrounds findings list")
	cmd.Flags().StringVar(&receiver, "receiver", "", "only this receiver")
	_ = cmd.RegisterFlagCompletionFunc("kind", cobra.FixedCompletions(kindNames(), cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func kindNames() []string {
	var names []string
	for _, k := range finding.Kinds() {
		names = append(names, string(k))
	}
	return names
}
