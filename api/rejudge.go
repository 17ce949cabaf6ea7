package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/usage"
	"github.com/keyrounds/keyrounds/verdict"
)

// StepJSON is a stored result that is judged again, in explain --finding and on the pages. Its names are a promise.
type StepJSON struct {
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

// JudgementJSON is what becomes of a finding that is judged again by the rules in force now.
type JudgementJSON struct {
	Finding int64      `json:"finding"`
	Kind    string     `json:"kind"`
	Subject string     `json:"subject"`
	Same    bool       `json:"same"  doc:"It is opened as well."`
	Steps   []StepJSON `json:"steps" nullable:"false"`
}

type shownJudgement struct{ Body JudgementJSON }

// judgeAgain judges a finding again by the results that are stored. It changes nothing.
func (s *server) judgeAgain(ctx context.Context, in *Numbered) (*shownJudgement, error) {
	f, err := s.finding(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if why := WhyNotJudged(f); why != "" {
		p := problem(http.StatusConflict, fmt.Sprintf("Finding %d %s.", f.ID, why))
		if p.Hint = fmt.Sprintf("keyrounds findings show %d", f.ID); f.Subject.Credential != "" {
			p.Hint += ", keyrounds usage show " + f.Subject.Credential
		}
		return nil, p
	}
	story, err := s.Audit.Story(ctx, f)
	if err != nil {
		return nil, err
	}
	if len(story.Results) == 0 {
		return nil, problem(http.StatusConflict, fmt.Sprintf("The results that finding %d rests on are no longer stored.", f.ID))
	}
	steps, again := JudgeAgain(f, story, s.Config().Policy)
	return &shownJudgement{JudgementJSON{f.ID, string(f.Kind), f.Subject.Key(), again, orEmpty(steps)}}, nil
}

// WhyNotJudged says why a finding cannot be judged again from the results of checks; "": it can, if they are still stored.
func WhyNotJudged(f finding.Finding) string {
	switch {
	case f.Subject == (finding.Subject{}):
		return "rests on all providers at once, and cannot be judged from the results of one"
	case slices.Contains(usage.Judged(), f.Kind):
		return "rests on what feeds and the registry say, not on checks"
	}
	return ""
}

// JudgeAgain judges again what a finding rests on, by p, and says whether that opens it as well. Of a finding about a credential the
// steps are its own, and those of others by which something of the provider as a whole changed.
func JudgeAgain(f finding.Finding, story audit.Story, p verdict.Policy) (steps []StepJSON, again bool) {
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
		steps = append(steps, StepJSON{
			r.At, r.Credential, string(r.Outcome), string(r.Reason), r.Rule, r.HTTPStatus, r.ErrorCode,
			string(story.Then[i]), string(s.State.Status), orEmpty(opened),
		})
	}
	return steps, again
}
