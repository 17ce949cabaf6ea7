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
				Name  string `json:"name"`
				Title string `json:"title"`
				Docs  string `json:"docs"`
				Notes string `json:"notes"`
				JQ    string `json:"jq"`
				Poll  bool   `json:"log_api"`
			}
			var rows [][]string
			var values []format
			for _, p := range feed.Presets() {
				values = append(values, format{p.Name, p.Title, p.Docs, p.Notes, p.JQ, p.Poll != nil})
				rows = append(rows, []string{p.Name, p.Title, map[bool]string{true: "yes"}[p.Poll != nil], p.Docs})
			}
			return out.list(cmd.OutOrStdout(), []string{"FORMAT", "TITLE", "LOG API", "DOCUMENTED AT"}, rows, values)
		},
	}
	out.flags(cmd, "table", "json", "csv")
	return cmd
}
