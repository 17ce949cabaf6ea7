package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/access"
	"github.com/keyrounds/keyrounds/api"
	"github.com/keyrounds/keyrounds/api/client"
)

func newPeople(o *options) *cobra.Command {
	cmd := &cobra.Command{Use: "people", Short: "Who may sign in: list, add, role, disable, enable, reset"}
	cmd.AddCommand(
		newPeopleList(o), newPeopleAdd(o), newPeopleRole(o), newPeopleReset(o),
		newPeopleDeed(o, "disable", "Have somebody's password, sessions and tokens open nothing any more, at once", "is disabled"),
		newPeopleDeed(o, "enable", "Let somebody sign in again who was disabled", "may sign in again"),
	)
	return cmd
}

func newPeopleList(o *options) *cobra.Command {
	var out output
	cmd := &cobra.Command{
		Use: "list", Short: "List who may sign in", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := o.desk(cmd)
			if err != nil {
				return err
			}
			defer d.close()
			people, _, err := client.List[access.Person](cmd.Context(), d.Client, "/people", nil, 0)
			if err != nil {
				return plainly(err)
			}
			out.none = d.none("nobody may sign in yet; keyrounds access first-run-token prints how the first admin is made")
			var rows [][]string
			for _, p := range people {
				by, state := "password", ""
				if !p.Local() {
					by = p.Issuer
				}
				switch {
				case !p.DisabledAt.IsZero():
					state = "disabled"
				case p.Temporary:
					state = "temporary password"
				}
				rows = append(rows, []string{p.Name, roleOf(p.Role, p.Owners), by, state, stampOrNever(p.SignedInAt), p.AddedBy})
			}
			return out.list(cmd.OutOrStdout(), []string{"NAME", "ROLE", "SIGNS IN BY", "STATE", "LAST SIGN-IN", "ADDED BY"}, rows, people)
		},
	}
	out.flags(cmd, "table", "json", "csv")
	return cmd
}

func newPeopleAdd(o *options) *cobra.Command {
	var g access.Grant
	cmd := &cobra.Command{
		Use: "add NAME", Short: "Add a person with a temporary password, which is shown once", Args: cobra.ExactArgs(1),
		Long: "Add a person with a temporary password, which is shown once. It opens nothing but the page on which they choose another.\n" +
			"People of an OpenID provider are not added: they come with their first sign-in (access.issuers).",
		Example: "  keyrounds access people add ann --role responder\n" +
			"  keyrounds access people add bob --role owner --owner talent-platform",
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := o.desk(cmd)
			if err != nil {
				return err
			}
			defer d.close()
			var made api.TemporaryPassword
			if err := d.Post(cmd.Context(), "/people", api.PersonIn{Name: args[0], GrantIn: granted(g)}, &made); err != nil {
				return plainly(err)
			}
			warnWithoutPeople(cmd, made.People)
			fmt.Fprintf(cmd.ErrOrStderr(), "%s may sign in on %s as %s, with this password, which is shown once:\n",
				args[0], printable(made.Page, false), roleOf(g.Role, g.Owners))
			_, err = fmt.Fprintln(cmd.OutOrStdout(), printable(made.Password, false))
			return err
		},
	}
	grantFlags(cmd, &g, access.Roles())
	return cmd
}

func newPeopleRole(o *options) *cobra.Command {
	var g access.Grant
	cmd := &cobra.Command{
		Use: "role NAME", Short: "Give somebody another role", Args: cobra.ExactArgs(1),
		Long: "Give somebody another role, at once. Of the people of an OpenID provider the next sign-in decides anew, by their groups.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if !cmd.Flags().Changed("role") {
				return &hintError{errors.New("it is not said which role"), "--role, one of " + joinRoles(access.Roles())}
			}
			return o.withPerson(cmd, args[0], func(d *desk, p access.Person) error {
				if err := d.Post(cmd.Context(), fmt.Sprintf("/people/%d/role", p.ID), granted(g), nil); err != nil {
					return plainly(err)
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s is %s now\n", p.Name, roleOf(g.Role, g.Owners))
				return nil
			})
		},
	}
	grantFlags(cmd, &g, access.Roles())
	return cmd
}

func newPeopleReset(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "reset NAME", Short: "Give somebody a temporary password, shown once, and end their sessions", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.withPerson(cmd, args[0], func(d *desk, p access.Person) error {
				var made api.TemporaryPassword
				if err := d.Post(cmd.Context(), fmt.Sprintf("/people/%d/reset", p.ID), nil, &made); err != nil {
					return plainly(err)
				}
				fmt.Fprintf(cmd.ErrOrStderr(), "the password of %s, which is shown once and has to be changed:\n", p.Name)
				_, err := fmt.Fprintln(cmd.OutOrStdout(), printable(made.Password, false))
				return err
			})
		},
	}
}

// newPeopleDeed is a command whose name is that of the deed in the API.
func newPeopleDeed(o *options, deed, short, done string) *cobra.Command {
	return &cobra.Command{
		Use: deed + " NAME", Short: short, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.withPerson(cmd, args[0], func(d *desk, p access.Person) error {
				if err := d.Post(cmd.Context(), fmt.Sprintf("/people/%d/%s", p.ID, deed), nil, nil); err != nil {
					return plainly(err)
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s %s\n", p.Name, done)
				return nil
			})
		},
	}
}

// withPerson does something about the person of a name. Where several issuers have one, none is chosen.
func (o *options) withPerson(cmd *cobra.Command, name string, do func(d *desk, p access.Person) error) error {
	d, err := o.desk(cmd)
	if err != nil {
		return err
	}
	defer d.close()
	people, _, err := client.List[access.Person](cmd.Context(), d.Client, "/people", nil, 0)
	if err != nil {
		return plainly(err)
	}
	var found []access.Person
	var names []string
	for _, p := range people {
		if names = append(names, p.Name); p.Name == name {
			found = append(found, p)
		}
	}
	switch len(found) {
	case 0:
		return &hintError{fmt.Errorf("there is no person %q", name), meant(name, names, "keyrounds access people list shows all")}
	case 1:
		return do(d, found[0])
	}
	return &hintError{
		fmt.Errorf("%d people are called %q, of different issuers", len(found), name),
		"their issuers' groups decide about them; a local one is changed on the page /people",
	}
}
