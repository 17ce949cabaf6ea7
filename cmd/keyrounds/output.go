package main

import (
	"cmp"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/config"
	"github.com/keyrounds/keyrounds/report"
)

// output is the flag -o and what it means; of lists also --columns and --sort.
type output struct {
	format  string
	allowed []string
	columns []string
	sort    string
	none    func() string // what people read of an empty list; nil: none
}

// flags adds -o with these formats. What can be a table of rows (csv) can also be wide, name and yaml.
func (o *output) flags(cmd *cobra.Command, formats ...string) {
	if slices.Contains(formats, "json") {
		formats = append(formats, "yaml")
	}
	if slices.Contains(formats, "csv") {
		formats = append(formats, "wide", "name")
		cmd.Flags().StringSliceVar(&o.columns, "columns", nil, "only these columns of a table or CSV, in this order")
		cmd.Flags().StringVar(&o.sort, "sort", "", "order by this column; -NAME is the other way round")
	}
	o.offers(cmd, formats...)
}

// offers adds -o with just these formats.
func (o *output) offers(cmd *cobra.Command, formats ...string) {
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

// people: the output is for people to read, so an empty list is a sentence.
func (o *output) people() bool { return o.format == "table" || o.format == "wide" }

// data: the output is for programs, with all there is.
func (o *output) data() bool { return o.format == "json" || o.format == "yaml" }

// unit is a number with its unit, for people; in CSV it stands alone, so that a program can take it.
func (o *output) unit(number, unit string) string {
	if o.format == "csv" {
		return number
	}
	return number + " " + unit
}

func joinComma(s []string) string { return strings.Join(s, ", ") }

// list prints rows as a table or CSV, or values, which are as many, as one JSON or YAML list.
func (o *output) list(w io.Writer, head []string, rows [][]string, values any) error {
	if o.sort != "" {
		places, err := order(o.sort, head, rows)
		if err != nil {
			return err
		}
		rows, values = inOrder(places, rows), sorted(places, values)
	}
	switch o.format {
	case "json":
		return writeJSON(w, values)
	case "yaml":
		return writeYAML(w, values)
	}
	return o.rows(w, layoutOf(w, o.format == "wide"), head, rows)
}

// rows prints them as a table, CSV or names.
func (o *output) rows(w io.Writer, l layout, head []string, rows [][]string) error {
	if o.format == "name" {
		for _, r := range rows {
			if _, err := fmt.Fprintln(w, printable(r[0], false)); err != nil {
				return err
			}
		}
		return nil
	}
	head, rows, err := choose(o.columns, head, rows)
	if err != nil {
		return err
	}
	if o.format == "csv" {
		return writeCSV(w, head, rows)
	}
	if len(rows) == 0 {
		text := "none"
		if o.none != nil {
			text = o.none()
		}
		_, err := fmt.Fprintln(w, printable(text, false))
		return err
	}
	return l.write(w, head, rows)
}

func inOrder[T any](places []int, of []T) []T {
	all := make([]T, len(places))
	for i, n := range places {
		all[i] = of[n]
	}
	return all
}

// sorted is inOrder of a slice of any type.
func sorted(places []int, values any) any {
	from := reflect.ValueOf(values)
	if from.Kind() != reflect.Slice || from.Len() != len(places) {
		return values
	}
	to := reflect.MakeSlice(from.Type(), 0, len(places))
	for _, n := range places {
		to = reflect.Append(to, from.Index(n))
	}
	return to.Interface()
}

// begin begins a list that is printed as it is read: add takes a row of it and its value, end prints the rest of it. Only
// a page of a table is held, and laid out by itself, with its columns at least as wide as those of head.
func (o *output) begin(w io.Writer, head []string) *list {
	return &list{w: w, output: o, head: head, layout: layoutOf(w, o.format == "wide")}
}

// tablePage is how many rows of a table are laid out together.
const tablePage = 1000

type list struct {
	*output
	w      io.Writer
	layout layout
	head   []string
	n      int // rows so far
	rows   [][]string
	values []any // where all are held, to sort them or for YAML
	err    error // the first
}

// holds: nothing can be printed before the last row is known.
func (l *list) holds() bool { return l.sort != "" || l.format == "yaml" }

func (l *list) add(row []string, value any) {
	l.n++
	if l.holds() {
		l.rows, l.values = append(l.rows, row), append(l.values, value)
		return
	}
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
	case l.holds():
		l.fail(l.output.list(l.w, l.head, l.rows, orEmpty(l.values)))
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
	l.fail(l.output.rows(&b, l.layout, l.head, l.rows))
	text := b.String()
	if !first && l.format != "name" {
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

// one prints one value as JSON or YAML, or text.
func (o *output) one(w io.Writer, value any, text string) error {
	switch o.format {
	case "json":
		return writeJSON(w, value)
	case "yaml":
		return writeYAML(w, value)
	}
	_, err := io.WriteString(w, text)
	return err
}

// writeYAML has the names and the order of JSON.
func writeYAML(w io.Writer, v any) error {
	text, err := json.Marshal(v)
	if err == nil {
		text, err = yaml.JSONToYAML(text)
	}
	if err != nil {
		return err
	}
	_, err = w.Write(text)
	return err
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// columnName is the name of a column in CSV and flags.
func columnName(head string) string { return strings.ReplaceAll(strings.ToLower(head), " ", "_") }

func columnOf(name string, head []string) (int, error) {
	var names []string
	for i, h := range head {
		if columnName(h) == columnName(name) {
			return i, nil
		}
		names = append(names, columnName(h))
	}
	return 0, &hintError{fmt.Errorf("there is no column %q", name), config.DidYouMean(columnName(name), names)}
}

// leadingNumber reads a cell that begins with a number, such as 12.5 ms.
func leadingNumber(cell string) (float64, bool) {
	number, _, _ := strings.Cut(strings.TrimSpace(cell), " ")
	f, err := strconv.ParseFloat(number, 64)
	return f, err == nil
}

// writeCSV quotes what a spreadsheet would take for a formula.
func writeCSV(w io.Writer, head []string, rows [][]string) error {
	c := csv.NewWriter(w)
	lower := make([]string, len(head))
	for i, h := range head {
		lower[i] = columnName(h)
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
	if !coloured(w) {
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
