package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/access"
	"github.com/keyrounds/keyrounds/app"
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
			a, err := o.openAnyhow(cmd)
			if err != nil {
				return err
			}
			defer a.Close()
			token, ends, err := a.Access.FirstRunToken(cmd.Context(), actor())
			if err != nil {
				return err
			}
			warnWithoutPeople(cmd, a)
			fmt.Fprintf(cmd.ErrOrStderr(), "make an admin on %s/first-run with this token, until %s:\n", pagesOf(a), stamp(ends))
			_, err = fmt.Fprintln(cmd.OutOrStdout(), token.Reveal())
			return err
		},
	}
}

// pagesOf is where people reach the pages.
func pagesOf(a *app.App) string {
	if url := a.Config().ExternalURL; url != "" {
		return strings.TrimSuffix(url, "/")
	}
	return "http://" + a.Config().Listen
}

// warnWithoutPeople says that nobody signs in with a password yet.
func warnWithoutPeople(cmd *cobra.Command, a *app.App) {
	if !a.Config().Access.People {
		fmt.Fprintln(cmd.ErrOrStderr(), "warning: people sign in with a password only where the configuration has access: {people: true}")
	}
}

// grantFlags are --role and --owner.
func grantFlags(cmd *cobra.Command, g *access.Grant) {
	cmd.Flags().StringVar((*string)(&g.Role), "role", string(access.Viewer), "what it may do: "+joinRoles())
	cmd.Flags().StringSliceVar(&g.Owners, "owner", nil, "for the role owner: whose credentials; may be given several times")
	_ = cmd.RegisterFlagCompletionFunc("role", cobra.FixedCompletions(strings.Split(joinRoles(), ", "), cobra.ShellCompDirectiveNoFileComp))
}

func joinRoles() string {
	var names []string
	for _, r := range access.Roles() {
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

// denied is an error of package access in words for a terminal. what was asked for, such as a person of a name.
func denied(err error, what string) error {
	var input *access.InputError
	switch {
	case errors.As(err, &input):
		return &hintError{errors.New(input.Text), "docs/access.md has the roles and what they may do"}
	case errors.Is(err, access.ErrTaken):
		return fmt.Errorf("%s: there is one of this name already", what)
	case errors.Is(err, access.ErrNotFound):
		return fmt.Errorf("there is no %s", what)
	}
	return err
}
