package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/api"
)

func newCredentialsList(o *options) *cobra.Command {
	var (
		out   output
		watch watch
		only  filters
		all   bool
	)
	cmd := &cobra.Command{
		Use: "list", Short: "List credentials with what we hold of them", Args: cobra.NoArgs,
		Example: "  keyrounds credentials list --filter owner=talent-platform --filter status=revoked --sort name",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := only.check(cmd); err != nil {
				return err
			}
			d, err := o.desk(cmd)
			if err != nil {
				return err
			}
			defer d.close()
			return watch.show(cmd, func(w io.Writer) error { return showCredentials(cmd.Context(), w, d, only, all, out) })
		},
	}
	out.flags(cmd, "table", "json", "csv")
	only.flag(cmd)
	watch.flags(cmd, &out)
	cmd.Flags().BoolVarP(&all, "all", "a", false, "also retired ones")
	return cmd
}

// showCredentials prints a list of credentials, also retired ones where all are meant.
func showCredentials(ctx context.Context, w io.Writer, d *desk, only filters, all bool, out output) error {
	l := out.begin(w, []string{"NAME", "PROVIDER", "STATUS", "OWNER", "SOURCE", "LAST CHECK", "NEXT CHECK"})
	err := d.credentials(ctx, all, func(v api.CredentialJSON) {
		if !only.pass(v) {
			return
		}
		l.add([]string{v.Name, v.Provider, v.Status, v.Owner, v.Source, stamp(v.LastCheck), stamp(v.NextCheck)}, v)
	})
	if err != nil {
		return err
	}
	l.none = d.none("no credential is registered yet; name some in the configuration, or: keyrounds credentials add")
	if l.n == 0 && len(only.given) > 0 {
		if err := only.nothing(); err != nil {
			return err
		}
		l.none = d.none("no credential is like that")
	}
	return l.end()
}
