package main

import (
	"github.com/spf13/cobra"
)

func newUsage(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "usage",
		Short: "Who uses the credentials beside keyrounds: list, show, status, unregistered, try, import, formats",
	}
	cmd.AddCommand(newUsageList(o), newUsageShow(o), newUsageStatus(o), newUsageUnregistered(o), newUsageTry(o), newUsageImport(o),
		newUsageFormats())
	return cmd
}
