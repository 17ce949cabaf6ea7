package web

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/keyrounds/keyrounds/access"
	"github.com/keyrounds/keyrounds/audit"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/finding"
	"github.com/keyrounds/keyrounds/verdict"
)

const (
	onePage  = 50   // rows of a list on the page
	mostJSON = 1000 // credentials in one answer where a limit is given
)

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
	h.uses, err = Usages(ctx, s.Usage, h.creds, s.Now())
	return h, err
}

func idsOf(page []audit.Standing) []int64 {
	ids := make([]int64, len(page))
	for i, st := range page {
		ids[i] = st.CredentialID
	}
	return ids
}

// credentials answers with all of them, by name; or, where it is asked for some or for a limit, with a page, the worst
// first, and a link to the next (RFC 8288).
func (s *site) credentials(w http.ResponseWriter, r *http.Request) {
	a, err := ask(r)
	limit, bad := limitOf(r.URL.Query())
	if err = cmp.Or(err, bad); err != nil {
		text(w, http.StatusBadRequest, err.Error()+"\n")
		return
	}
	if q := r.URL.Query(); !slices.ContainsFunc(pageKeys, q.Has) {
		stream(s, w, func(each func(CredentialJSON)) error {
			return EachCredential(r.Context(), s.Registry, s.Audit, false, each)
		})
		return
	}
	all := []CredentialJSON{}
	page, next, err := s.Audit.Page(r.Context(), a.query(limit))
	var creds []credential.Credential
	if err == nil {
		creds, err = s.Registry.Active(r.Context(), idsOf(page))
	}
	for _, st := range page {
		if i := slices.IndexFunc(creds, func(c credential.Credential) bool { return c.ID == st.CredentialID }); i >= 0 {
			all = append(all, NewCredentialJSON(creds[i], st))
		}
	}
	if next != (audit.Cursor{}) && err == nil {
		linkNext(w, r, next.String())
	}
	if a.After == (audit.Cursor{}) && err == nil {
		err = total(w, func() (int, error) { return s.Audit.Chosen(r.Context(), a.query(0)) })
	}
	s.json(w, all, err)
}

// pageKeys are the parameters that ask for a page; without any of them all are shown.
var pageKeys = []string{"limit", "after", "q", "provider", "status"}

// limitOf reads limit. The error is for whoever asked.
func limitOf(q url.Values) (int, error) {
	given := q.Get("limit")
	if given == "" {
		return mostJSON, nil
	}
	n, err := strconv.Atoi(given)
	if err != nil || n < 1 || n > mostJSON {
		return 0, fmt.Errorf("limit %q is not a number from 1 to %d", given, mostJSON)
	}
	return n, nil
}

// linkNext says where the answer goes on (RFC 8288).
func linkNext(w http.ResponseWriter, r *http.Request, after string) {
	q := r.URL.Query()
	q.Set("after", after)
	w.Header().Set("Link", "<"+r.URL.Path+"?"+q.Encode()+`>; rel="next"`)
}

// total says how many are chosen on all pages. It is asked for with the first of them only: counting reads them all.
func total(w http.ResponseWriter, count func() (int, error)) error {
	n, err := count()
	if err == nil {
		w.Header().Set("X-Total-Count", strconv.Itoa(n))
	}
	return err
}

// stream sends a list in JSON, each of it as soon as all calls each for it. An answer that breaks off is one that the
// client does not take for whole.
func stream[T any](s *site, w http.ResponseWriter, all func(each func(T)) error) {
	between := "["
	err := all(func(v T) {
		b, err := json.Marshal(v)
		if err != nil {
			panic(err) // no value of it can fail
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, between)
		_, _ = w.Write(b)
		between = ","
	})
	switch {
	case err != nil && between == "[":
		s.json(w, nil, err)
	case err != nil:
		s.Log.Error("a request failed", "error", err)
		panic(http.ErrAbortHandler)
	case between == "[":
		s.json(w, []T{}, nil)
	default:
		_, _ = io.WriteString(w, "]\n")
	}
}
