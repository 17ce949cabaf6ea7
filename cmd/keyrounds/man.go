package main

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// newMan writes man pages, for packages.
func newMan() *cobra.Command {
	return &cobra.Command{
		Use: "man DIR", Short: "Write the man pages of all commands into a directory", Args: cobra.ExactArgs(1), Hidden: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return err
			}
			root := cmd.Root()
			root.DisableAutoGenTag = true
			date := time.Unix(0, 0) // the same pages each time
			err := doc.GenManTree(root, &doc.GenManHeader{Section: "1", Source: "keyrounds", Manual: "keyrounds", Date: &date}, args[0])
			if err == nil {
				fmt.Fprintf(cmd.OutOrStdout(), "the man pages are in %s\n", args[0])
			}
			return err
		},
	}
}
