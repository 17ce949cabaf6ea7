package api

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/keyrounds/keyrounds/action"
	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/finding"
)

// HowLong says until when something is.
type HowLong struct {
	For   string    `json:"for,omitempty" maxLength:"20" doc:"So long, such as 2h or 3d. This, or until."`
	Until time.Time `json:"until,omitzero" doc:"Until this time. This, or for."`
}

func (h HowLong) end(now time.Time) (time.Time, error) {
	if (h.For == "") == h.Until.IsZero() {
		return now, wrongly(Wrong{"body.for", "Say until when: for, such as 2h or 3d, or until, a time; one of them."})
	}
	if h.For == "" {
		return h.Until, nil
	}
	d, err := credential.ParseDuration(h.For)
	if err != nil || d <= 0 {
		return now, wrongly(Wrong{"body.for", "The member for may be a time such as 30m, 2h or 3d."})
	}
	return now.Add(d), nil
}

type onFinding struct {
	Numbered
	OnlyIf
}

type snoozeIn struct {
	Numbered
	OnlyIf
	Body SnoozeIn
}

// SnoozeIn says until when a finding is put aside.
type SnoozeIn HowLong

type falseAlarmIn struct {
	Numbered
	OnlyIf
	Body FalseAlarmIn
}

// FalseAlarmIn says why a finding is a false alarm.
type FalseAlarmIn struct {
	Why string `json:"why" minLength:"1" maxLength:"300" doc:"Why, for those who wonder."`
}

type assignIn struct {
	Numbered
	OnlyIf
	Body AssignIn
}

// AssignIn says who is to look after a finding.
type AssignIn struct {
	To string `json:"to" maxLength:"200" doc:"Who; empty: nobody."`
}

type commentIn struct {
	Numbered
	OnlyIf
	Body CommentIn
}

// CommentIn is what somebody says of a finding.
type CommentIn struct {
	Text string `json:"text" minLength:"1" maxLength:"2000" doc:"It is in the finding's timeline, for ever."`
}

func (s *server) acknowledge(ctx context.Context, in *onFinding) (*shownFinding, error) {
	return s.respond(ctx, in.ID, in.OnlyIf, action.Response{Do: action.Acknowledge})
}

func (s *server) unacknowledge(ctx context.Context, in *onFinding) (*shownFinding, error) {
	return s.respond(ctx, in.ID, in.OnlyIf, action.Response{Do: action.Unacknowledge})
}

func (s *server) snooze(ctx context.Context, in *snoozeIn) (*shownFinding, error) {
	until, err := HowLong(in.Body).end(s.Now())
	if err != nil {
		return nil, err
	}
	return s.respond(ctx, in.ID, in.OnlyIf, action.Response{Do: action.Snooze, Until: until})
}

func (s *server) unsnooze(ctx context.Context, in *onFinding) (*shownFinding, error) {
	return s.respond(ctx, in.ID, in.OnlyIf, action.Response{Do: action.Unsnooze})
}

func (s *server) falseAlarm(ctx context.Context, in *falseAlarmIn) (*shownFinding, error) {
	return s.respond(ctx, in.ID, in.OnlyIf, action.Response{Do: action.FalseAlarm, Text: in.Body.Why})
}

func (s *server) assign(ctx context.Context, in *assignIn) (*shownFinding, error) {
	return s.respond(ctx, in.ID, in.OnlyIf, action.Response{Do: action.Assign, Text: in.Body.To})
}

func (s *server) comment(ctx context.Context, in *commentIn) (*shownFinding, error) {
	return s.respond(ctx, in.ID, in.OnlyIf, action.Response{Do: action.Comment, Text: in.Body.Text})
}

func (s *server) respond(ctx context.Context, id int64, only OnlyIf, r action.Response) (*shownFinding, error) {
	if _, err := s.finding(ctx, id); err != nil {
		return nil, err
	}
	r.If = func(f finding.Finding) error { return only.fits(tagOfFinding(f)) }
	f, err := s.Actions.Respond(ctx, asking(ctx).Name, id, r)
	return &shownFinding{tagOfFinding(f), NewFindingJSON(f)}, err
}

