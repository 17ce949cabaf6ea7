package main

import (
	"fmt"
	"strings"
	"testing"
)

// A list that is printed as it is read is the same text as one that is printed whole: JSON and CSV however long it is, a
// table up to a page, and after that with all its rows and one head.
func TestListsArePrintedAsTheyAreRead(t *testing.T) {
	t.Parallel()
	type value struct {
		Name string   `json:"name"`
		Tags []string `json:"tags"`
	}
	head := []string{"NAME", "LAST CHECK"}
	for _, n := range []int{0, 1, 2, tablePage, tablePage + 1, 2 * tablePage} {
		for _, format := range []string{"json", "csv", "table"} {
			rows, values := [][]string{}, []value{}
			for i := range n {
				rows = append(rows, []string{fmt.Sprintf("c-%d", i), "=<b>\t"})
				values = append(values, value{fmt.Sprintf("c-%d", i), []string{"<b>"}})
			}
			out := output{format: format}
			var whole, read strings.Builder
			if err := out.list(&whole, head, rows, values); err != nil {
				t.Fatal(err)
			}
			l := out.begin(&read, head)
			for i, row := range rows {
				l.add(row, values[i])
			}
			if err := l.end(); err != nil {
				t.Fatal(err)
			}
			if format == "table" && n > tablePage {
				if got := strings.Count(read.String(), "\n"); got != n+1 || strings.Count(read.String(), "NAME") != 1 {
					t.Errorf("%d rows: %d lines", n, got)
				}
			} else if read.String() != whole.String() {
				t.Errorf("%d of %s:\n%s\nwant\n%s", n, format, read.String(), whole.String())
			}
		}
	}
}
