package main

import (
	"cmp"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/mattn/go-runewidth"
	"golang.org/x/term"

	"github.com/keyrounds/keyrounds/finding"
)

// layout is how tables look: on a terminal they fit its width, times are as long ago, and states have colours; elsewhere, and with
// -o wide, all is as it is. The zero layout is that.
type layout struct {
	width   int // of the terminal; 0: any
	colours bool
	now     time.Time // zero: times are exact
}

func layoutOf(w io.Writer, wide bool) layout {
	f, ok := fileOf(w)
	if !ok || !isTerminal(w) {
		return layout{}
	}
	l := layout{colours: coloured(w)}
	if width, _, err := term.GetSize(int(f.Fd())); err == nil && !wide {
		l.width, l.now = width, time.Now()
	}
	return l
}

// coloured: on a terminal that knows colours, unless NO_COLOR is set (https://no-color.org).
func coloured(w io.Writer) bool {
	return isTerminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

func writeTable(w io.Writer, head []string, rows [][]string) error {
	return layoutOf(w, false).write(w, head, rows)
}

const between = "  " // columns

func (l layout) write(w io.Writer, head []string, rows [][]string) error {
	cells := make([][]string, 0, len(rows)+1)
	for _, r := range append([][]string{head}, rows...) {
		line := make([]string, len(head))
		for i, c := range r[:min(len(r), len(head))] {
			line[i] = l.relative(printable(c, false))
		}
		cells = append(cells, line)
	}
	widths := l.fit(cells)
	var b strings.Builder
	for n, line := range cells {
		var row strings.Builder
		for i, width := range widths {
			text := line[i]
			if runewidth.StringWidth(text) > width {
				text = runewidth.Truncate(text, width, "…")
			}
			padding := strings.Repeat(" ", width-runewidth.StringWidth(text))
			if n > 0 {
				text = l.paint(text)
			}
			row.WriteString(text + padding + between)
		}
		b.WriteString(strings.TrimRight(row.String(), " ") + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// leastWidth is what a column has at least, where its head is no longer.
const leastWidth = 6

// fit returns the widths of the columns: as wide as what is in them, and where that is too much the widest ones less; where that is
// not enough the last ones are left out.
func (l layout) fit(cells [][]string) (widths []int) {
	widths = make([]int, len(cells[0]))
	least := make([]int, len(widths))
	for n, line := range cells {
		for i, c := range line {
			widths[i] = max(widths[i], runewidth.StringWidth(c))
			if n == 0 {
				least[i] = max(leastWidth, widths[i])
			}
		}
	}
	if l.width == 0 {
		return widths
	}
	sum := func(of []int) (all int) {
		for _, w := range of {
			all += w + len(between)
		}
		return all - len(between)
	}
	for len(widths) > 1 {
		smallest := slices.Clone(widths)
		for i := range smallest {
			smallest[i] = min(widths[i], least[i])
		}
		if sum(smallest) <= l.width {
			break
		}
		widths = widths[:len(widths)-1]
	}
	for over := sum(widths) - l.width; over > 0; over = sum(widths) - l.width {
		widest := 0
		for i := range widths {
			if widths[i]-least[i] > widths[widest]-least[widest] {
				widest = i
			}
		}
		if widths[widest] <= least[widest] {
			break
		}
		widths[widest] -= min(over, max(1, (widths[widest]-least[widest])/4))
	}
	return widths
}

var exactTime = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$`)

// relative says of a time how long ago it was, or in how long it will be.
func (l layout) relative(cell string) string {
	if l.now.IsZero() || !exactTime.MatchString(cell) {
		return cell
	}
	t, err := time.Parse(time.RFC3339, cell)
	if err != nil {
		return cell
	}
	if d := t.Sub(l.now); d > 0 {
		return "in " + finding.Span(d)
	}
	return finding.Span(l.now.Sub(t)) + " ago"
}

// The colours of states: what does not work, what is in doubt, what works, and what needs nobody.
var stateColours = map[string]string{
	"critical": "31", "revoked": "31", "rejected": "31", "missing": "31", "failed": "31",
	"warning": "33", "suspect": "33", "degraded": "33", "open": "33", "unknown": "33", "pending": "33", "unused": "33", "never_used": "33",
	"healthy": "32", "ok": "32", "used": "32", "dead": "32",
	"resolved": "2", "retired": "2", "snoozed": "2", "acknowledged": "2", "info": "2",
}

func (l layout) paint(cell string) string {
	code := stateColours[cell]
	if !l.colours || code == "" {
		return cell
	}
	return "\x1b[" + code + "m" + cell + "\x1b[0m"
}

// choose keeps the columns that are named, in that order; none named: all.
func choose(columns []string, head []string, rows [][]string) ([]string, [][]string, error) {
	if len(columns) == 0 {
		return head, rows, nil
	}
	var places []int
	for _, c := range columns {
		i, err := columnOf(c, head)
		if err != nil {
			return nil, nil, err
		}
		places = append(places, i)
	}
	pick := func(of []string) (some []string) {
		for _, i := range places {
			some = append(some, of[i])
		}
		return some
	}
	var chosen [][]string
	for _, r := range rows {
		chosen = append(chosen, pick(r))
	}
	return pick(head), chosen, nil
}

// order returns the places of rows in the order of a column; "-name" is the other way round. Numbers are ordered as numbers.
func order(by string, head []string, rows [][]string) ([]int, error) {
	name, down := strings.CutPrefix(by, "-")
	i, err := columnOf(name, head)
	if err != nil {
		return nil, err
	}
	places := make([]int, len(rows))
	for n := range places {
		places[n] = n
	}
	slices.SortStableFunc(places, func(a, b int) int {
		if down {
			a, b = b, a
		}
		return compareCells(rows[a][i], rows[b][i])
	})
	return places, nil
}

func compareCells(a, b string) int {
	x, okX := leadingNumber(a)
	y, okY := leadingNumber(b)
	if okX && okY {
		return cmp.Compare(x, y)
	}
	return cmp.Compare(a, b)
}
