package main

import (
	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/usage/feed"
)

func newUsageFormats() *cobra.Command {
	var out output
	cmd := &cobra.Command{
		Use: "formats", Short: "List the formats of records that are known, and where they are documented", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			type format struct {
				Name    string        `json:"name"`
				Title   string        `json:"title"`
				Docs    string        `json:"docs"`
				Notes   string        `json:"notes"`
				Input   feed.Input    `json:"input"`
				Pattern feed.Patterns `json:"pattern"`
				JQ      string        `json:"jq"`
				Poll    bool          `json:"log_api"`
				Partial bool          `json:"partial"` // it shows some uses only
			}
			var rows [][]string
			var values []format
			for _, p := range feed.Presets() {
				values = append(values, format{
					p.Name, p.Title, p.Docs, p.Notes, p.Input, orEmpty(p.Pattern), p.JQ, p.Poll != nil,
					p.Partial || p.Poll != nil && p.Poll.Partial,
				})
				yes := map[bool]string{true: "yes"}
				v := values[len(values)-1]
				rows = append(rows, []string{p.Name, p.Title, yes[v.Poll], yes[v.Partial], p.Docs})
			}
			return out.list(cmd.OutOrStdout(), []string{"FORMAT", "TITLE", "LOG API", "PARTIAL", "DOCUMENTED AT"}, rows, values)
		},
	}
	out.flags(cmd, "table", "json", "csv")
	return cmd
}
