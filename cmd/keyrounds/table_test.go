package main

import (
	"strings"
	"testing"
	"time"

	"github.com/mattn/go-runewidth"
)

// On a terminal a table fits: the widest columns give way first, and no line is broken by the terminal.
func TestTablesFitTheTerminal(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	head := []string{"ID", "SEVERITY", "KIND", "SUBJECT", "PROVIDER", "STATE", "OPENED", "RESOLVED", "TITLE"}
	rows := [][]string{
		{
			"7",
			"critical",
			"revoked",
			"ats-sync-of-the-warehouse-in-europe",
			"smartrecruiters",
			"open",
			"2026-03-02T08:56:00Z",
			"",
			strings.Repeat("long ", 30),
		},
		{"8", "warning", "secret_unreadable", "日本の資格情報", "idp", "resolved", "2026-02-28T09:00:00Z", "2026-03-02T10:00:00Z", "short"},
	}
	for _, width := range []int{40, 60, 80, 120, 200, 400} {
		var b strings.Builder
		if err := (layout{width: width, now: now}).write(&b, head, rows); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
		if len(lines) != 3 {
			t.Errorf("at %d columns there are %d lines", width, len(lines))
		}
		for _, line := range lines {
			if n := runewidth.StringWidth(line); n > width {
				t.Errorf("at %d columns a line has %d: %s", width, n, line)
			}
		}
		if width >= 80 && !strings.Contains(lines[0], "OPENED") {
			t.Errorf("at %d columns the head is %q", width, lines[0])
		}
		if width == 400 && (!strings.Contains(lines[1], "4 min ago") || !strings.Contains(lines[2], "in 1 h")) {
			t.Errorf("times are not relative:\n%s", b.String())
		}
	}
	var exact strings.Builder
	if err := (layout{}).write(&exact, head, rows); err != nil || !strings.Contains(exact.String(), "2026-03-02T08:56:00Z") {
		t.Errorf("elsewhere all is as it is: %v\n%s", err, exact.String())
	}
	var colours strings.Builder
	if err := (layout{colours: true}).write(&colours, head, rows); err != nil ||
		!strings.Contains(colours.String(), "\x1b[31mcritical\x1b[0m") {
		t.Errorf("states have no colours: %v\n%q", err, colours.String())
	}
	for _, line := range strings.Split(colours.String(), "\n")[1:3] {
		if strings.Contains(line, "\x1b[31mats") {
			t.Error("a name has a colour")
		}
	}
}

// A list is ordered and cut as is asked for, in each format.
func TestColumnsAndOrder(t *testing.T) {
	t.Parallel()
	type value struct {
		Name string `json:"name"`
		N    int    `json:"count"`
	}
	head := []string{"NAME", "LAST CHECK", "N"}
	rows := [][]string{{"b", "x", "9"}, {"a", "y", "10"}, {"c", "z", "-1"}}
	values := []value{{"b", 9}, {"a", 10}, {"c", -1}}
	for _, c := range []struct {
		out  output
		want string
	}{
		{output{format: "name", sort: "name"}, "a\nb\nc\n"},
		{output{format: "csv", sort: "-n", columns: []string{"n", "last_check"}}, "n,last_check\n10,y\n9,x\n'-1,z\n"},
		{output{format: "wide", sort: "n", columns: []string{"Name"}}, "NAME\nc\nb\na\n"},
		{output{format: "yaml", sort: "n"}, "- name: c\n  count: -1\n- name: b\n  count: 9\n- name: a\n  count: 10\n"},
	} {
		for _, read := range []bool{false, true} {
			var b strings.Builder
			var err error
			if out := c.out; read {
				l := out.begin(&b, head)
				for i, row := range rows {
					l.add(row, values[i])
				}
				err = l.end()
			} else {
				err = out.list(&b, head, rows, values)
			}
			if err != nil || b.String() != c.want {
				t.Errorf("%+v, as it is read %t: %v\n%swant\n%s", c.out, read, err, b.String(), c.want)
			}
		}
	}
	out := output{format: "table", columns: []string{"lastcheck"}}
	if err := out.list(&strings.Builder{}, head, rows, values); err == nil || !strings.Contains(err.Error(), `no column "lastcheck"`) {
		t.Errorf("an unknown column: %v", err)
	}
}
