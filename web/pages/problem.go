package pages

import (
	"net/http"
)

// problemPage is what somebody sees who gets no page.
type problemPage struct {
	Frame
	What, Next string
}

// Problem answers with a page that says in a sentence what is the matter, and what to do next.
func (p *Pages) Problem(w http.ResponseWriter, r *http.Request, status int, what, next string) {
	page := problemPage{Frame: p.Frame(w, r, what, ""), What: what, Next: next}
	page.Dot = ""
	p.Show(w, r, status, "problem", page)
}

// fail answers where something of ours does not work, and logs why.
func (p *Pages) fail(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		return // nobody waits for it any more
	}
	p.Log.Error("a page could not be read", "path", r.URL.Path, "error", err)
	p.Show(w, r, http.StatusServiceUnavailable, "problem", problemPage{
		Frame: Frame{
			Title: "The database does not answer", Bare: true, Theme: themeOf(r), Version: p.Version, Now: p.Now(), Zone: zoneOf(r),
			Path: "/", Who: visit(r),
		},
		What: "The database does not answer.", Next: "Try again in a minute. The log of the daemon says why.",
	})
}
