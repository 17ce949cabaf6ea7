package main

import (
	"runtime"

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/confine"
)

const confined = "confined"

// confineCommand starts this program again as the command below, where programs can be confined.
func confineCommand() confine.Launcher {
	if runtime.GOOS != "linux" {
		return nil
	}
	return confine.Launcher{"/proc/self/exe", confined}
}

// newConfined is for keyrounds itself: it gives up what it does not need and becomes git.
func newConfined() *cobra.Command {
	return &cobra.Command{
		Use: confined, Hidden: true, DisableFlagParsing: true,
		Short: "Become a program that reads only what it is given (for keyrounds itself)",
		RunE:  func(_ *cobra.Command, args []string) error { return confine.Become(args) },
	}
}
