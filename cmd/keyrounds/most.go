package main

import (
	"strconv"

	"github.com/spf13/cobra"
)

// most is the value of --limit: how many at most; 0: all.
type most int

func (m *most) String() string { return strconv.Itoa(int(*m)) }
func (*most) Type() string     { return "uint32" }

func (m *most) Set(text string) error {
	n, err := strconv.ParseUint(text, 10, 31)
	*m = most(n)
	return err
}

// mostOf adds --limit.
func mostOf(cmd *cobra.Command, limit *int, usual int, what string) {
	*limit = usual
	cmd.Flags().Var((*most)(limit), "limit", what+"; 0: all")
}
