package main

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/api"
)

// explainFinding judges again what a finding rests on, and says whether it comes out the same.
func explainFinding(cmd *cobra.Command, o *options, out output, id int64) error {
	d, err := o.desk(cmd)
	if err != nil {
		return err
	}
	defer d.close()
	f, err := d.finding(cmd.Context(), id)
	if err != nil {
		return err
	}
	var j api.JudgementJSON
	if err := d.Get(cmd.Context(), fmt.Sprintf("/findings/%d/judgement", id), nil, &j); err != nil {
		return plainly(err)
	}
	if out.data() {
		return out.one(cmd.OutOrStdout(), j, "")
	}
	var rows [][]string
	for _, s := range j.Steps {
		rows = append(
			rows,
			[]string{
				stamp(s.At),
				s.Credential,
				s.Outcome,
				s.Reason,
				fmt.Sprint(s.HTTPStatus),
				s.ErrorCode,
				s.Rule,
				s.Then,
				s.Replayed,
				strings.Join(s.Findings, ", "),
			},
		)
	}
	w := cmd.OutOrStdout()
	of := printable(cmp.Or(f.Credential, f.Provider), false)
	fmt.Fprintf(w, "Finding %d, %s of %s, opened %s\n\n", f.ID, f.Kind, of, stamp(f.OpenedAt))
	columns := []string{
		"CHECKED", "CREDENTIAL", "OUTCOME", "REASON", "HTTP", "ERROR", "RULE", "STATUS THEN", "JUDGED AGAIN", "FINDINGS",
	}
	if err := writeTable(w, columns, rows); err != nil {
		return err
	}
	verdictText := "Judged again by the rules in force now, it is opened as well."
	if !j.Same {
		verdictText = "Judged again by the rules in force now, it is NOT opened: " +
			"the rules changed since, or its evidence is no longer whole."
	}
	_, err = fmt.Fprintf(w, "\n%s\n", verdictText)
	return err
}
