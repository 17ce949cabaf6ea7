package main

import (
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/api"
	"github.com/keyrounds/keyrounds/api/client"
)

func newFindingsPrecision(o *options) *cobra.Command {
	var out output
	cmd := &cobra.Command{
		Use: "precision", Short: "Count how many findings were false alarms, by provider and kind", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := o.desk(cmd)
			if err != nil {
				return err
			}
			defer d.close()
			values, _, err := client.List[api.PrecisionJSON](cmd.Context(), d.Client, "/precision", nil, 0)
			if err != nil {
				return plainly(err)
			}
			var rows [][]string
			for _, r := range values {
				rows = append(rows, []string{
					r.Provider, string(r.Kind), strconv.Itoa(r.Found), strconv.Itoa(r.FalseAlarms),
					out.unit(fmt.Sprintf("%.1f", 100*r.Precision), "%"),
				})
			}
			out.none = d.none("no findings yet")
			return out.list(cmd.OutOrStdout(), []string{"PROVIDER", "KIND", "FOUND", "FALSE ALARMS", "PRECISION"}, rows, values)
		},
	}
	out.flags(cmd, "table", "json", "csv")
	return cmd
}
