package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/usage"
	"github.com/keyrounds/keyrounds/verdict"
)

type stepJSON struct {
	At         time.Time `json:"checked_at"`
	Credential string    `json:"credential"`
	Outcome    string    `json:"outcome"`
	Reason     string    `json:"reason"`
	Rule       string    `json:"rule"`
	HTTPStatus int       `json:"http_status"`
	ErrorCode  string    `json:"error_code"`
	Then       string    `json:"status_then"`
	Replayed   string    `json:"status_replayed"`
	Findings   []string  `json:"findings"`
}

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
	if f.Subject == (finding.Subject{}) {
		return &hintError{
			fmt.Errorf("finding %d rests on all providers at once, and cannot be judged from the results of one", id),
			"keyrounds findings show " + fmt.Sprint(id),
		}
	}
	if slices.Contains(usage.Judged(), f.Kind) {
		return &hintError{
			fmt.Errorf("finding %d rests on what feeds and the registry say, not on checks", id),
			"keyrounds findings show " + fmt.Sprint(id) + ", keyrounds usage show " + f.Subject.Credential,
		}
	}
	story, err := a.Audit.Story(cmd.Context(), f)
	if err != nil {
		return err
	}
	if len(story.Results) == 0 {
		return fmt.Errorf("the results that finding %d rests on are no longer stored", id)
	}
	steps, again := replayed(f, story, a.Config().Policy)
	if out.data() {
		return out.one(cmd.OutOrStdout(), struct {
			Finding int64      `json:"finding"`
			Kind    string     `json:"kind"`
			Subject string     `json:"subject"`
			Same    bool       `json:"same"`
			Steps   []stepJSON `json:"steps"`
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

func replayed(f finding.Finding, story audit.Story, p verdict.Policy) (steps []stepJSON, again bool) {
	told := map[int64]verdict.Revocation{}
	if e := f.Evidence; !e.RevokedAt.IsZero() && !e.RevokedOne {
		told[f.Subject.CredentialID] = verdict.Revocation{At: e.RevokedAt, By: e.RevokedBy, Feed: e.RevokedFeed}
	}
	for i, s := range verdict.Replay(story.Before, story.Results, p, told) {
		var opened []string
		for _, e := range s.Events {
			again = again || e.Op == finding.OpOpen && e.Kind == f.Kind && e.Subject.Key() == f.Subject.Key()
			opened = append(opened, string(e.Op)+" "+string(e.Kind))
		}
		r := s.Result
		if f.Subject.Credential != "" && r.Credential != f.Subject.Credential &&
			!slices.ContainsFunc(s.Events, func(e finding.Event) bool { return e.Subject.Credential == "" }) {
			continue
		}
		steps = append(steps, stepJSON{
			r.At, r.Credential, string(r.Outcome), string(r.Reason), r.Rule, r.HTTPStatus, r.ErrorCode,
			string(story.Then[i]), string(s.State.Status), orEmpty(opened),
		})
	}
	return steps, again
}
