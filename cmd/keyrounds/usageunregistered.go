package main

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/api/client"
	"github.com/keyrounds/keyrounds/usage"
)

func newUsageUnregistered(o *options) *cobra.Command {
	var (
		out   output
		limit int
	)
	cmd := &cobra.Command{
		Use: "unregistered", Short: "List client ids that feeds show and nobody registered", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := o.desk(cmd)
			if err != nil {
				return err
			}
			defer d.close()
			l := out.begin(cmd.OutOrStdout(), []string{"CLIENT ID", "PROVIDER", "EVENTS", "FIRST", "LAST", "FROM", "CREATED", "BY"})
			var first usage.Unregistered
			total, err := client.Each(cmd.Context(), d.Client, "/unregistered", nil, limit, func(page []usage.Unregistered) {
				for _, u := range page {
					if l.n == 0 {
						first = u
					}
					from := ""
					if u.Address.IsValid() {
						from = u.Address.String()
					}
					id := cmp.Or(u.ClientID, "(not said)")
					row := []string{
						id,
						u.Provider,
						count(u.Events),
						stamp(u.FirstAt),
						stamp(u.LastAt),
						from,
						stamp(u.CreatedAt),
						u.CreatedBy,
					}
					l.add(row, u)
				}
			})
			if err != nil {
				return plainly(err)
			}
			l.none = d.none("none: every client id in the feeds is registered")
			if limit > 0 && total > l.n {
				fmt.Fprintf(cmd.ErrOrStderr(), "there are more than %d: --limit 0 lists all\n", limit)
			}
			if err := l.end(); err != nil || l.n == 0 || !out.people() {
				return err
			}
			fmt.Fprintf(
				cmd.OutOrStdout(),
				"register one: keyrounds credentials add NAME --provider %s --client-id '%s'\n",
				first.Provider,
				printable(strings.ReplaceAll(cmp.Or(first.ClientID, "ID"), "'", ""), false),
			)
			return nil
		},
	}
	out.flags(cmd, "table", "json", "csv")
	mostOf(cmd, &limit, 1000, "at most `N`, those that were used last")
	return cmd
}
