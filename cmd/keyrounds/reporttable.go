package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/keyrounds/keyrounds/decision"
	"github.com/keyrounds/keyrounds/report"
)

// printReport writes a report for a terminal: the answer, what to do, the rest.
func printReport(w io.Writer, r *report.Report) error {
	title := "Unused credentials as of " + r.AsOf.UTC().Format("2006-01-02 15:04Z")
	if r.Month != "" {
		title = "Unused credentials, " + r.Month
	}
	if r.Edition > 1 {
		title += fmt.Sprintf(", edition %d", r.Edition)
	}
	if r.Owner != "" {
		title += ", owner " + printable(r.Owner, false)
	}
	if r.Trial {
		title += " (a trial, not frozen)"
	}
	fmt.Fprintf(w, "%s\n%s\n%s.\n\n", title, r.Headline(), r.Summary.Words())
	if text := r.DecisionWords(); text != "" {
		fmt.Fprintf(w, "%s.\n\n", text)
	}
	if r.SignedOff != nil {
		fmt.Fprintf(w, "%s\n\n", printable(r.SignedOff.Words(), false))
	}
	for _, o := range r.Overtaken {
		fmt.Fprintf(w, "%s\n\n", o.Words())
	}
	var rows [][]string
	for _, c := range r.Credentials {
		last := "never seen"
		if c.LastUsedAt != nil {
			last = c.LastUsedAt.Format(time.DateOnly)
		}
		why := c.Why
		if len(c.Also) > 0 {
			why += "; also " + strings.Join(c.Also, "; ")
		}
		do := c.Recommendation.Words()
		switch {
		case c.Holds():
			do, why = strings.ReplaceAll(string(c.Decision.Choice), "_", " "), c.Decision.Words()+"; recommended: "+do+", "+why
		case c.Decision != nil:
			why = c.Decision.Words() + "; " + why
		}
		used := strings.ReplaceAll(c.Usage, "_", " ")
		if c.Canary {
			used += ", canary"
		}
		rows = append(rows, []string{do, c.Credential, c.Owner, used, last, c.Coverage, c.Status, why})
	}
	if err := writeTable(w, []string{"DO", "CREDENTIAL", "OWNER", "USED", "LAST", "WATCHED", "STATUS", "WHY"}, rows); err != nil {
		return err
	}
	plans := false
	for _, c := range r.Credentials {
		if len(c.Plan) > 0 && (!c.Holds() || c.Decision.Choice == decision.Revoke) {
			plans = true
			fmt.Fprintf(w, "\n%s: %s", printable(c.Credential, false), printable(strings.Join(c.Plan, " "), false))
		}
	}
	if !plans {
		return nil
	}
	fmt.Fprintln(w, "\n\nHow to revoke:")
	for i, step := range r.Plan {
		fmt.Fprintf(w, "  %d. %s\n", i+1, step)
	}
	return nil
}
