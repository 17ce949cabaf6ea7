package api

import (
	"context"
	"time"

	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/checker"
)

type checksIn struct {
	Named
	Paged
	Outcome anOutcome `query:"outcome" doc:"Only those with this outcome."`
	Since   time.Time `query:"since" doc:"Only those from this time on."`
	Until   time.Time `query:"until" doc:"Only those before this time."`
}

// listChecks lists the stored checks of a credential, the newest first.
func (s *server) listChecks(ctx context.Context, in *checksIn) (*listed[audit.Check], error) {
	c, err := s.credential(ctx, in.Name)
	q := audit.Checks{CredentialID: c.ID, Outcome: checker.Outcome(in.Outcome), Since: in.Since, Until: in.Until, Limit: in.Limit + 1}
	if err == nil {
		err = in.after(&q.After)
	}
	if err == nil && q.After.ID != "" && !isUUID(q.After.ID) {
		err = wrongCursor(in.Cursor)
	}
	if err != nil {
		return nil, err
	}
	total, err := s.Audit.CountChecked(ctx, q)
	if err != nil {
		return nil, err
	}
	all, err := s.Audit.Checked(ctx, q)
	return &listed[audit.Check]{*pageOf(all, in.Limit, total,
		func(c audit.StoredCheck) audit.Check { return c.Check }, func(c audit.StoredCheck) any { return c.Place })}, err
}

type historyIn struct {
	Named
	By    string    `query:"by" enum:"hour,day" default:"day" doc:"By hours, as far as checks are stored, or by days."`
	Since time.Time `query:"since" doc:"From this time on; without it, the last 7 days by hour, or the last 90 days."`
	Until time.Time `query:"until" doc:"Before this time; without it, until now."`
}

// History is latency and status over time.
type History struct {
	By    string       `json:"by"`
	Items []audit.Span `json:"items" nullable:"false" doc:"The spans that have checks, the oldest first."`
}

type shownHistory struct{ Body History }

const mostSpans = 2000 // a history has at most: 83 days by hour, and five years by day

// showHistory says how a credential did, by hour or by day.
func (s *server) showHistory(ctx context.Context, in *historyIn) (*shownHistory, error) {
	c, err := s.credential(ctx, in.Name)
	if err != nil {
		return nil, err
	}
	read, step, back := s.Audit.Days, 24*time.Hour, 90
	if in.By == "hour" {
		read, step, back = s.Audit.Hours, time.Hour, 7
	}
	from, to := in.Since, in.Until
	if to.IsZero() {
		to = s.Now().Add(step)
	}
	if from.IsZero() {
		from = to.AddDate(0, 0, -back)
	}
	if to.Sub(from) > mostSpans*step || to.Before(from) {
		return nil, wrongly(Wrong{"query.since", "since and until may be at most 2000 hours or days apart, and since is the earlier one."})
	}
	if err := s.Audit.RollUp(ctx, s.Now()); in.By == "day" && err != nil {
		return nil, err
	}
	spans, err := read(ctx, c.ID, from, to, mostSpans)
	return &shownHistory{History{in.By, orEmpty(spans)}}, err
}
