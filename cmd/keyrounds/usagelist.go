package main

import (
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/api"
	"github.com/keyrounds/keyrounds/api/client"
)

func newUsageList(o *options) *cobra.Command {
	var (
		out    output
		q      api.UsageQuery
		status string
	)
	cmd := &cobra.Command{
		Use: "list", Short: "Tell of each credential whether it is used, and how that is known", Args: cobra.NoArgs,
		Example: "  keyrounds usage list --status unused --provider smartrecruiters\n" +
			"  keyrounds usage list --limit 1000 --after ats-sync",
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if q.State, err = api.ParseUsageState(status); err != nil {
				return err
			}
			d, err := o.desk(cmd)
			if err != nil {
				return err
			}
			defer d.close()
			l := out.begin(
				cmd.OutOrStdout(),
				[]string{"CREDENTIAL", "PROVIDER", "OWNER", "USAGE", "LAST USED AT", "FROM", "DAYS UNUSED", "COVERAGE", "REASON"},
			)
			l.none = d.none("no credential is like that")
			last := ""
			ask := url.Values{"status": {string(q.State)}, "provider": {q.Provider}, "q": {q.Search}, "after": {q.After}}
			total, err := client.Each(cmd.Context(), d.Client, "/usage", ask, q.Limit, func(page []api.UsageJSON) {
				for _, u := range page {
					last = u.Credential
					l.add([]string{
						u.Credential, u.Provider, u.Owner, u.Usage, stampOf(u.LastUsedAt), u.LastUsedFrom, numberOf(u.DaysUnused),
						u.Coverage, u.Reason,
					}, u)
				}
			})
			if err != nil {
				return plainly(err)
			}
			if q.Limit > 0 && l.n == q.Limit && total > l.n {
				fmt.Fprintf(cmd.ErrOrStderr(), "there are more: --after %s\n", last)
			}
			return l.end()
		},
	}
	out.flags(cmd, "table", "json", "csv")
	cmd.Flags().StringVar(&status, "status", "", "only those that are used, unused, never_used or not_known")
	cmd.Flags().StringVar(&q.Provider, "provider", "", "only those of a provider of the configuration")
	cmd.Flags().StringVar(&q.Search, "search", "", "only those with this in their name, in any case")
	mostOf(cmd, &q.Limit, 0, "at most `N`, by name")
	cmd.Flags().StringVar(&q.After, "after", "", "begin after this name, as the end of a limited list says")
	return cmd
}

func stampOf(t *time.Time) string {
	if t == nil {
		return ""
	}
	return stamp(*t)
}

func numberOf(n *int) string {
	if n == nil {
		return ""
	}
	return strconv.Itoa(*n)
}
