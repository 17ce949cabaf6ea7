package api

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/keyrounds/keyrounds/access"
	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/finding"
)

// FindingsFilter says which findings a list, or a deed on many, is about.
type FindingsFilter struct {
	Kind       aKind     `query:"kind" json:"kind,omitempty" doc:"Only those of this kind."`
	Severity   aSeverity `query:"severity" json:"severity,omitempty" doc:"Only those of this severity."`
	State      aState    `query:"state" json:"state,omitempty" doc:"Only those in this state."`
	Credential string    `query:"credential" json:"credential,omitempty" maxLength:"63" doc:"Only those of this credential."`
	Provider   string    `query:"provider" json:"provider,omitempty" maxLength:"63" doc:"Only those of this provider and its credentials."`
	Owner      string    `query:"owner" json:"owner,omitempty" maxLength:"500" doc:"Only those of credentials of this owner."`
	AssignedTo string    `query:"assigned_to" json:"assigned_to,omitempty" maxLength:"200" doc:"Only those that this person looks after."`
}

type findingsIn struct {
	Paged
	FindingsFilter
	Resolved bool   `query:"resolved" doc:"Also those that are resolved."`
	Sort     string `query:"sort" enum:"severity,newest" default:"severity" doc:"The most severe first, or the newest first."`

	Since time.Time `query:"since" doc:"Only those that were opened from this time on."`
	After int64     `query:"after" minimum:"1" doc:"Only those after the finding of this number in the list."`
}

// chosen is the filter for the store.
func (s *server) chosen(ctx context.Context, in FindingsFilter) (f audit.Filter, err error) {
	if err := s.known(ctx, in.Credential, in.Provider, in.Owner); err != nil {
		return f, err
	}
	f = audit.Filter{
		Kind: finding.Kind(in.Kind), Severity: finding.Severity(in.Severity), State: finding.State(in.State), Credential: in.Credential,
		Provider: in.Provider, AssignedTo: in.AssignedTo,
	}
	f.Among, err = s.of(ctx, in.Owner)
	return f, err
}

func (s *server) listFindings(ctx context.Context, in *findingsIn) (*listed[FindingJSON], error) {
	f, err := s.chosen(ctx, in.FindingsFilter)
	f.After, f.Since = in.After, in.Since
	if err == nil {
		err = in.after(&f.After)
	}
	if err != nil {
		return nil, err
	}
	f.Resolved, f.Newest = in.Resolved, in.Sort == "newest"
	total, err := s.Audit.Found(ctx, f)
	if err != nil {
		return nil, err
	}
	f.Limit = in.Limit + 1
	all, err := s.Audit.Findings(ctx, f)
	return &listed[FindingJSON]{*pageOf(all, in.Limit, total, NewFindingJSON, func(f finding.Finding) any { return f.ID })}, err
}

// Numbered names a finding.
type Numbered struct {
	ID int64 `path:"id" minimum:"1" doc:"The finding's number." example:"17"`
}

type shownFinding struct {
	ETag string `header:"ETag" doc:"Changes when the finding does."`
	Body FindingJSON
}

func (s *server) showFinding(ctx context.Context, in *Numbered) (*shownFinding, error) {
	f, err := s.finding(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	tag := tagOfFinding(f)
	if s.About != nil {
		if f, err = s.About(ctx, f); err != nil {
			return nil, err
		}
	}
	return &shownFinding{tag, NewFindingInWords(f)}, nil
}

// finding is the one of a number, if whoever asks may see it.
func (s *server) finding(ctx context.Context, id int64) (finding.Finding, error) {
	f, err := s.Audit.Finding(ctx, id)
	if err != nil || asking(ctx).Role != access.Owner {
		return f, err
	}
	ids, err := s.among(ctx)
	if err == nil && !slices.Contains(ids, f.Subject.CredentialID) {
		return finding.Finding{}, fmt.Errorf("%w: %d", finding.ErrNotFound, id)
	}
	return f, err
}

type timelineIn struct {
	Numbered
	Paged
}

// timeline is what happened to a finding, as the record has it, the oldest first.
func (s *server) timeline(ctx context.Context, in *timelineIn) (*listed[Happening], error) {
	f, err := s.finding(ctx, in.ID)
	var after int64
	if err == nil {
		err = in.after(&after)
	}
	if err != nil {
		return nil, err
	}
	total, all, err := s.Audit.Timeline(ctx, f, after, in.Limit+1)
	return &listed[Happening]{*pageOf(all, in.Limit, total, newHappening, func(e audit.Entry) any { return e.ID })}, err
}

// Happening is something that happened to a finding.
type Happening struct {
	ID     int64     `json:"id" doc:"Its number in the record."`
	At     time.Time `json:"at"`
	Actor  string    `json:"actor" doc:"Who; daemon: keyrounds by itself."`
	Action string    `json:"action" doc:"What: finding.opened, finding.acknowledged, finding.commented …"`
	Text   string    `json:"text,omitempty" doc:"A comment, or why."`
}

func newHappening(e audit.Entry) Happening {
	var detail struct {
		Why        string `json:"why"`
		Text       string `json:"text"`
		FalseAlarm string `json:"false_alarm"`
	}
	_ = json.Unmarshal(e.Detail, &detail) // what older versions wrote may lack them
	return Happening{e.ID, e.At.UTC(), e.Actor, e.Action, cmp.Or(detail.Text, detail.Why, detail.FalseAlarm)}
}
