package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/access"
	"github.com/keyrounds/keyrounds/api"
)

func newAccess(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use: "access", Short: "Who may do what: people, tokens, sessions, first-run-token",
		Long: "Who may do what (docs/access.md): people with passwords, API tokens, who is signed in. The database decides: these\n" +
			"commands work beside a daemon and without one, and what they change holds at once.",
	}
	cmd.AddCommand(newPeople(o), newTokens(o), newSessions(o), newFirstRunToken(o))
	return cmd
}

func newFirstRunToken(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "first-run-token", Short: "Print a token that makes an admin on the page /first-run, once, within an hour", Args: cobra.NoArgs,
		Long: "Print a token that makes an admin on the page /first-run, once, within an hour. It is also the way back in: a local\n" +
			"person of that name becomes an admin with a new password. The record has that it was printed.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := o.desk(cmd)
			if err != nil {
				return err
			}
			defer d.close()
			var t api.FirstRunToken
			if err := d.Post(cmd.Context(), "/first-run-token", nil, &t); err != nil {
				return plainly(err)
			}
			warnWithoutPeople(cmd, t.People)
			fmt.Fprintf(cmd.ErrOrStderr(), "make an admin on %s with this token, until %s:\n", printable(t.Page, false), stamp(t.EndsAt))
			_, err = fmt.Fprintln(cmd.OutOrStdout(), printable(t.Token, false))
			return err
		},
	}
}

// warnWithoutPeople says that nobody signs in with a password yet, where that is so.
func warnWithoutPeople(cmd *cobra.Command, people bool) {
	if !people {
		fmt.Fprintln(cmd.ErrOrStderr(), "warning: people sign in with a password only where the configuration has access: {people: true}")
	}
}

// granted is what the flags say, for the API.
func granted(g access.Grant) api.GrantIn { return api.GrantIn{Role: string(g.Role), Owners: g.Owners} }

// grantFlags are --role and --owner.
func grantFlags(cmd *cobra.Command, g *access.Grant, roles []access.Role) {
	cmd.Flags().StringVar((*string)(&g.Role), "role", string(access.Viewer), "what it may do: "+joinRoles(roles))
	cmd.Flags().StringSliceVar(&g.Owners, "owner", nil, "for the role owner: whose credentials; may be given several times")
	complete := cobra.FixedCompletions(strings.Split(joinRoles(roles), ", "), cobra.ShellCompDirectiveNoFileComp)
	_ = cmd.RegisterFlagCompletionFunc("role", complete)
}

func joinRoles(roles []access.Role) string {
	var names []string
	for _, r := range roles {
		names = append(names, string(r))
	}
	return joinComma(names)
}

func roleOf(r access.Role, owners []string) string {
	if len(owners) == 0 {
		return string(r)
	}
	return string(r) + " of " + joinComma(owners)
}
