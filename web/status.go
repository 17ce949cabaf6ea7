package web

import (
	"context"
	"net/http"
	"slices"

	"github.com/keyrounds/keyrounds/access"
	"github.com/keyrounds/keyrounds/api"
	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/verdict"
)

const onePage = 50 // rows of a list on the page

// ask reads which credentials a request is about. The error is for whoever asked.
func ask(r *http.Request) (a asked, err error) {
	q := r.URL.Query()
	a = asked{Provider: q.Get("provider"), Status: q.Get("status"), Search: q.Get("q")}
	a.After, err = audit.ParseCursor(q.Get("after"))
	return a, err
}

func (a asked) query(limit int) audit.Query {
	return audit.Query{Provider: a.Provider, Status: verdict.Status(a.Status), Search: a.Search, After: a.After, Limit: limit}
}

// page is the status page: the state of all in numbers, and a page of each list.
func (s *site) page(w http.ResponseWriter, r *http.Request) {
	a, err := ask(r)
	if err != nil {
		text(w, http.StatusBadRequest, err.Error()+"\n")
		return
	}
	h, err := s.hold(r.Context(), a)
	if err != nil {
		s.json(w, nil, err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	v := newView(h, a, s.Now(), s.Version)
	v.Who, _ = access.VisitOf(r.Context())
	if made, err := s.Reports.Made(r.Context()); err == nil && len(made) > 0 {
		v.Report = made[0].String()
	}
	if err = page.Execute(w, v); err != nil {
		s.Log.Debug("the page was not sent whole", "error", err)
	}
}

func (s *site) hold(ctx context.Context, a asked) (h held, err error) {
	if h.counts, err = s.Audit.StatusCounts(ctx); err != nil {
		return h, err
	}
	if h.severities, err = s.Audit.Counts(ctx); err != nil {
		return h, err
	}
	if h.urgent, err = s.Audit.Findings(ctx, audit.Filter{Limit: onePage}); err != nil { // the most severe first
		return h, err
	}
	h.urgent = slices.DeleteFunc(h.urgent, func(f finding.Finding) bool { return f.Severity == finding.Info })
	for i := range h.urgent {
		if s.About == nil {
			break
		}
		if h.urgent[i], err = s.About(ctx, h.urgent[i]); err != nil {
			return h, err
		}
	}
	if h.low, err = s.Audit.Findings(ctx, audit.Filter{Severity: finding.Info, Limit: onePage}); err != nil {
		return h, err
	}
	if h.page, h.next, err = s.Audit.Page(ctx, a.query(onePage)); err != nil {
		return h, err
	}
	if h.chosen, err = s.Audit.Chosen(ctx, a.query(0)); err != nil {
		return h, err
	}
	if h.creds, err = s.Registry.Active(ctx, idsOf(h.page)); err != nil {
		return h, err
	}
	h.uses, err = api.Usages(ctx, s.Usage, h.creds, s.Now())
	return h, err
}

func idsOf(page []audit.Standing) []int64 {
	ids := make([]int64, len(page))
	for i, st := range page {
		ids[i] = st.CredentialID
	}
	return ids
}
