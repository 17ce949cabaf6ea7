package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/access"
	"github.com/keyrounds/keyrounds/api"
	"github.com/keyrounds/keyrounds/api/client"
	"github.com/keyrounds/keyrounds/credential"
)

func newTokens(o *options) *cobra.Command {
	cmd := &cobra.Command{Use: "tokens", Short: "API tokens: list, add, revoke"}
	cmd.AddCommand(newTokensList(o), newTokensAdd(o), newTokensRevoke(o))
	return cmd
}

func newTokensList(o *options) *cobra.Command {
	var (
		out output
		all bool
	)
	cmd := &cobra.Command{
		Use: "list", Short: "List the API tokens, the newest first, and which of them nobody uses", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := o.desk(cmd)
			if err != nil {
				return err
			}
			defer d.close()
			ask := url.Values{"all": {strconv.FormatBool(all)}}
			tokens, _, err := client.List[access.Token](cmd.Context(), d.Client, "/tokens", ask, 0)
			if err != nil {
				return plainly(err)
			}
			out.none = d.none("there are no tokens")
			var rows [][]string
			for _, t := range tokens {
				rows = append(rows, []string{
					t.Name, t.Hint + "…", roleOf(t.Role, t.Owners), t.MadeBy, endOf(t), stampOrNever(t.UsedAt), stateOf(t, time.Now()),
				})
			}
			head := []string{"NAME", "BEGINS WITH", "ROLE", "MADE BY", "ENDS", "LAST USED", "STATE"}
			return out.list(cmd.OutOrStdout(), head, rows, tokens)
		},
	}
	out.flags(cmd, "table", "json", "csv")
	cmd.Flags().BoolVar(&all, "all", false, "also those that are over")
	return cmd
}

func endOf(t access.Token) string {
	if t.EndsAt.IsZero() {
		return "never"
	}
	return stamp(t.EndsAt)
}

func stateOf(t access.Token, now time.Time) string {
	switch {
	case !t.RevokedAt.IsZero():
		return "revoked by " + t.RevokedBy
	case !t.EndsAt.IsZero() && !now.Before(t.EndsAt):
		return "over"
	case t.Unused(now):
		return "unused for 90 days: revoke it"
	}
	return ""
}

func stampOrNever(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return stamp(t)
}

func newTokensAdd(o *options) *cobra.Command {
	var (
		g       access.Grant
		howLong string
	)
	cmd := &cobra.Command{
		Use: "add NAME", Short: "Make an API token, which is shown once", Args: cobra.ExactArgs(1),
		Long: "Make an API token, which is shown once. It begins with kr_, so that scanners know it, and is stored as a hash.\n" +
			"It is sent as Authorization: Bearer, or named to a command as KEYROUNDS_TOKEN.",
		Example: "  keyrounds access tokens add on-call --role responder --for 90d > token",
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := credential.ParseDuration(howLong)
			if err != nil || d <= 0 {
				return &hintError{fmt.Errorf("--for %q is not a time", howLong), "for example 90d"}
			}
			at, err := o.desk(cmd)
			if err != nil {
				return err
			}
			defer at.close()
			var t api.NewToken
			in := api.TokenIn{Name: args[0], Role: string(g.Role), Owners: g.Owners, For: howLong}
			if err := at.Post(cmd.Context(), "/tokens", in, &t); err != nil {
				return plainly(err)
			}
			fmt.Fprintf(
				cmd.ErrOrStderr(),
				"the token %s, %s until %s, which is shown once:\n",
				t.Name,
				roleOf(t.Role, t.Owners),
				stamp(t.EndsAt),
			)
			_, err = fmt.Fprintln(cmd.OutOrStdout(), printable(t.Secret, false))
			return err
		},
	}
	grantFlags(cmd, &g, access.TokenRoles())
	cmd.Flags().StringVar(&howLong, "for", "90d", "how long it is in force")
	return cmd
}

func newTokensRevoke(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "revoke NAME", Short: "Have an API token open nothing any more, at once", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := o.desk(cmd)
			if err != nil {
				return err
			}
			defer d.close()
			tokens, _, err := client.List[access.Token](cmd.Context(), d.Client, "/tokens", nil, 0)
			if err != nil {
				return plainly(err)
			}
			var names []string
			for _, t := range tokens {
				if names = append(names, t.Name); t.Name == args[0] {
					err := d.Delete(cmd.Context(), fmt.Sprintf("/tokens/%d", t.ID), nil)
					if err != nil && !answered(err, http.StatusNotFound) { // somebody else was quicker
						return plainly(err)
					}
					fmt.Fprintf(cmd.OutOrStdout(), "the token %s opens nothing any more\n", t.Name)
					return nil
				}
			}
			hint := meant(args[0], names, "keyrounds access tokens list shows all")
			return &hintError{fmt.Errorf("there is no token %q in force", args[0]), hint}
		},
	}
}
