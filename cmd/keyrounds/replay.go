package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/api"
)

// explainFinding judges again what a finding rests on, and says whether it comes out the same.
func explainFinding(cmd *cobra.Command, o *options, out output, id int64) error {
	a, err := o.openAsIs(cmd.Context())
	if err != nil {
		return err
	}
	defer a.Close()
	f, err := a.Finding(cmd.Context(), id)
	if err != nil {
		return err
	}
	if why := api.WhyNotJudged(f); why != "" {
		hint := "keyrounds findings show " + fmt.Sprint(id)
		if f.Subject.Credential != "" {
			hint += ", keyrounds usage show " + f.Subject.Credential
		}
		return &hintError{fmt.Errorf("finding %d %s", id, why), hint}
	}
	story, err := a.Audit.Story(cmd.Context(), f)
	if err != nil {
		return err
	}
	if len(story.Results) == 0 {
		return fmt.Errorf("the results that finding %d rests on are no longer stored", id)
	}
	steps, again := api.JudgeAgain(f, story, a.Config().Policy)
	if out.data() {
		return out.one(cmd.OutOrStdout(), struct {
			Finding int64          `json:"finding"`
			Kind    string         `json:"kind"`
			Subject string         `json:"subject"`
			Same    bool           `json:"same"`
			Steps   []api.StepJSON `json:"steps"`
		}{f.ID, string(f.Kind), f.Subject.Key(), again, steps}, "")
	}
	var rows [][]string
	for _, s := range steps {
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
	fmt.Fprintf(w, "Finding %d, %s of %s, opened %s\n\n", f.ID, f.Kind, f.Subject.Name(), stamp(f.OpenedAt))
	columns := []string{
		"CHECKED", "CREDENTIAL", "OUTCOME", "REASON", "HTTP", "ERROR", "RULE", "STATUS THEN", "JUDGED AGAIN", "FINDINGS",
	}
	if err := writeTable(w, columns, rows); err != nil {
		return err
	}
	verdictText := "Judged again by the rules in force now, it is opened as well."
	if !again {
		verdictText = "Judged again by the rules in force now, it is NOT opened: " +
			"the rules changed since, or its evidence is no longer whole."
	}
	_, err = fmt.Fprintf(w, "\n%s\n", verdictText)
	return err
}
