package main

import (
	"fmt"
	"net/http"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/access"
	"github.com/keyrounds/keyrounds/api/client"
)

func newSessions(o *options) *cobra.Command {
	cmd := &cobra.Command{Use: "sessions", Short: "Who is signed in: list, end"}
	cmd.AddCommand(newSessionsList(o), newSessionsEnd(o))
	return cmd
}

func newSessionsList(o *options) *cobra.Command {
	var out output
	cmd := &cobra.Command{
		Use: "list", Short: "List the browsers that are signed in", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := o.desk(cmd)
			if err != nil {
				return err
			}
			defer d.close()
			list, _, err := client.List[access.Session](cmd.Context(), d.Client, "/sessions", nil, 0)
			if err != nil {
				return plainly(err)
			}
			out.none = d.none("nobody is signed in")
			var rows [][]string
			for _, s := range list {
				rows = append(rows, []string{
					strconv.FormatInt(s.ID, 10), s.Name, stamp(s.BeganAt), stamp(s.UsedAt), stamp(s.EndsAt), s.Address, s.Agent,
				})
			}
			return out.list(cmd.OutOrStdout(), []string{"ID", "PERSON", "SINCE", "LAST USED", "ENDS", "ADDRESS", "BROWSER"}, rows, list)
		},
	}
	out.flags(cmd, "table", "json", "csv")
	return cmd
}

func newSessionsEnd(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "end ID", Short: "Sign a browser out", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := strconv.ParseInt(args[0], 10, 64)
			if err != nil || id < 1 {
				return &hintError{fmt.Errorf("%q is not the number of a session", args[0]), "see keyrounds access sessions list"}
			}
			d, err := o.desk(cmd)
			if err != nil {
				return err
			}
			defer d.close()
			err = d.Delete(cmd.Context(), fmt.Sprintf("/sessions/%d", id), nil)
			if answered(err, http.StatusNotFound) {
				return &hintError{fmt.Errorf("there is no session %d", id), "see keyrounds access sessions list"}
			}
			if err != nil {
				return plainly(err)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "session %d is over\n", id)
			return nil
		},
	}
}
