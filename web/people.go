package web

import (
	"net/http"
	"strings"

	"github.com/keyrounds/keyrounds/access"
	"github.com/keyrounds/keyrounds/secret"
)

// peoplePage is what admins see and change about others.
type peoplePage struct {
	form
	People    []access.Person
	Tokens    []access.Token
	Sessions  []access.Session
	Of        string // whose temporary password is shown, once
	Temporary string
}

func (s *site) people(w http.ResponseWriter, r *http.Request) {
	s.showPeople(w, r, http.StatusOK, "", secret.Value{}, "")
}

func (s *site) showPeople(w http.ResponseWriter, r *http.Request, status int, of string, temporary secret.Value, wrong string) {
	p := peoplePage{form: s.form(w, r, "People", "settings"), Of: of, Temporary: temporary.Reveal()}
	p.Wrong = wrong
	var err error
	if p.People, err = s.Access.People(r.Context()); err == nil {
		p.Tokens, err = s.Access.Tokens(r.Context(), 0, false)
	}
	if err == nil {
		p.Sessions, err = s.Access.Sessions(r.Context(), 0)
	}
	if err != nil {
		s.json(w, nil, err)
		return
	}
	s.pages.Show(w, r, status, "people", p)
}

func (s *site) addPerson(w http.ResponseWriter, r *http.Request) {
	if !s.parse(w, r) {
		return
	}
	v, _ := access.VisitOf(r.Context())
	name := strings.TrimSpace(r.PostFormValue("name"))
	temporary, err := s.Access.AddPerson(r.Context(), v.Name, name, grantOf(r))
	s.answerPeople(w, r, name, temporary, err)
}

// changePerson does what the button says: role, disable, enable or reset.
func (s *site) changePerson(w http.ResponseWriter, r *http.Request) {
	if !s.parse(w, r) {
		return
	}
	v, _ := access.VisitOf(r.Context())
	var err error
	var temporary secret.Value
	ctx, id := r.Context(), idOf(r)
	switch r.PostFormValue("do") {
	case "role":
		err = s.Access.ChangeRole(ctx, v.Name, id, grantOf(r))
	case "disable":
		err = s.Access.Disable(ctx, v.Name, id)
	case "enable":
		err = s.Access.Enable(ctx, v.Name, id)
	case "reset":
		temporary, err = s.Access.ResetPassword(ctx, v.Name, id)
	default:
		err = &access.InputError{Text: "do is role, disable, enable or reset"}
	}
	s.answerPeople(w, r, r.PostFormValue("name"), temporary, err)
}

func (s *site) answerPeople(w http.ResponseWriter, r *http.Request, of string, temporary secret.Value, err error) {
	switch {
	case err != nil:
		status, wrong := s.whyNot(err, "")
		s.showPeople(w, r, status, "", secret.Value{}, wrong)
	case !temporary.IsZero():
		s.showPeople(w, r, http.StatusOK, of, temporary, "")
	default:
		http.Redirect(w, r, "/people", http.StatusSeeOther)
	}
}

// revokeAny and endAny are for admins: of anybody.
func (s *site) revokeAny(w http.ResponseWriter, r *http.Request) {
	v, _ := access.VisitOf(r.Context())
	s.answerPeople(w, r, "", secret.Value{}, s.Access.Revoke(r.Context(), v.Name, 0, idOf(r)))
}

func (s *site) endAny(w http.ResponseWriter, r *http.Request) {
	v, _ := access.VisitOf(r.Context())
	s.answerPeople(w, r, "", secret.Value{}, s.Access.EndSession(r.Context(), v.Name, 0, idOf(r)))
}