// BulkIn says what is done about many findings: those of ids, or those of a filter that are not resolved.
type BulkIn struct {
	Do     string          `json:"do" enum:"acknowledge,unacknowledge,snooze,unsnooze,false_alarm,assign,comment"`
	IDs    []int64         `json:"ids,omitempty" minItems:"1" maxItems:"1000" nullable:"false" doc:"These. This, or filter."`
	Filter *FindingsFilter `json:"filter,omitempty" doc:"Those that it chooses, 1000 at most. This, or ids."`
	Why    string          `json:"why,omitempty" maxLength:"300" doc:"Of false_alarm."`
	To     string          `json:"to,omitempty" maxLength:"200" doc:"Of assign; empty: nobody."`
	Text   string          `json:"text,omitempty" maxLength:"2000" doc:"Of comment."`
	For    string          `json:"for,omitempty" maxLength:"20" doc:"Of snooze: so long. This, or until."`
	Until  time.Time       `json:"until,omitzero" doc:"Of snooze. This, or for."`
}

type bulkIn struct{ Body BulkIn }

// BulkOut says what was done about many findings.
type BulkOut struct {
	Done []int64    `json:"done" nullable:"false" doc:"The findings that it was done about."`
	Left []BulkLeft `json:"left" nullable:"false" doc:"Those that stay as they were."`
	More int        `json:"more" doc:"How many more the filter chooses: ask again for them."`
}

// BulkLeft is a finding that stays as it was.
type BulkLeft struct {
	ID  int64  `json:"id"`
	Why string `json:"why"`
}

type bulkOut struct{ Body BulkOut }

const mostBulk = 1000

func (s *server) bulk(ctx context.Context, in *bulkIn) (*bulkOut, error) {
	r, err := s.response(in.Body)
	if err != nil {
		return nil, err
	}
	out := BulkOut{Done: []int64{}, Left: []BulkLeft{}}
	ids := in.Body.IDs
	switch {
	case (ids == nil) == (in.Body.Filter == nil):
		return nil, wrongly(Wrong{"body.ids", "Say which findings: ids, or filter; one of them."})
	case ids != nil:
		if ids, out.Left, err = s.theirs(ctx, ids); err != nil {
			return nil, err
		}
	default:
		if ids, out.More, err = s.filtered(ctx, *in.Body.Filter); err != nil {
			return nil, err
		}
	}
	done, left, err := s.Actions.RespondAll(ctx, asking(ctx).Name, ids, r)
	for _, f := range done {
		out.Done = append(out.Done, f.ID)
	}
	for _, l := range left {
		out.Left = append(out.Left, BulkLeft(l))
	}
	return &bulkOut{out}, err
}

func (s *server) response(in BulkIn) (r action.Response, err error) {
	r = action.Response{Do: in.Do, Text: in.Why + in.To + in.Text}
	members := map[string][]string{"why": {action.FalseAlarm}, "to": {action.Assign}, "text": {action.Comment}}
	for name, given := range map[string]string{"why": in.Why, "to": in.To, "text": in.Text} {
		switch is := slices.Contains(members[name], in.Do); {
		case given != "" && !is:
			return r, wrongly(Wrong{"body." + name, fmt.Sprintf("The member %s is of %s only.", name, members[name][0])})
		case given == "" && is && name != "to":
			return r, wrongly(Wrong{"body." + name, fmt.Sprintf("The member %s is missing: %s needs it.", name, in.Do)})
		}
	}
	if in.Do == action.Snooze {
		r.Until, err = HowLong{in.For, in.Until}.end(s.Now())
	}
	return r, err
}

// theirs are those of ids that whoever asks may see.
func (s *server) theirs(ctx context.Context, ids []int64) (some []int64, left []BulkLeft, err error) {
	among, err := s.among(ctx)
	left = []BulkLeft{}
	if among == nil || err != nil {
		return ids, left, err
	}
	seen, err := s.Audit.Findings(ctx, audit.Filter{IDs: ids, Among: among, Resolved: true, Limit: mostBulk})
	for _, id := range ids {
		if slices.ContainsFunc(seen, func(f finding.Finding) bool { return f.ID == id }) {
			some = append(some, id)
		} else {
			left = append(left, BulkLeft{id, "There is no such finding, or not for you."})
		}
	}
	return some, left, err
}

// filtered are the findings that a filter chooses, and how many more there are.
func (s *server) filtered(ctx context.Context, in FindingsFilter) (ids []int64, more int, err error) {
	f, err := s.chosen(ctx, in)
	if err != nil {
		return nil, 0, err
	}
	f.Limit = mostBulk
	all, err := s.Audit.Findings(ctx, f)
	if err != nil {
		return nil, 0, err
	}
	for _, f := range all {
		ids = append(ids, f.ID)
	}
	total, err := s.Audit.Found(ctx, f)
	return ids, max(0, total-len(ids)), err
}
