package main

import (
	"fmt"
	"strings"

	"github.com/keyrounds/keyrounds/api"
)

// scopeText is the table of a credential's scopes.
func scopeText(t api.ScopesJSON) string {
	if len(t.Scopes) == 0 {
		return ""
	}
	var b strings.Builder
	var rows [][]string
	yes := map[bool]string{true: "yes", false: "no"}
	for _, s := range t.Scopes {
		rows = append(rows, []string{s.Scope, yes[s.Approved], yes[s.Requested], s.Granted, s.Effective, s.Used})
	}
	b.WriteString("\n")
	_ = writeTable(&b, []string{"SCOPE", "APPROVED", "REQUESTED", "GRANTED", "EFFECTIVE", "USED"}, rows)
	for _, d := range t.Drift {
		fmt.Fprintf(&b, "%s: granted%s\n", stamp(d.At), printable(signed("+", d.Gained)+signed("-", d.Lost), false))
	}
	if t.Proposal != nil {
		fmt.Fprintf(&b, "A smaller credential would do: scopes: [%s]\n", printable(strings.Join(t.Proposal, ", "), false))
	}
	return b.String()
}

func signed(sign string, scopes []string) string {
	var b strings.Builder
	for _, s := range scopes {
		b.WriteString(" " + sign + s)
	}
	return b.String()
}
