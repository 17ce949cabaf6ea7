package main

import (
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/finding"
)

func newFindingsPrecision(o *options) *cobra.Command {
	var out output
	cmd := &cobra.Command{
		Use: "precision", Short: "Count how many findings were false alarms, by provider and kind", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := o.openAnyhow(cmd)
			if err != nil {
				return err
			}
			defer a.Close()
			list, err := a.Audit.Precisions(cmd.Context())
			if err != nil {
				return err
			}
			type row struct {
				Provider    string       `json:"provider"`
				Kind        finding.Kind `json:"kind"`
				Found       int          `json:"found"`
				FalseAlarms int          `json:"false_alarms"`
				Precision   float64      `json:"precision"` // 1: none was false
			}
			values := []row{}
			var rows [][]string
			for _, p := range list {
				r := row{p.Provider, p.Kind, p.Found, p.FalseAlarms, 1 - float64(p.FalseAlarms)/float64(p.Found)}
				values = append(values, r)
				rows = append(
					rows,
					[]string{
						r.Provider,
						string(r.Kind),
						strconv.Itoa(r.Found),
						strconv.Itoa(r.FalseAlarms),
						out.unit(fmt.Sprintf("%.1f", 100*r.Precision), "%"),
					},
				)
			}
			if len(rows) == 0 && out.people() {
				fmt.Fprintln(cmd.OutOrStdout(), "no findings yet")
				return nil
			}
			return out.list(cmd.OutOrStdout(), []string{"PROVIDER", "KIND", "FOUND", "FALSE ALARMS", "PRECISION"}, rows, values)
		},
	}
	out.flags(cmd, "table", "json", "csv")
	return cmd
}
