package api

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/keyrounds/keyrounds/action"
	"github.com/keyrounds/keyrounds/report"
)

type reportsIn struct {
	Paged
	Month   string `query:"month" pattern:"^[0-9]{4}-[0-9]{2}$" patternDescription:"a month such as 2026-10" doc:"Only those of it."`
	Owner   string `query:"owner" maxLength:"500" doc:"Only extracts for this owner."`
	Format  string `query:"format" enum:"html,csv,json" doc:"Only files of this format."`
	Edition int    `query:"edition" minimum:"1" maximum:"1000000" doc:"Only this edition."`
}

// listReports lists the files of the reports that were frozen, the newest month first.
func (s *server) listReports(ctx context.Context, in *reportsIn) (*listed[report.File], error) {
	q := report.Files{Month: in.Month, Owners: owners(ctx), Format: report.Format(in.Format), Edition: in.Edition, Limit: in.Limit + 1}
	if err := in.after(&q.After); err != nil {
		return nil, err
	}
	if in.Owner != "" {
		if q.Owners != nil && !slices.Contains(q.Owners, in.Owner) {
			return nil, unknown("owner", in.Owner, "There is no report for the owner %q.")
		}
		q.Owners = []string{in.Owner}
	}
	total, all, err := s.Reports.Page(ctx, q)
	return &listed[report.File]{*pageOf(all, in.Limit, total, same, func(f report.File) any { return f.Place() })}, err
}

// Monthly names a month.
type Monthly struct {
	Month string `path:"month" pattern:"^[0-9]{4}-[0-9]{2}$" patternDescription:"a month such as 2026-10" doc:"The month."`
}

type reportIn struct {
	Monthly
	Owner   string `query:"owner" maxLength:"500" doc:"The extract for this owner; without it, the whole report."`
	Format  string `query:"format" enum:"html,csv,json" default:"html" doc:"As a page, a table, or by its schema."`
	Edition int    `query:"edition" minimum:"1" maximum:"1000000" doc:"This edition; without it, the newest."`
	Trial   bool   `query:"trial" doc:"Of a month that was not frozen a trial, as of its end. It freezes nothing."`
}

type shownReport struct {
	Type   string `header:"Content-Type"`
	Policy string `header:"Content-Security-Policy"`
	Body   []byte
}

// showReport gives a report as it was frozen, byte for byte. It makes none.
func (s *server) showReport(ctx context.Context, in *reportIn) (*shownReport, error) {
	month, err := report.ParseMonth(in.Month)
	if err != nil {
		return nil, wrongly(Wrong{"path.month", "The month " + clean(in.Month) + " is none such as 2026-10."})
	}
	if who := owners(ctx); who != nil && !slices.Contains(who, in.Owner) {
		p := ofYourOwners()
		p.Status, p.Title = http.StatusNotFound, http.StatusText(http.StatusNotFound)
		return nil, p
	}
	content, ok, err := s.Reports.Stored(ctx, month, in.Owner, in.Edition, report.Format(in.Format))
	if err != nil {
		return nil, err
	}
	if !ok && in.Trial {
		content, err = s.Reports.Read(ctx, month, in.Owner, in.Edition, report.Format(in.Format), s.Now())
		return asReport(content, in.Format), refusedReport(ctx, err)
	}
	if !ok {
		return nil, problem(http.StatusNotFound, "No such report was frozen: POST /api/v1/reports freezes the one of a month that is over.")
	}
	return asReport(content, in.Format), nil
}

// refusedReport says why a report is not made. Who the other owners are is not said to an owner.
func refusedReport(ctx context.Context, err error) error {
	var of *report.OwnerError
	if errors.As(err, &of) && owners(ctx) != nil {
		return problem(http.StatusNotFound, "No credential of yours is in this report.")
	}
	return action.Refused(err)
}

// ofYourOwners is for those who see the credentials of some owners only, and named none of these.
func ofYourOwners() *Problem {
	p := wrongly(Wrong{"query.owner", "You see the reports of your owners only: name one as owner."})
	p.Hint = "--owner NAME"
	return p
}

func asReport(content []byte, format string) *shownReport {
	return &shownReport{
		map[string]string{"html": "text/html; charset=utf-8", "csv": "text/csv; charset=utf-8", "json": "application/json"}[format],
		"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
		content,
	}
}

type trialIn struct {
	AsOf   time.Time `query:"as_of" doc:"As of this time, which is not in the future; without it, as of now."`
	Owner  string    `query:"owner" maxLength:"500" doc:"The extract for this owner; without it, the whole report."`
	Format string    `query:"format" enum:"html,csv,json" default:"html" doc:"As a page, a table, or by its schema."`
}

// tryReport says what a report would say as of any time. It freezes nothing.
func (s *server) tryReport(ctx context.Context, in *trialIn) (*shownReport, error) {
	if who := owners(ctx); who != nil && !slices.Contains(who, in.Owner) {
		return nil, ofYourOwners()
	}
	if in.AsOf.IsZero() {
		in.AsOf = s.Now()
	}
	if in.AsOf.After(s.Now()) {
		return nil, wrongly(Wrong{"query.as_of", "as_of is in the future, and a trial tells of what was."})
	}
	r, err := s.Reports.Trial(ctx, in.AsOf, in.Owner, s.Now())
	if err != nil {
		return nil, refusedReport(ctx, err)
	}
	content, err := r.Render(report.Format(in.Format))
	return asReport(content, in.Format), err
}

// ofTypes has the document say that an answer is no JSON of a schema here, but of these types.
func (do operation) ofTypes(types ...string) operation {
	return func(s *server, op huma.Operation) {
		answer := &huma.Response{Description: http.StatusText(http.StatusOK), Content: map[string]*huma.MediaType{}}
		for _, t := range types {
			answer.Content[t] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString}}
			if t == "application/json" {
				answer.Content[t].Schema = &huma.Schema{Type: huma.TypeObject}
			}
		}
		op.Responses["200"] = answer
		do(s, op)
	}
}
