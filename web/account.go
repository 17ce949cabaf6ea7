package web

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/keyrounds/keyrounds/access"
	"github.com/keyrounds/keyrounds/secret"
)

// accountPage is what somebody sees and changes about himself.
type accountPage struct {
	form
	Tokens   []access.Token
	Sessions []access.Session
	Shown    string // a token that was just made; shown once
}

func (s *site) account(w http.ResponseWriter, r *http.Request) {
	s.showAccount(w, r, http.StatusOK, secret.Value{}, "")
}

func (s *site) showAccount(w http.ResponseWriter, r *http.Request, status int, made secret.Value, wrong string) {
	p := accountPage{form: s.form(w, r, "Your account", "settings"), Shown: made.Reveal()}
	p.Wrong = wrong
	var err error
	if p.Tokens, err = s.Access.Tokens(r.Context(), p.Who.Person, false); err == nil {
		p.Sessions, err = s.Access.Sessions(r.Context(), p.Who.Person)
	}
	if err != nil {
		s.json(w, nil, err)
		return
	}
	s.pages.Show(w, r, status, "account", p)
}

// changed leads back to a page after a change, or says why there was none.
func (s *site) changed(w http.ResponseWriter, r *http.Request, err error, refused string) {
	if err == nil {
		http.Redirect(w, r, "/account", http.StatusSeeOther)
		return
	}
	status, wrong := s.whyNot(err, refused)
	s.showAccount(w, r, status, secret.Value{}, wrong)
}

func (s *site) changePassword(w http.ResponseWriter, r *http.Request) {
	if !s.parse(w, r) {
		return
	}
	v, _ := access.VisitOf(r.Context())
	present, next, again := takeSecret(r, "present"), takeSecret(r, "password"), takeSecret(r, "again")
	err := s.Door.try(r, v.Shown, func() bool { return true }, wrongPassword, func() error {
		if !next.Equal(again) {
			return &access.InputError{Text: "the two passwords differ"}
		}
		return s.Access.ChangePassword(r.Context(), v, present, next)
	})
	s.noteSignIn(r, err, "person "+v.Shown, wrongPassword)
	s.changed(w, r, err, "The present password is wrong.")
}

func (s *site) makeToken(w http.ResponseWriter, r *http.Request) {
	if !s.parse(w, r) {
		return
	}
	v, _ := access.VisitOf(r.Context())
	n := access.NewToken{Name: strings.TrimSpace(r.PostFormValue("name")), Grant: grantOf(r)}
	days, err := strconv.Atoi(r.PostFormValue("days"))
	if err != nil || days < 1 || days > 366 {
		s.changed(w, r, &access.InputError{Text: "a token ends after 1 to 366 days"}, "")
		return
	}
	n.EndsAt = s.Now().Add(time.Duration(days) * 24 * time.Hour)
	if v.Role == access.Owner && n.Role == access.Owner && len(n.Owners) == 0 {
		n.Owners = v.Owners
	}
	if v.Temporary {
		s.changed(w, r, &access.InputError{Text: "choose a password of your own first"}, "")
		return
	}
	token, _, err := s.Access.MakeToken(r.Context(), v, n)
	if err != nil {
		s.changed(w, r, err, "")
		return
	}
	s.showAccount(w, r, http.StatusOK, token, "")
}

func (s *site) revokeToken(w http.ResponseWriter, r *http.Request) {
	v, _ := access.VisitOf(r.Context())
	s.changed(w, r, s.Access.Revoke(r.Context(), v.Name, v.Person, idOf(r)), "")
}

func (s *site) endSession(w http.ResponseWriter, r *http.Request) {
	v, _ := access.VisitOf(r.Context())
	s.changed(w, r, s.Access.EndSession(r.Context(), v.Name, v.Person, idOf(r)), "")
}

// idOf is the number in a path; one that is none is that of nothing.
func idOf(r *http.Request) int64 {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		return -1
	}
	return id
}

// grantOf reads a role and owner names, which commas separate.
func grantOf(r *http.Request) access.Grant {
	g := access.Grant{Role: access.Role(r.PostFormValue("role"))}
	for name := range strings.SplitSeq(r.PostFormValue("owners"), ",") {
		if name = strings.TrimSpace(name); name != "" {
			g.Owners = append(g.Owners, name)
		}
	}
	return g
}
