package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/report"
)

// output is the flag -o and what it means.
type output struct {
	format  string
	allowed []string
}

func (o *output) flags(cmd *cobra.Command, formats ...string) {
	o.allowed = formats
	cmd.Flags().StringVarP(&o.format, "output", "o", formats[0], "one of "+joinComma(formats))
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp))
	before := cmd.PreRunE
	cmd.PreRunE = func(cmd *cobra.Command, args []string) error {
		if err := oneOf(o.format, o.allowed); err != nil {
			return err
		}
		if before != nil {
			return before(cmd, args)
		}
		return nil
	}
}

func joinComma(s []string) string { return strings.Join(s, ", ") }

// list prints rows as a table or CSV, or values as one JSON list.
func (o *output) list(w io.Writer, head []string, rows [][]string, values any) error {
	switch o.format {
	case "json":
		return writeJSON(w, values)
	case "csv":
		return writeCSV(w, head, rows)
	}
	return writeTable(w, head, rows)
}

// one prints one value as JSON, or text.
func (o *output) one(w io.Writer, value any, text string) error {
	if o.format == "json" {
		return writeJSON(w, value)
	}
	_, err := io.WriteString(w, text)
	return err
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

func writeTable(w io.Writer, head []string, rows [][]string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, strings.Join(head, "\t"))
	for _, r := range rows {
		cells := make([]string, len(r))
		for i, c := range r {
			cells[i] = printable(c, false)
		}
		fmt.Fprintln(t, strings.TrimRight(strings.Join(cells, "\t"), "\t "))
	}
	return t.Flush()
}

// writeCSV quotes what a spreadsheet would take for a formula.
func writeCSV(w io.Writer, head []string, rows [][]string) error {
	c := csv.NewWriter(w)
	lower := make([]string, len(head))
	for i, h := range head {
		lower[i] = strings.ReplaceAll(strings.ToLower(h), " ", "_")
	}
	_ = c.Write(lower)
	for _, r := range rows {
		cells := make([]string, len(r))
		for i, v := range r {
			cells[i] = printable(report.Cell(v), false)
		}
		_ = c.Write(cells)
	}
	c.Flush()
	return c.Error()
}

// printable keeps control characters from the terminal.
func printable(s string, lines bool) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' && lines:
			return r
		case r == '\n' || r == '\t':
			return ' '
		case unicode.IsControl(r) || unicode.Is(unicode.Cf, r):
			return -1
		}
		return r
	}, s)
}

// paint colours text on a terminal, unless NO_COLOR is set.
func paint(w io.Writer, code, text string) string {
	if !isTerminal(w) || os.Getenv("NO_COLOR") != "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
