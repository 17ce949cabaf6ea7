package api

import (
	"context"

	"github.com/keyrounds/keyrounds/access"
	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/notify"
	"github.com/keyrounds/keyrounds/verdict"
)

// StatusJSON says on one screen how the credentials do, here and in the command. Its names are a promise.
type StatusJSON struct {
	Sentence  string                            `json:"sentence"  doc:"How they do, in one sentence that is true."`
	Providers map[string]map[verdict.Status]int `json:"providers" doc:"How many credentials have which status."`
	Waiting   int                               `json:"waiting"   doc:"Findings that wait for somebody."`
	Findings  []WaitingJSON                     `json:"findings"  doc:"Of them the most severe."                   nullable:"false"`
}

// WaitingJSON is a finding that waits for somebody.
type WaitingJSON struct {
	ID       int64            `json:"id"`
	Severity finding.Severity `json:"severity"`
	Title    string           `json:"title"`
}

const (
	mostWaiting = 10               // findings are named on one screen
	toFindThem  = 10 * mostWaiting // are read, since some are acknowledged
)

// NewStatusJSON makes it of how many credentials have which status, by provider, how many findings wait, and the first of
// those that are not resolved.
func NewStatusJSON(byProvider map[string]map[verdict.Status]int, waiting int, open []finding.Finding) StatusJSON {
	s := StatusJSON{Providers: byProvider, Waiting: waiting, Findings: []WaitingJSON{}}
	all := map[verdict.Status]int{}
	for _, statuses := range byProvider {
		for status, n := range statuses {
			all[status] += n
		}
	}
	s.Sentence = verdict.Sentence(all, s.Waiting)
	for _, f := range open {
		if waits(f) && len(s.Findings) < mostWaiting {
			s.Findings = append(s.Findings, WaitingJSON{f.ID, f.Severity, notify.Describe(f).Title})
		}
	}
	return s
}

func waits(f finding.Finding) bool { return f.State == finding.Open && f.Severity != finding.Info }

// StatusOf reads it from the stores: of the credentials with these ids, nil: of all.
func StatusOf(ctx context.Context, held *audit.Store, among []int64) (s StatusJSON, err error) {
	open, err := held.Findings(ctx, audit.Filter{Among: among, Limit: toFindThem})
	if err != nil {
		return s, err
	}
	if among == nil {
		byProvider, err := held.StatusCounts(ctx)
		if err != nil {
			return s, err
		}
		counts, err := held.Counts(ctx)
		return NewStatusJSON(byProvider, audit.Waiting(counts), open), err
	}
	standings, err := held.StandingsOf(ctx, among)
	if err != nil {
		return s, err
	}
	byProvider := map[string]map[verdict.Status]int{}
	for _, st := range standings {
		if st.Status == verdict.Retired {
			continue
		}
		if byProvider[st.Provider] == nil {
			byProvider[st.Provider] = map[verdict.Status]int{}
		}
		byProvider[st.Provider][st.Status]++
	}
	waiting := 0
	for _, severity := range []finding.Severity{finding.Critical, finding.Warning} {
		n, err := held.Found(ctx, audit.Filter{Among: among, State: finding.Open, Severity: severity})
		if err != nil {
			return s, err
		}
		waiting += n
	}
	s = NewStatusJSON(byProvider, waiting, open)
	if len(byProvider) == 0 {
		s.Sentence = "No credential of yours is registered."
	}
	return s, nil
}

type shownStatus struct{ Body StatusJSON }

func (s *server) showStatus(ctx context.Context, _ *struct{}) (*shownStatus, error) {
	among, err := s.among(ctx)
	if err != nil {
		return nil, err
	}
	j, err := StatusOf(ctx, s.Audit, among)
	return &shownStatus{j}, err
}

// Me is who asks.
type Me struct {
	Name   string      `json:"name" doc:"As the record names you."`
	Role   access.Role `json:"role" enum:"viewer,responder,owner,admin,scanner"`
	Owners []string    `json:"owners" nullable:"false" doc:"Whose credentials you see and decide, as owner."`
}

type shownMe struct{ Body Me }

func (s *server) showMe(ctx context.Context, _ *struct{}) (*shownMe, error) {
	who := asking(ctx)
	return &shownMe{Me{who.Name, who.Role, orEmpty(who.Owners)}}, nil
}
