package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keyrounds/keyrounds/config"
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

// A file of very many mistakes is refused on one screen, and so is an import.
func TestManyMistakesOfAFile(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	text.WriteString("credentials:\n")
	rows := []importRow{}
	for i := range 100 + config.MostShown {
		fmt.Fprintf(&text, "- {name: c-%d, provider: nobody, client_id: x, secret: 'env:A'}\n", i)
		rows = append(rows, importRow{at: fmt.Sprintf(":%d", i), CredentialIn: config.CredentialIn{Name: "-"}})
	}
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	_, fromFile := config.Load(file)
	wrong := map[int][]string{}
	importable(rows, wrong)
	imported := wrongRows("list.csv", rows, wrong)
	for what, err := range map[string]error{"a configuration": fromFile, "an import": imported} {
		var said bytes.Buffer
		explainError(&said, err)
		text := said.String()
		if n := strings.Count(text, "credential \""); n != config.MostShown || !strings.Contains(text, " more problems\n") {
			t.Errorf("%s: %d are said:\n%s", what, n, text)
		}
	}
	if !errors.As(fromFile, new(*config.Errors)) {
		t.Error(fromFile)
	}
}
