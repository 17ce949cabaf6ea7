package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/keyrounds/keyrounds/action"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/decision"
	"github.com/keyrounds/keyrounds/registry"
	"github.com/keyrounds/keyrounds/report"
)

type decisionsIn struct {
	Paged
	Credential string  `query:"credential" maxLength:"63" doc:"Only the one of this credential."`
	Owner      string  `query:"owner" maxLength:"500" doc:"Only those of credentials of this owner."`
	Choice     aChoice `query:"choice" doc:"Only those to do this."`
	Over       string  `query:"over" enum:"true,false" doc:"Only those that are over, or only those that hold."`
}

// listDecisions lists what is decided of credentials, by their names.
func (s *server) listDecisions(ctx context.Context, in *decisionsIn) (*listed[decision.Decision], error) {
	q := decision.Filter{Choice: decision.Choice(in.Choice), Limit: in.Limit + 1}
	err := s.known(ctx, in.Credential, "", in.Owner)
	if err == nil {
		err = in.after(&q.After)
	}
	if err == nil {
		q.Among, err = s.of(ctx, in.Owner)
	}
	if err == nil && in.Credential != "" {
		var c credential.Credential
		c, err = s.credential(ctx, in.Credential)
		if q.Among == nil || slices.Contains(q.Among, c.ID) {
			q.Among = []int64{c.ID}
		} else {
			q.Among = []int64{}
		}
	}
	if err != nil {
		return nil, err
	}
	if in.Over != "" {
		over := in.Over == "true"
		q.Over = &over
	}
	total, all, err := s.Decisions.Page(ctx, s.Now(), q)
	place := func(d decision.Decision) any { return d.Credential }
	return &listed[decision.Decision]{*pageOf(all, in.Limit, total, same, place)}, err
}

type decideIn struct {
	Named
	Body DecideIn
}

// DecideIn is what becomes of a credential.
type DecideIn struct {
	Choice aChoice `json:"choice" doc:"What becomes of it."`
	Until  string  `json:"until,omitempty" format:"date" doc:"It holds until this day begins (UTC). Absent: in 90 days to keep, else 30."`
	Why    string  `json:"why" minLength:"1" maxLength:"300" doc:"Why, for those who review it."`
}

type shownDecision struct{ Body decision.Decision }

func (s *server) decideCredential(ctx context.Context, in *decideIn) (*shownDecision, error) {
	c := action.Choice{Choice: decision.Choice(in.Body.Choice), Why: in.Body.Why, If: s.mayDecide(ctx)}
	if in.Body.Until != "" {
		var err error
		if c.Until, err = time.Parse(time.DateOnly, in.Body.Until); err != nil {
			return nil, wrongly(Wrong{"body.until", "The member until may be a day such as 2027-02-01."})
		}
	}
	if _, err := s.credential(ctx, in.Name); err != nil {
		return nil, err
	}
	d, err := s.Actions.Decide(ctx, asking(ctx).Name, in.Name, c)
	return &shownDecision{d}, err
}

// undecideCredential takes back what was decided, and answers with it.
func (s *server) undecideCredential(ctx context.Context, in *Named) (*shownDecision, error) {
	if _, err := s.credential(ctx, in.Name); err != nil {
		return nil, err
	}
	d, err := s.Actions.Undecide(ctx, asking(ctx).Name, in.Name, s.mayDecide(ctx))
	return &shownDecision{d}, err
}

// mayDecide asks again once the credential is locked: its owner may be another by then.
func (s *server) mayDecide(ctx context.Context) func(credential.Credential) error {
	return func(c credential.Credential) error {
		if !asking(ctx).Sees(c.Owner) {
			return fmt.Errorf("%w: %q", registry.ErrNotFound, c.Name)
		}
		return nil
	}
}

type signOffIn struct {
	Monthly
	Body SignOffIn
}

// SignOffIn says who signs off what.
type SignOffIn struct {
	Owner         string `json:"owner,omitempty" maxLength:"500" doc:"The extract for this owner; without it, the report of all."`
	WithUndecided bool   `json:"with_undecided,omitempty" doc:"Also while credentials in it are undecided."`
	Note          string `json:"note,omitempty" maxLength:"300" doc:"For those who read it later."`
	Edition       int    `json:"edition,omitempty" minimum:"1" doc:"Which was read: another one is refused. Without it, the newest."`
}

type shownSignOff struct{ Body report.SignOff }

func (s *server) signOffReport(ctx context.Context, in *signOffIn) (*shownSignOff, error) {
	month, err := report.ParseMonth(in.Month)
	if err != nil {
		return nil, problem(http.StatusNotFound, "There is no such month.")
	}
	if who := owners(ctx); who != nil && !slices.Contains(who, in.Body.Owner) {
		p := ofYourOwners()
		p.Status, p.Title = http.StatusNotFound, http.StatusText(http.StatusNotFound)
		return nil, p
	}
	signed, err := s.Actions.SignOff(ctx, month, report.Review{
		Owner: in.Body.Owner, By: asking(ctx).Name, Note: in.Body.Note, WithUndecided: in.Body.WithUndecided,
		Edition: in.Body.Edition,
	})
	return &shownSignOff{signed}, refusedReport(ctx, err)
}
