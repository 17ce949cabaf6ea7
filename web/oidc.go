package web

import (
	"errors"
	"net/http"

	"github.com/keyrounds/keyrounds/access"
	"github.com/keyrounds/keyrounds/web/pages"
)

// The cookie that a browser keeps while somebody is at his issuer.
const (
	loginCookie      = "__Host-keyrounds-login"
	plainLoginCookie = "keyrounds-login"
)

// startLogin leads to an issuer. A link and no form, since form-action of our policy also holds for where a form is sent on to.
func (s *site) startLogin(w http.ResponseWriter, r *http.Request) {
	if s.Access == nil {
		http.NotFound(w, r)
		return
	}
	next := pages.LocalPath(r.URL.Query().Get("next"))
	to, kept, err := s.Access.StartLogin(r.Context(), r.PathValue("name"), next)
	switch {
	case errors.Is(err, access.ErrNotFound):
		http.NotFound(w, r)
		return
	case err != nil:
		s.Log.Error("an issuer cannot be asked", "issuer", r.PathValue("name"), "error", err)
		s.pages.Show(w, r, http.StatusBadGateway, "login", s.loginPage(w, r, next, "The issuer does not answer. Try again in a minute."))
		return
	}
	c := access.NewCookie(r, loginCookie, plainLoginCookie, kept)
	c.MaxAge = 600
	http.SetCookie(w, c)
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// finishLogin is where an issuer sends people back to.
func (s *site) finishLogin(w http.ResponseWriter, r *http.Request) {
	if s.Access == nil {
		http.NotFound(w, r)
		return
	}
	name, kept := r.PathValue("name"), ""
	if c, err := r.Cookie(access.NewCookie(r, loginCookie, plainLoginCookie, "").Name); err == nil {
		kept = c.Value
	}
	http.SetCookie(w, access.NewCookie(r, loginCookie, plainLoginCookie, "")) // it is good for one answer
	var person access.Person
	var next string
	err := s.Door.try(r, "at "+name, func() bool { return true }, refusedIssuer, func() (err error) {
		person, next, err = s.Access.FinishLogin(r.Context(), name, kept, r.URL.Query())
		return err
	})
	if err == nil {
		s.begin(w, r, person, "issuer "+name, next)
		return
	}
	if errors.Is(err, access.ErrNotFound) {
		http.NotFound(w, r)
		return
	}
	why, status, wrong := refusedIssuer, 0, ""
	var issuer *access.IssuerError
	if errors.As(err, &issuer) {
		why, status, wrong = issuer.Text, http.StatusUnauthorized, issuer.Text+"."
		s.Log.Warn("an issuer's answer was refused", "issuer", name, "why", issuer.Text, "error", errors.Unwrap(issuer))
	} else {
		status, wrong = s.whyNot(err, "You may not sign in.")
	}
	s.noteSignIn(r, err, "issuer "+name, why)
	s.pages.Show(w, r, status, "login", s.loginPage(w, r, "", wrong))
}
