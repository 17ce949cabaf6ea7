package main

import (
	"cmp"
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

// begin begins a list that is printed as it is read: add takes a row of it and its value, end prints the rest of it. Only
// a page of a table is held, and laid out by itself, with its columns at least as wide as those of head.
func (o *output) begin(w io.Writer, head []string) *list {
	return &list{w: w, format: o.format, head: head}
}

// tablePage is how many rows of a table are laid out together.
const tablePage = 1000

type list struct {
	w      io.Writer
	format string
	head   []string
	n      int // rows so far
	rows   [][]string
	err    error // the first
}

func (l *list) add(row []string, value any) {
	l.n++
	if l.format != "json" {
		if l.rows = append(l.rows, row); len(l.rows) == tablePage {
			l.flush()
		}
		return
	}
	b, err := json.MarshalIndent(value, "  ", "  ")
	l.fail(err)
	l.print(map[bool]string{true: "[\n  ", false: ",\n  "}[l.n == 1] + string(b))
}

func (l *list) end() error {
	switch {
	case l.format != "json":
		l.flush()
	case l.n == 0:
		l.print("[]\n")
	default:
		l.print("\n]\n")
	}
	return l.err
}

// flush prints the rows that are held, after the head the first time.
func (l *list) flush() {
	first := l.n == len(l.rows)
	if len(l.rows) == 0 && !first {
		return
	}
	var b strings.Builder
	if l.format == "csv" {
		l.fail(writeCSV(&b, l.head, l.rows))
	} else {
		l.fail(writeTable(&b, l.head, l.rows))
	}
	text := b.String()
	if !first {
		_, text, _ = strings.Cut(text, "\n")
	}
	l.print(text)
	l.rows = nil
}

func (l *list) print(text string) {
	if l.err == nil {
		_, l.err = io.WriteString(l.w, text)
	}
}

func (l *list) fail(err error) { l.err = cmp.Or(l.err, err) }

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
